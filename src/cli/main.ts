#!/usr/bin/env node
/**
 * The `fermata` command. Looks at the Node version before anything else is loaded, because newer syntax further in would
 * end an old one with a riddle; then hands over to the command line.
 */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

if (major < 22 || (major === 22 && minor < 18)) {
  console.error(
    `fermata: needs Node 22.18 or newer, this is ${process.versions.node}\n  Install a current Node 22 LTS, or put it first on the PATH.`,
  );
  process.exitCode = 1;
} else {
  // Read by uWebSockets as it is loaded: its own 4 KiB for all headers are too few for larger tokens.
  process.env['UWS_HTTP_MAX_HEADERS_SIZE'] ??= '16384';
  const { runCommandLine } = await import('./command-line.ts');
  process.exitCode = await runCommandLine(process.argv.slice(2), process.env, {
    out: (text) => console.log(text),
    err: (text) => console.error(text),
    isTty: process.stdout.isTTY,
    screen: process.stderr.isTTY ? process.stderr : undefined,
  });
}
