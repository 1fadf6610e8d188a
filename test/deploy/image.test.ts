/**
 * The image, built by the Dockerfile's own steps and run as a container would run it, without Docker (image-build.ts,
 * container.ts). What the base image has beside Debian, Node and npm is not proved here.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { root as repository } from '../support/server.ts';
import { mint, secret } from '../support/token.ts';
import { eventually } from '../support/wait.ts';
import { assertChroot, type Mount } from './chroot.ts';
import { Container, makeVolume } from './container.ts';
import { buildImage, type Image } from './image-build.ts';
import { handMadeApp } from '../support/hand-made-app.ts';

/** Of its kind "slim" on Debian 12 with Node 22, by Docker's own list. The whole may have 250 MB. */
const baseMb = 227.33;
const imageMbMax = 250;
const graceMs = 15_000;
const buildMsMax = 240_000;

const folder = mkdtempSync(join(tmpdir(), 'fermata-image-'));
const containers: Container[] = [];
let image: Image;

beforeAll(async () => {
  assertChroot();
  mkdirSync(join(folder, 'stages'));
  image = await buildImage(repository, join(folder, 'stages'));
}, buildMsMax);

afterAll(async () => {
  for (const container of containers) await container.kill();
  rmSync(folder, { recursive: true, force: true });
});

test('it holds the built package with the packages that production needs, and no others', () => {
  const inside = join(image.root, 'opt/fermata');
  expect(readdirSync(inside).sort()).toEqual(['LICENSE', 'dist', 'node_modules', 'package.json']);
  expect(readdirSync(join(inside, 'dist')).sort()).toEqual(['src', 'workers']);
  const lock = JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean; link?: boolean }>;
  };
  const wanted = Object.entries(lock.packages).filter(([path, { dev, link }]) => path !== '' && !dev && !link);
  for (const [path, { optional }] of wanted) if (!optional) expect(existsSync(join(inside, path)), path).toBe(true);
  const packages = readdirSync(join(inside, 'node_modules'), { recursive: true, encoding: 'utf8' })
    .filter((path) => /^((.*\/)?node_modules\/)?(@[^/]+\/)?[^@./][^/]*\/package\.json$/.test(path))
    .map((path) => `node_modules/${path.slice(0, -'/package.json'.length)}`);
  expect(packages).toContain('node_modules/better-sqlite3');
  expect(packages.filter((path) => !wanted.some(([name]) => name === path))).toEqual([]);
  for (const name of ['node', 'typescript', 'vitest']) expect(packages).not.toContain(`node_modules/${name}`);
});

test('it is small', () => {
  console.log(`fermata adds ${(image.addedBytes / 1e6).toFixed(1)} MB to its base`);
  expect(baseMb + image.addedBytes / 1e6).toBeLessThan(imageMbMax);
  expect(image.addedBytes).toBeGreaterThan(5e6);
});

test('its user can change nothing of it but /data and /backups', () => {
  const own = ['data', 'backups'].map((name) => statSync(join(image.root, name)));
  for (const { uid, gid, mode } of own) expect([uid, gid, mode & 0o777]).toEqual([10001, 10001, 0o700]);
  // Found by the tool that a reviewer would use: not root's, or open for others to write; links have no mode.
  const search = ['-xdev', '!', '-type', 'l', '(', '!', '-user', 'root', '-o', '-perm', '/022', ')'];
  const found = execFileSync('find', [image.root, ...search], { encoding: 'utf8' })
    .split('\n')
    .filter(Boolean);
  expect(found.sort()).toEqual(['backups', 'data'].map((name) => join(image.root, name)));
});

test('its command is fermata', async () => {
  const version = run({ command: ['--version'] });
  expect(await version.exited).toBe(0);
  expect(version.output).toBe(`${image.config.labels['org.opencontainers.image.version']}\n`);
  // What is named instead of `serve` finds its settings as they are in the image.
  const env = { ...environment(await freePort()), NATS_URL: 'nats://nats:4222' };
  for (const command of [['gateway'], ['runtime', '/app/app.js']]) {
    const other = run({ env, mounts: appMounts(), command: [...command, '--print-config'] });
    expect(await other.exited, other.output).toBe(0);
    expect(other.output).toMatch(/^nats-url +nats:\/\/nats:4222 +NATS_URL \(environment\)$/m);
  }
  // Nothing is mounted on /data, and the root cannot be written.
  const served = run({ env: environment(await freePort()), mounts: appMounts() });
  expect(await served.exited, served.output).toBe(73);
});

