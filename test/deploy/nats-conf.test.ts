/** deploy/nats/nats.conf, read by the real nats-server with the environment that docker-compose.yml gives it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type NatsConnection } from 'nats';
import { expect, onTestFinished, test } from 'vitest';
import { needs } from '../support/needs.ts';
import { root } from '../support/server.ts';
import { freePort } from '../support/stage.ts';
import { eventually } from '../support/wait.ts';
import { environmentOf, serviceNamed } from './compose-file.ts';

const nats = serviceNamed('nats');

// Some of these nats-server would take for numbers, or could not read at all.
test.each(['f00d', '1e9', '0e12', '12k', 'true', 'two words'])(
  'the password %j lets in, and nothing else does',
  async (password) => {
    const { port } = await start(password);
    const { NATS_USER: user } = environmentOf(serviceNamed('gateway-1'), { FERMATA_NATS_PASSWORD: password });
    const nc = await dial(port, { user: user!, pass: password });
    expect(nc.info?.jetstream).toBe(true);
    await expect(dial(port, { user: user!, pass: `${password}x` })).rejects.toThrow('Authorization Violation');
    await expect(dial(port, {})).rejects.toThrow('Authorization Violation');
  },
);

test('JetStream keeps what it is given on disk, and the health check agrees', async () => {
  const { port, monitorPort } = await start('f00d');
  const nc = await dial(port, { user: 'fermata', pass: 'f00d' });
  const { limits } = await (await nc.jetstreamManager()).getAccountInfo();
  expect(limits.max_storage).not.toBe(0);
  const healthy = async (): Promise<boolean> => (await fetch(`http://127.0.0.1:${monitorPort}/healthz`)).ok;
  await eventually('a good health', healthy);
  const monitored = (await (await fetch(`http://127.0.0.1:${monitorPort}/jsz`)).json()) as { config: object };
  expect(monitored.config).toMatchObject({ max_memory: 64 * 2 ** 20, max_storage: 8 * 2 ** 30 });
});

async function start(password: string): Promise<{ readonly port: string; readonly monitorPort: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'fermata-nats-conf-'));
  const [port, monitorPort] = [await freePort(), await freePort()];
  const shipped = readFileSync(join(root, 'deploy/nats/nats.conf'), 'utf8');
  const config = [
    ['"0.0.0.0:4222"', `"127.0.0.1:${port}"`],
    ['"127.0.0.1:8222"', `"127.0.0.1:${monitorPort}"`],
    ['"/data"', `"${folder}"`],
  ].reduce((text, [from, to]) => {
    if (text.split(from!).length !== 2) throw new Error(`nats.conf has ${from} not exactly once`);
    return text.replace(from!, to!);
  }, shipped);
  const file = join(folder, 'nats.conf');
  writeFileSync(file, config);
  const env = environmentOf(nats, { FERMATA_NATS_PASSWORD: password });
  const child = spawn(needs('nats-server'), ['--config', file], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  onTestFinished(async () => {
    await end(child);
    rmSync(folder, { recursive: true, force: true });
  });
  let output = '';
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await eventually('nats-server', () => {
    if (child.exitCode !== null) throw new Error(`nats-server ended:\n${output}`);
    return output.includes('Server is ready');
  });
  return { port, monitorPort };
}

async function dial(port: string, who: { user?: string; pass?: string }): Promise<NatsConnection> {
  const nc = await connect({ servers: `127.0.0.1:${port}`, reconnect: false, ...who });
  onTestFinished(async () => await nc.close());
  return nc;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
