/** How a process of a cluster starts without what it needs, how it stops without it, and a server that brings its own NATS. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import { post } from '../support/http.ts';
import { NatsServer } from '../support/nats-server.ts';
import { freePort, run, Stage } from '../support/stage.ts';
import { mint } from '../support/token.ts';
import { eventually } from '../support/wait.ts';

const app = 'test/support/apps/ledger.ts';

function newStage(): Stage {
  const stage = new Stage();
  onTestFinished(() => stage.end());
  return stage;
}

function sides(stage: Stage, url: string): string[][] {
  const common = ['--nats-url', url, '--data-dir', stage.dataDir()];
  return [
    ['gateway', '--port', '0', ...common],
    ['runtime', app, ...common],
  ];
}

test('without a NATS at its address, gateway and runtime end with 68 and say where nobody answered', async () => {
  const stage = newStage();
  const address = `127.0.0.1:${await freePort()}`;
  const ends = await Promise.all(sides(stage, `nats://${address}`).map((words) => run(words)));
  for (const { code, stdout, stderr } of ends) {
    expect({ code, stderr }).toEqual({ code: 68, stderr: expect.stringContaining(address) });
    expect(stderr).toContain('nobody answers there');
    expect(stdout).not.toContain('"ready"');
  }
});

test('with wrong credentials they end with 68, and the password is told to nobody', async () => {
  const stage = newStage();
  const nats = await NatsServer.start({ config: 'authorization { user: fermata, password: "the right one" }' });
  onTestFinished(() => nats.close());
  const env = { NATS_USER: 'fermata', NATS_PASSWORD: 'a-wrong-one' };
  const inAddress = nats.url.replace('//', '//fermata:a-wrong-one@');
  const ends = await Promise.all([
    ...sides(stage, nats.url).map((words) => run(words, env)),
    ...sides(stage, inAddress).map((words) => run(words)),
  ]);
  for (const { code, stdout, stderr } of ends) {
    expect({ code, stderr }).toEqual({ code: 68, stderr: expect.stringContaining('the server refused the') });
    expect(stdout + stderr).not.toContain('a-wrong-one');
  }
});

test('a stop does not wait for a NATS that is away', { timeout: 60_000 }, async () => {
  const cluster = await Cluster.start({ app: 'ledger', gateways: 1, runtimes: 1 });
  onTestFinished(() => cluster.end());
  const [gateway, runtime] = [cluster.gateways[0]!, cluster.runtimes[0]!];
  const token = await mint();
  const increment = async () => (await post(gateway.address, ['counter', 'c', 'increment'], { token })).json();
  expect(await increment()).toEqual({ result: 1 });
  await cluster.nats.down();
  await gateway.becomes('/health', 503);
  for (const member of [gateway, runtime]) expect(await member.term()).toEqual({ code: 0, signal: null });
  // Nor is anything lost by it.
  await cluster.nats.up();
  await Promise.all([gateway.start(), runtime.start()]);
  expect(await increment()).toEqual({ result: 2 });
});

test('what actors write as they leave memory is kept when their runtime stops', { timeout: 60_000 }, async () => {
  const cluster = await Cluster.start({ app: 'leaving', gateways: 1, runtimes: 1 });
  onTestFinished(() => cluster.end());
  const [gateway, runtime] = [cluster.gateways[0]!, cluster.runtimes[0]!];
  const token = await mint();
  const left = async () => (await post(gateway.address, ['note', 'n', 'left'], { token })).json();
  expect(await left()).toEqual({ result: 0 });
  expect(await runtime.term()).toEqual({ code: 0, signal: null });
  await runtime.start();
  expect(await left()).toEqual({ result: 1 });
});

test('a server with a nats-server of its own: it serves, bears the death of it, and takes it along when it stops', {
  timeout: 60_000,
}, async () => {
  const stage = newStage();
  const dataDir = stage.dataDir();
  const port = await freePort();
  const server = await stage.serve({
    app: 'ledger',
    dataDir,
    args: ['--nats', 'managed', '--nats-server-port', port, '--limit', 'remoteCallMsMax=5000'],
  });
  const token = await mint();
  const increment = async () => {
    const { status, text } = await post(server.address, ['counter', 'c', 'increment'], { token });
    return { status, text };
  };
  expect(await increment()).toEqual({ status: 200, text: '{"result":1}' });
  const pid = () => Number(readFileSync(join(dataDir, 'nats', 'nats.pid'), 'utf8'));
  const first = pid();
  process.kill(first, 'SIGKILL');
  await eventually('it is served again', async () => (await increment()).status === 200, 30_000);
  await server.logged(({ msg }) => msg === 'nats-server serves again');
  const second = pid();
  expect(second).not.toBe(first);
  expect(await server.term()).toEqual({ code: 0, signal: null });
  await eventually('it has gone', () => !existsSync(`/proc/${second}`));
});
