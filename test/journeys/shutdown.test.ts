/** SIGTERM finishes what was begun, tells everybody, and ends with 0; what cannot be finished in time ends with 1. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { getState, post, send } from '../support/http.ts';
import type { ServerProcess } from '../support/server.ts';
import { freePort, Stage } from '../support/stage.ts';
import { mint } from '../support/token.ts';

function newStage(): Stage {
  const stage = new Stage();
  onTestFinished(() => stage.end());
  return stage;
}

/** Bytes in `-wal` files under the data directory, by name. */
function walBytes(dataDir: string): Record<string, number> {
  const files = readdirSync(dataDir, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('-wal'));
  return Object.fromEntries(
    files.map((name) => [name, statSync(join(dataDir, name)).size]).filter(([, bytes]) => bytes !== 0),
  );
}

async function doneOf(stage: Stage, dataDir: string, id: string): Promise<number> {
  const server = await stage.serve({ app: 'busy', dataDir });
  const { json } = await getState(server.address, 'sleeper', id, { token: await mint() });
  await server.kill9();
  return (json() as { done: number }).done;
}

describe('a stop under load', () => {
  test('delivers the answer of every call that was accepted, says 1012 and ends with 0', async () => {
    const stage = newStage();
    const server = await stage.serve({ app: 'busy', args: ['--shards', '2'] });
    const base = await stage.connect(server);
    const v1 = await stage.connect(server, { v1: true });
    const calls = [base, v1].flatMap((client, who) =>
      Array.from({ length: 50 }, (_, n) =>
        client.call({ actor: 'sleeper', actorId: `${who}.${n % 5}`, method: 'sleep', input: { ms: n % 20 } }),
      ),
    );
    const http = post(server.address, ['sleeper', 'http', 'sleep'], { token: await mint(), input: { ms: 1000 } });
    // All of them are on the server when the last one was answered by another actor.
    await Promise.all([base.rpc('sleeper', 'mark', 'quick'), v1.rpc('sleeper', 'mark', 'quick')]);
    expect((await post(server.address, ['sleeper', 'mark', 'quick'], { token: await mint() })).status).toBe(200);
    const exit = server.term();
    const answers = await Promise.all(calls);
    for (const reply of answers) expect(reply.error).toBeUndefined();
    expect((await http).status).toBe(200);
    for (const client of [base, v1]) {
      expect((await client.closed).code).toBe(1012);
      const shutdown = client.frames.filter(({ type }) => type === 'server:shutdown');
      expect(shutdown).toEqual([{ type: 'server:shutdown', reason: 'deployment', reconnectInMs: expect.any(Number) }]);
    }
    expect(await exit).toEqual({ code: 0, signal: null });
    expect(walBytes(server.dataDir)).toEqual({});
    for (const id of ['0.0', '1.4']) expect(await doneOf(stage, server.dataDir, id)).toBe(10);
    expect(await doneOf(stage, server.dataDir, 'http')).toBe(1);
  });

  test('refuses what comes late, and lets nobody in any more', async () => {
    const stage = newStage();
    const server = await stage.serve({ app: 'busy' });
    const client = await stage.connect(server, { v1: true });
    const slow = client.call({ actor: 'sleeper', actorId: 's', method: 'sleep', input: { ms: 600 } });
    await client.rpc('sleeper', 'mark', 'quick');
    const exit = server.term();
    await client.until(({ type }) => type === 'server:shutdown');
    const late = await client.call({ actor: 'sleeper', actorId: 'late', method: 'quick' });
    expect(late).toMatchObject({
      outcome: 'rejected',
      code: 'DRAINING',
      retryable: true,
      retryAfterMs: expect.any(Number),
    });
    await expect(stage.connect(server)).rejects.toThrow(/ECONNREFUSED|503/);
    expect(await slow).toMatchObject({ outcome: 'ok', result: 1 });
    expect(await exit).toEqual({ code: 0, signal: null });
    expect(await doneOf(stage, server.dataDir, 's')).toBe(1);
    expect(await doneOf(stage, server.dataDir, 'late')).toBe(0);
  });

  test('runs onDeactivate, and finds memory empty of ghosts', async () => {
    const stage = newStage();
    const server = await stage.serve({ app: 'ledger' });
    const client = await stage.connect(server);
    for (const id of ['a', 'b', 'c']) await client.rpc('counter', id, 'increment');
    expect((await server.term()).code).toBe(0);
    const left = server.logs.filter(({ msg }) => msg === 'left memory').map(({ actorId }) => String(actorId));
    expect(left.sort()).toEqual(['a', 'b', 'c']);
  });

  test('SIGINT does the same', async () => {
    const stage = newStage();
    const server = await stage.serve({ app: 'busy' });
    const client = await stage.connect(server);
    await client.rpc('sleeper', 's', 'quick');
    server.signal('SIGINT');
    expect(await server.exited).toEqual({ code: 0, signal: null });
    expect((await client.closed).code).toBe(1012);
    expect(server.logs.at(-1)).toMatchObject({ msg: 'stopped', exitCode: 0, ms: expect.any(Number) });
    const steps = [
      'traffic',
      'calls',
      'sockets',
      'backups',
      'sessions',
      'shards',
      'keeper',
      'listen',
      'threads',
      'data directory',
    ];
    expect(Object.keys(server.logs.at(-1)!['stepsMs'] as object)).toEqual(steps);
  });
});

