import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { commands } from '../../src/cli/command-line.ts';
import { fermata } from './command-fixture.ts';

describe('help', () => {
  test.each([[['--help']], [['-h']], [['help']]])(
    '%s teaches: what it is, every command, examples, flags, documents',
    async (words) => {
      const { exitCode, out, err } = await fermata(words);
      expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
      for (const part of [
        ...commands.map((command) => command.name),
        'fermata serve app.ts --dev',
        '--data-dir',
        'DATA_DIR',
        'docs/',
      ]) {
        expect(out).toContain(part);
      }
    },
  );

  test('without a command the help is told as a mistake', async () => {
    const { exitCode, out, err } = await fermata([]);
    expect({ exitCode, out }).toEqual({ exitCode: 64, out: '' });
    expect(err).toContain('Usage: fermata <command>');
  });

  test.each(commands.map((command) => [command.name]))(
    '%s explains itself, in both ways, with its flags and examples',
    async (name) => {
      const asked = await fermata(['help', name]);
      expect(asked.exitCode).toBe(0);
      expect(await fermata([name, '--help'])).toEqual(asked);
      const command = commands.find((candidate) => candidate.name === name);
      for (const flag of command?.flags ?? []) expect(asked.out).toContain(flag.name);
      for (const [line] of command?.examples ?? []) expect(asked.out).toContain(line);
    },
  );

  test('no line of help is wider than a terminal usually is', async () => {
    for (const words of [['help'], ...commands.map((command) => ['help', command.name])]) {
      const { out } = await fermata(words);
      expect(out.split('\n').filter((line) => line.length > 120)).toEqual([]);
    }
  });
});

describe('mistakes', () => {
  test('an unknown command gets a suggestion and exit code 64', async () => {
    const { exitCode, err } = await fermata(['sevre']);
    expect(exitCode).toBe(64);
    expect(err).toContain('there is no command "sevre"; did you mean serve?');
  });

  test('help for an unknown command is a mistake too', async () => {
    expect((await fermata(['help', 'sevre'])).exitCode).toBe(64);
  });

  test('flags before the command are explained', async () => {
    const { exitCode, err } = await fermata(['--dev', 'serve', 'app.ts']);
    expect(exitCode).toBe(64);
    expect(err).toContain('the command comes first');
  });

  test('all mistakes of one line are told at once', async () => {
    const { exitCode, err } = await fermata(['serve', 'app.ts', 'more', '--prot', '80', '--port']);
    expect(exitCode).toBe(64);
    expect(err).toContain('4 mistakes');
    expect(err).toContain('there is no flag --prot; did you mean --port?');
    expect(err).toContain('--port needs a value');
    expect(err).toContain('"more" is one word too many');
  });

  test('a mistake never shows a stack, unless the log level asks for details', async () => {
    const plain = await fermata(['serve', 'app.ts'], { AUTH_JWT_SECRET: 'short' });
    expect(plain.exitCode).toBe(78);
    expect(plain.err).not.toMatch(/^ +at /m);
    const verbose = await fermata(['serve', 'app.ts'], { AUTH_JWT_SECRET: 'short', LOG_LEVEL: 'debug' });
    expect(verbose.err).toMatch(/^ +at /m);
    expect((await fermata(['serve', 'app.ts', '--log-level', 'debug'])).err).toMatch(/^ +at /m);
  });
});

describe('serve', () => {
  test('without an app it says what is missing', async () => {
    const { exitCode, err } = await fermata(['serve', '--dev']);
    expect(exitCode).toBe(64);
    expect(err).toContain('serve needs the module that exports your app');
  });

  test('without keys it refuses, explains the three ways and --dev, and exits with 78', async () => {
    const { exitCode, err } = await fermata(['serve', 'app.ts']);
    expect(exitCode).toBe(78);
    for (const word of ['AUTH_JWT_SECRET', 'AUTH_JWKS_URL', 'AUTH_JWKS_FILE', '--dev']) expect(err).toContain(word);
  });

  test('--print-config shows values and origins, and serves nothing', async () => {
    const { exitCode, out } = await fermata(['serve', '--dev', '--print-config', '--port', '0'], { LOG_LEVEL: 'warn' });
    expect(exitCode).toBe(0);
    expect(out).toMatch(/^port +0 +--port$/m);
    expect(out).toMatch(/^log-level +warn +LOG_LEVEL \(environment\)$/m);
    expect(out).toMatch(/^host +127\.0\.0\.1 +default$/m);
  });

  test('--print-config --json is JSON, with secrets hidden', async () => {
    const secret = 'x'.repeat(44);
    const { out } = await fermata(['serve', '--print-config', '--json'], { AUTH_JWT_SECRET: secret });
    const printed = JSON.parse(out) as Record<string, unknown>;
    expect(printed['auth-jwt-secret']).toEqual({
      value: '[hidden, 44 bytes]',
      source: 'env',
      setBy: 'AUTH_JWT_SECRET',
    });
    expect(out).not.toContain(secret);
  });
});

describe('the shipped entry', () => {
  const entry = join(import.meta.dirname, '../../src/cli/main.ts');
  const run = (...words: string[]) => spawnSync(process.execPath, [entry, ...words], { encoding: 'utf8' });

  test('prints its version', () => {
    expect(run('--version')).toMatchObject({ status: 0, stdout: '0.1.0\n', stderr: '' });
  });

  test('passes exit codes on, with errors on stderr and nothing on stdout', () => {
    const { status, stdout, stderr } = run('frobnicate');
    expect({ status, stdout }).toEqual({ status: 64, stdout: '' });
    expect(stderr).toContain('there is no command "frobnicate"');
  });

  test('loads nothing heavy for help', () => {
    const program = `
      process.argv.splice(1, 0, ${JSON.stringify(entry)}, '--help');
      const { registerHooks } = await import('node:module');
      registerHooks({ load(url, context, next) {
        if (/better-sqlite3|uWebSockets|jose|immer/.test(url)) { console.log('HEAVY ' + url); }
        return next(url, context);
      } });
      await import(${JSON.stringify(entry)});`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
    expect(stdout).toContain('Usage: fermata');
    expect(stdout).not.toContain('HEAVY');
  });
});
