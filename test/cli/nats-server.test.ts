/** The life of a managed nats-server: where it starts, what it keeps, how it comes back, and that it never outlives us. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { needs } from '../support/needs.ts';
import { freePort } from '../support/stage.ts';
import { eventually } from '../support/wait.ts';
import { connectTo, isAlive, newFolder, parentOf, sessionOf, startNats } from './nats-server-fixture.ts';

const payload = new TextEncoder().encode('hello');

test('it listens on the port that was asked for, on loopback, with JetStream', async () => {
  const port = Number(await freePort());
  const { nats } = await startNats({ port });
  expect(nats.nats.servers).toEqual([`nats://127.0.0.1:${port}`]);
  const client = await connectTo(nats);
  expect(client.info).toMatchObject({ jetstream: true, host: '127.0.0.1', max_payload: 1024 * 1024 });
});

test('it takes a free port when somebody has its own, and says so', async () => {
  const stranger = createServer().listen(0, '127.0.0.1');
  await once(stranger, 'listening');
  onTestFinished(() => void stranger.close());
  const { port } = stranger.address() as AddressInfo;
  const { nats, lines } = await startNats({ port });
  expect(nats.port).not.toBe(port);
  expect(lines).toContainEqual(expect.objectContaining({ level: 40, wanted: port, port: nats.port }));
  await connectTo(nats);
});

test('name, credentials and what was stored are the same after a stop and a start', async () => {
  const first = await startNats();
  const client = await connectTo(first.nats);
  const { server_name } = client.info!;
  await (await client.jetstreamManager()).streams.add({ name: 'ORDERS', subjects: ['orders.>'] });
  for (let n = 0; n < 100; n += 1) await client.jetstream().publish(`orders.${n}`, payload);
  await client.close();
  await first.nats.stop(5000);
  const second = await startNats({}, first.dataDir);
  expect(second.nats.nats).toMatchObject({ user: first.nats.nats.user, password: first.nats.nats.password });
  const again = await connectTo(second.nats);
  expect(again.info!.server_name).toBe(server_name);
  expect((await (await again.jetstreamManager()).streams.info('ORDERS')).state.messages).toBe(100);
});

test('killed, it is started again on the same port, and clients come back by themselves', async () => {
  const { nats, lines } = await startNats();
  const client = await connectTo(nats);
  await (await client.jetstreamManager()).streams.add({ name: 'ORDERS', subjects: ['orders.>'] });
  for (let kills = 1; kills <= 2; kills += 1) {
    const pid = nats.health.pid!;
    process.kill(pid, 'SIGKILL');
    await eventually('the next one', () => nats.health.restarts === kills && nats.health.up);
    expect(nats.health.pid).not.toBe(pid);
    await eventually('a publish', () =>
      client
        .jetstream()
        .publish('orders.a', payload)
        .then(Boolean, () => false),
    );
  }
  expect(lines).toContainEqual(expect.objectContaining({ level: 50, msg: 'nats-server died; it is started again' }));
  expect(lines).toContainEqual(expect.objectContaining({ level: 30, msg: 'nats-server serves again' }));
});

test('when the shell that watches it is killed, the server is replaced and not doubled', async () => {
  const { nats } = await startNats();
  const pid = nats.health.pid!;
  process.kill(parentOf(pid), 'SIGKILL');
  await eventually('the next one', () => nats.health.restarts === 1 && nats.health.up);
  expect(isAlive(pid)).toBe(false);
  await connectTo(nats);
});

test('it dies with its parent, also of kill -9, and Ctrl-C reaches it through its parent only', async () => {
  const dataDir = newFolder();
  const script = fileURLToPath(new URL('nats-server-parent.ts', import.meta.url));
  needs('nats-server');
  const parent = spawn(process.execPath, ['--conditions=fermata-source', script, dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void parent.kill('SIGKILL'));
  const [line] = (await once(createInterface({ input: parent.stdout }), 'line')) as [string];
  const { pid } = JSON.parse(line) as { pid: number };
  const watcher = parentOf(pid);
  expect(isAlive(pid)).toBe(true);
  expect(sessionOf(pid)).toBe(watcher);
  expect(sessionOf(pid)).not.toBe(sessionOf(parent.pid!));
  parent.kill('SIGKILL');
  await eventually('the end of the server', () => !isAlive(pid) && !isAlive(watcher), 5000);
  // Nothing is in the way of the next start.
  const { nats } = await startNats({}, dataDir);
  await connectTo(nats);
});

test('a stop ends it, with clients connected, and nobody starts it again', async () => {
  const { nats, lines } = await startNats();
  await connectTo(nats);
  const pid = nats.health.pid!;
  const watcher = parentOf(pid);
  await Promise.all([nats.stop(5000), nats.stop(5000)]);
  expect([isAlive(pid), isAlive(watcher)]).toEqual([false, false]);
  expect(nats.health).toMatchObject({ up: false, pid: undefined, restarts: 0 });
  expect(lines.map(({ msg }) => msg)).toContain('Entering lame duck mode, stop accepting new clients');
  expect(lines.filter(({ level }) => level >= 50)).toEqual([]);
});

test('a stop kills a server that does not listen to signals', async () => {
  const { nats, lines } = await startNats();
  const pid = nats.health.pid!;
  process.kill(pid, 'SIGSTOP');
  await nats.stop(300);
  expect(isAlive(pid)).toBe(false);
  expect(lines.at(-1)).toMatchObject({ level: 40, msg: expect.stringContaining('was killed') });
});

test('a stop while it is about to come back leaves nothing behind', async () => {
  const { nats } = await startNats();
  process.kill(nats.health.pid!, 'SIGKILL');
  await eventually('its death', () => !nats.health.up);
  await nats.stop(2000);
  expect(nats.health).toMatchObject({ up: false, pid: undefined });
  await expect(connectTo(nats)).rejects.toThrow('CONNECTION_REFUSED');
});

test('one that a former run left behind is ended first', async () => {
  const { nats, dataDir } = await startNats();
  await nats.stop(2000);
  const left = spawn(needs('nats-server'), ['-c', join(dataDir, 'nats/nats.conf')], { stdio: 'ignore' });
  onTestFinished(() => void left.kill('SIGKILL'));
  await eventually('its mark', () => readFileSync(join(dataDir, 'nats/nats.pid'), 'utf8') === String(left.pid));
  const second = await startNats({}, dataDir);
  expect(left.exitCode ?? left.signalCode).not.toBeNull();
  expect(second.lines).toContainEqual(expect.objectContaining({ level: 40, pid: left.pid }));
});

test('a nats-server that is somebody else’s is left alone, and we do not start', async () => {
  const dataDir = newFolder();
  const { nats } = await startNats({}, dataDir);
  await nats.stop(2000);
  const pidPath = join(dataDir, 'nats/nats.pid');
  const foreign = spawn(needs('nats-server'), ['-a', '127.0.0.1', '-p', await freePort(), '-P', pidPath], {
    stdio: 'ignore',
  });
  onTestFinished(() => void foreign.kill('SIGKILL'));
  await eventually('its mark', () => readFileSync(pidPath, 'utf8') === String(foreign.pid));
  await expect(startNats({}, dataDir)).rejects.toMatchObject({
    message: expect.stringContaining(`process ${foreign.pid}`),
    exitCode: 73,
    hint: expect.stringContaining(pidPath),
  });
  expect(isAlive(foreign.pid!)).toBe(true);
});

test('a number that went to some other program meanwhile means nothing', async () => {
  const { nats, dataDir } = await startNats();
  await nats.stop(2000);
  writeFileSync(join(dataDir, 'nats/nats.pid'), String(process.pid));
  await startNats({}, dataDir);
});

test('a start that nats-server itself refuses says what it complained of', async () => {
  const dataDir = newFolder();
  const { nats } = await startNats({}, dataDir);
  await nats.stop(2000);
  // Where its store should be is a file.
  rmSync(join(dataDir, 'nats/jetstream'), { recursive: true });
  writeFileSync(join(dataDir, 'nats/jetstream'), '');
  await expect(startNats({}, dataDir)).rejects.toMatchObject({
    message: expect.stringMatching(/^nats-server did not start: .*jetstream/i),
    exitCode: 1,
  });
});

test('an address that is not of this machine is told as such', async () => {
  await expect(startNats({ host: '192.0.2.1' })).rejects.toMatchObject({
    message: expect.stringContaining('cannot listen on 192.0.2.1'),
    exitCode: 69,
  });
});