describe('a handler that never ends', () => {
  const timeoutMs = 2000;

  async function stuck(stage: Stage): Promise<ServerProcess> {
    const server = await stage.serve({ app: 'busy', env: { SHUTDOWN_TIMEOUT_MS: String(timeoutMs) } });
    const client = await stage.connect(server, { v1: true });
    expect(await client.rpc('sleeper', 's', 'quick')).toBe(1);
    const never = client
      .call({ actor: 'sleeper', actorId: 's', method: 'never' })
      .catch(({ name }: Error) => ({ name }));
    // Its mailbox is behind it: answered means that the actor is in the handler by now.
    await client.rpc('sleeper', 'other', 'quick');
    onTestFinished(async () => {
      const end = await never;
      // Not acknowledged, and not called a failure either.
      expect('name' in end ? end.name : end.outcome).toMatch(/^LostError$|^unknown$/);
    });
    return server;
  }

  test('is cut off within the budget: exit 1, and what was acknowledged is there', async () => {
    const stage = newStage();
    const server = await stuck(stage);
    const began = performance.now();
    expect(await server.term()).toEqual({ code: 1, signal: null });
    // A bound, not a speed: the process must not outlive its budget and be killed by whoever sent the signal.
    expect(performance.now() - began).toBeLessThan(timeoutMs + 1000);
    expect(await doneOf(stage, server.dataDir, 's')).toBe(1);
    expect(await doneOf(stage, server.dataDir, 'other')).toBe(1);
  });

  test('does not stop a second signal from ending everything at once', async () => {
    const stage = newStage();
    const server = await stuck(stage);
    server.signal('SIGTERM');
    await server.logged(({ msg }) => msg === 'stopping');
    server.signal('SIGTERM');
    expect(await server.exited).toEqual({ code: 143, signal: null });
    expect(server.output).toContain('second signal');
    expect(await doneOf(stage, server.dataDir, 's')).toBe(1);
    expect(await doneOf(stage, server.dataDir, 'other')).toBe(1);
  });
});

test('a loop that never ends, and a client that does not read, are cut off within the budget', async () => {
  const timeoutMs = 3000;
  const stage = newStage();
  const options = { app: 'faults', dataDir: stage.dataDir() };
  const server = await stage.serve({ ...options, env: { SHUTDOWN_TIMEOUT_MS: String(timeoutMs) } });
  const deaf = await stage.connect(server, { v1: true });
  const client = await stage.connect(server, { v1: true });
  expect(await client.rpc('faults', 'kept', 'add')).toBe(1);
  deaf.pause();
  const looping = client.call({ actor: 'faults', actorId: 'f', method: 'loop' }).catch(({ name }: Error) => ({ name }));
  // Answered in order: the call is with its shard by then.
  client.send({ type: 'ping' });
  await client.until(({ type }) => type === 'pong');
  const began = performance.now();
  expect(await server.term()).toEqual({ code: 1, signal: null });
  // A bound, not a speed: the process must not outlive its budget and be killed by whoever sent the signal.
  expect(performance.now() - began).toBeLessThan(timeoutMs + 1000);
  const end = await looping;
  expect('name' in end ? end.name : end.outcome).toMatch(/^LostError$|^unknown$/);
  const again = await stage.connect(await stage.serve(options));
  expect(await again.rpc('faults', 'kept', 'get')).toBe(1);
});

test('health and readiness part ways while the process drains', async () => {
  const stage = newStage();
  const adminPort = await freePort();
  const server = await stage.serve({ app: 'busy', args: ['--admin-port', adminPort] });
  const admin = `http://127.0.0.1:${adminPort}`;
  const ask = async (address: string, path: string): Promise<number> => (await send(address, 'GET', path)).status;
  for (const address of [server.address, admin]) {
    expect([await ask(address, '/health'), await ask(address, '/ready')]).toEqual([200, 200]);
  }
  const client = await stage.connect(server);
  const slow = client.rpc('sleeper', 's', 'sleep', { ms: 500 });
  await client.rpc('sleeper', 'mark', 'quick');
  const exit = server.term();
  await client.until(({ type }) => type === 'server:shutdown');
  expect([await ask(admin, '/health'), await ask(admin, '/ready')]).toEqual([200, 503]);
  expect(await slow).toBe(1);
  expect(await exit).toEqual({ code: 0, signal: null });
});

test('a signal during the start ends what had started', async () => {
  const stage = newStage();
  const server = stage.launch({ app: 'busy' });
  await server.logged(({ msg }) => msg === 'app loaded');
  expect(await server.term()).toEqual({ code: 0, signal: null });
});
