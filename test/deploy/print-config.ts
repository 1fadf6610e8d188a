/** What `gateway` or `runtime` would start with: the real command line, asked to print its configuration and stop. */
import { runCommandLine } from '../../src/cli/command-line.ts';

export interface Printed {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

export async function printConfig(words: readonly string[], env: Readonly<Record<string, string>>): Promise<Printed> {
  const out: string[] = [];
  const err: string[] = [];
  const exitCode = await runCommandLine([...words, '--print-config'], env, {
    out: (text) => out.push(text),
    err: (text) => err.push(text),
    isTty: false,
  });
  return { exitCode, out: out.join('\n'), err: err.join('\n') };
}
