/** `fermata doctor --production` as it is shipped, in an environment that is right and in one that is wrong. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Finding } from '../../src/cli/doctor-finding.ts';
import { byHand, productionChecks } from '../../src/cli/doctor-production.ts';
import { fermata, newFolder } from './command-fixture.ts';

const root = join(import.meta.dirname, '../..');
const entry = join(root, 'src/cli/main.ts');
/** As whom it runs when the tests run as root: it asks not to be root. */
const uid = process.getuid?.() === 0 ? 10_001 : undefined;

async function doctor(words: readonly string[], env: Record<string, string>) {
  const user = uid === undefined ? {} : { uid, gid: uid };
  const child = spawn(process.execPath, [entry, 'doctor', '--production', ...words], {
    cwd: root,
    env: { PATH: process.env['PATH'], ...env },
    ...user,
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stderr.on('data', (chunk) => (err += chunk));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, out, err };
}

function ownFolder(): string {
  const folder = newFolder();
  chmodSync(folder, 0o755);
  for (const name of ['data', 'backups']) {
    mkdirSync(join(folder, name), { mode: 0o700 });
    if (uid !== undefined) chownSync(join(folder, name), uid, uid);
  }
  return folder;
}

/** What the machine of the tests is, and not what they give the command. */
const ofTheMachine = [
  'address',
  'container',
  'cores',
  'memory',
  'open files',
  'clock sync',
  'file system',
  'free space',
  'inodes',
  'fsync',
  'backup folder',
];

test('in a good environment every check that it can decide is ok, and nothing is left behind', async () => {
  const folder = ownFolder();
  const secret = randomBytes(48).toString('base64');
  const app = join(folder, 'app.ts');
  const source = join(root, 'examples/app.ts');
  writeFileSync(app, `console.log('loading');\nexport { app } from ${JSON.stringify(source)};\n`);
  const { code, out, err } = await doctor([app, '--json', '--port', '0'], {
    NODE_ENV: 'production',
    DATA_DIR: join(folder, 'data'),
    BACKUP_DIR: join(folder, 'backups'),
    BACKUP_INTERVAL: '1h',
    AUTH_JWT_SECRET: secret,
    AUTH_ISSUER: 'https://login.example.com',
    AUTH_AUDIENCE: 'chat',
    ALLOWED_ORIGINS: 'https://app.example.com',
  });
  const findings = JSON.parse(out) as Finding[];
  expect(findings.map(({ check }) => check)).toEqual(productionChecks.map(({ name }) => name));
  expect(findings.filter(({ check, status }) => status !== 'ok' && !ofTheMachine.includes(check))).toEqual([]);
  expect(findings.find(({ check }) => check === 'app')?.message).toBe('2 actors: counter, chat');
  expect(code).toBe(findings.some(({ status }) => status === 'fail') ? 1 : 0);
  // What a module prints is not among the findings.
  expect(err).toContain('loading');
  expect(out + err).not.toContain(secret);
  expect([readdirSync(join(folder, 'data')), readdirSync(join(folder, 'backups'))]).toEqual([[], []]);
});

test('in a bad environment it names each mistake, says what is left to do by hand, and ends with 1', async () => {
  const folder = ownFolder();
  chmodSync(join(folder, 'data'), 0o777);
  const { code, out } = await doctor(['no-such-app.ts', '--dev', '--auth-query-token'], {
    NODE_OPTIONS: '--enable-source-maps',
    NODE_TLS_REJECT_UNAUTHORIZED: '0',
    PORT: '99999',
    DATA_DIR: join(folder, 'data'),
    SHUTDOWN_TIMEOUT_MS: '60000',
    LOG_LEVEL: 'debug',
  });
  expect(code).toBe(1);
  const failing = ['configuration', 'app', 'development', 'authentication', 'Node options', 'data owner'];
  for (const check of [...failing, 'backup interval', 'backup folder'])
    expect(out).toMatch(new RegExp(`^fail  ${check} +\\S.*(\\n +[^→\\n]*)*\\n +→ \\S`, 'm'));
  for (const check of ['query tokens', 'origins', 'port', 'NODE_ENV', 'log level', 'stop time'])
    expect(out).toMatch(new RegExp(`^warn  ${check} +\\S.*\\n +→ \\S`, 'm'));
  expect(out).toContain('PORT (environment): "99999"');
  for (const [what, how] of byHand) expect(out).toContain(`${what.padEnd(13)}  ${how}`);
});

test('the plain doctor refuses what it would not look at', async () => {
  for (const words of [['app.ts'], ['--auth-issuer', 'x'], ['--dev']]) {
    const { exitCode, err } = await fermata(['doctor', ...words]);
    expect({ exitCode, err }).toEqual({ exitCode: 64, err: expect.stringContaining('only with --production') });
  }
});