test('a container serves, is healthy, stops by SIGTERM, and its successor goes on', { timeout: 60_000 }, async () => {
  const port = await freePort();
  const volumes = [
    makeVolume(image, '/data', join(folder, 'data')),
    makeVolume(image, '/backups', join(folder, 'backups')),
  ];
  const options = { env: environment(port), mounts: [...appMounts(), ...volumes] };
  const health = image.config.healthCheck!.command;

  const nobody = run({ ...options, entrypoint: health, command: [] });
  expect(await nobody.exited, nobody.output).toBe(1);

  const first = run(options);
  expect(await healthy(first)).toBe(true);
  expect(statusOf(await first.pid())).toMatchObject({
    Name: 'node',
    NSpid: expect.stringMatching(/\t1$/) as unknown,
    Uid: '10001\t10001\t10001\t10001',
    Gid: '10001\t10001\t10001\t10001',
    Groups: '',
    CapEff: '0000000000000000',
    CapBnd: '0000000000000000',
    NoNewPrivs: '1',
  });
  expect(await add(port)).toBe(2);
  const write =
    'for (const at of process.argv.slice(1)) try { fs.writeFileSync(at + "/x", "") } catch (error) { console.log(at, error.code) }';
  const places = ['/', '/opt/fermata', '/app', '/usr/local/bin', '/tmp', '/data'];
  expect((await first.exec(['node', '--eval', write, ...places])).output).toBe(
    '/ EROFS\n/opt/fermata EROFS\n/app EROFS\n/usr/local/bin EROFS\n',
  );
  // Another process on the same volume is refused, and the first goes on.
  const second = run({ ...options, env: environment(await freePort()) });
  expect(await second.exited, second.output).toBe(73);
  const backup = await first.exec(['fermata', 'backup', '--to', '/backups']);
  expect(backup.code, backup.output).toBe(0);
  expect((await first.exec(['fermata', 'verify', '/backups'])).output).toContain('ok');
  expect(await first.stop(graceMs), first.output).toBe(0);
  expect(first.output).toContain('"msg":"stopped"');
  const gone = run({ ...options, entrypoint: health, command: [] });
  expect(await gone.exited, gone.output).toBe(1);

  const successor = run(options);
  expect(await healthy(successor)).toBe(true);
  expect(await add(port)).toBe(4);
  expect(await successor.stop(graceMs), successor.output).toBe(0);
});

test('an image made FROM it, with an app in TypeScript and packages of its own', { timeout: 60_000 }, async () => {
  // The two lines of docs/deploy.md: FROM fermata, COPY . /app
  const root = join(folder, 'derived');
  cpSync(image.root, root, { recursive: true, verbatimSymlinks: true });
  for (const name of ['data', 'backups']) rmSync(join(root, name), { recursive: true });
  cpSync(join(repository, 'examples'), join(root, 'app'), { recursive: true });
  cpSync(join(repository, 'node_modules/zod'), join(root, 'app/node_modules/zod'), { recursive: true });
  const port = await freePort();
  const derived = { ...image, root };
  // As Kubernetes hands a volume out with fsGroup: root's, open to the group.
  const data: Mount = makeVolume(image, '/data', join(folder, 'derived-data'));
  chownSync(data.source, 0, 10001);
  chmodSync(data.source, 0o2770);
  const [, secretMount] = appMounts();
  const container = new Container(derived, {
    env: environment(port),
    mounts: [secretMount!, data],
    command: ['serve', '/app/app.ts'],
  });
  containers.push(container);
  expect(await healthy(container)).toBe(true);
  expect(await add(port)).toBe(2);
  expect(await container.stop(graceMs), container.output).toBe(0);
});

function run(options: ConstructorParameters<typeof Container>[1]): Container {
  const container = new Container(image, options);
  containers.push(container);
  return container;
}

/** Everything here stays on loopback; an image listens on all addresses. */
function environment(port: number): Record<string, string> {
  return { HOST: '127.0.0.1', PORT: String(port), SHARDS: '1', AUTH_JWT_SECRET_FILE: '/run/secrets/jwt-secret' };
}

/** A folder with one module, which finds `fermata` in the image, and the secret as a file. */
function appMounts(): Mount[] {
  const app = join(folder, 'app');
  mkdirSync(app, { recursive: true });
  writeFileSync(join(app, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(app, 'app.js'), handMadeApp);
  const file = join(folder, 'jwt-secret');
  writeFileSync(file, secret);
  return [
    { source: app, target: '/app' },
    { source: file, target: '/run/secrets/jwt-secret' },
  ];
}

/** As an orchestrator learns it: by the image's own check, again and again. False when the container ended. */
async function healthy(container: Container): Promise<boolean> {
  const command = image.config.healthCheck!.command;
  const ended = container.exited.then(() => 'ended' as const);
  const answer = await eventually(
    'healthy',
    async () => await Promise.race([ended, container.exec(command).then(({ code }) => code === 0)]),
    30_000,
  );
  if (answer === 'ended') throw new Error(`it ended before it was healthy:\n${container.output}`);
  return answer;
}

async function add(port: number): Promise<unknown> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/actors/counter/c1/add`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await mint()}` },
    body: '{"amount":2}',
  });
  return ((await response.json()) as { result: unknown }).result;
}

function statusOf(pid: number): Record<string, string> {
  const lines = readFileSync(`/proc/${pid}/status`, 'utf8').trim().split('\n');
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
  );
}

async function freePort(): Promise<number> {
  const server = createServer();
  return await new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
