/**
 * Threads that die, through the shipped command: the process lives, everybody gets an answer, the others go on, the shard
 * comes back. `npm run torture -- --only faults` does the first part forty times each.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { shardOf } from '../../src/protocol/placement.ts';
import type { BaseClient, Reply } from '../support/base-client.ts';
import { getState, send } from '../support/http.ts';
import { root, type ServerProcess } from '../support/server.ts';
import { run, Stage } from '../support/stage.ts';
import { mint } from '../support/token.ts';
import { eventually } from '../support/wait.ts';
import { type Fault, faults, runFaultRounds } from '../torture/fault-rounds.ts';

function newStage(): Stage {
  const stage = new Stage();
  onTestFinished(() => stage.end());
  return stage;
}

/** Until the server takes the call. */
async function accepted(client: BaseClient, actor: string, actorId: string, method: string): Promise<Reply> {
  return await eventually<Reply>('a call is accepted', async () => {
    const reply = await client.call({ actor, actorId, method });
    return reply.code === 'OVERLOADED' ? undefined! : reply;
  });
}

test('whatever an app does, it harms nobody else', { timeout: 90_000 }, async () => {
  const all = Object.keys(faults) as Fault[];
  const report = await runFaultRounds(all, { seed: 1, rounds: all.length, dataDir: newStage().dataDir() });
  expect(report.violations).toEqual([]);
  expect(report.acknowledged).toBeGreaterThan(5 * all.length);
  for (const awayMs of report.readyMs) expect(awayMs).toBeLessThan(2000);
  const deadly = all.filter((fault) => faults[fault].dies === 'always');
  expect(report.readyMs.length).toBeGreaterThanOrEqual(deadly.length);
});

test('a promise that nobody awaited is told in the log', async () => {
  const stage = newStage();
  const server = await stage.serve({ app: 'faults' });
  const client = await stage.connect(server);
  await client.rpc('faults', 'f', 'rejectUnawaited');
  const line = await server.logged(({ msg }) => msg?.includes('nobody awaited') === true);
  expect(line).toMatchObject({ level: 50, err: { message: 'nobody awaited this' } });
});

describe('a call that ends its shard each time', () => {
  test('is run three times, refused from then on, also after a restart, until it is released', async () => {
    const stage = newStage();
    const dataDir = stage.dataDir();
    const aside = stage.dataDir();
    const tally = join(aside, 'tally');
    const mended = join(aside, 'mended');
    const options = { app: 'deadly', dataDir, args: ['--shards', '2'], env: { TALLY: tally, MENDED: mended } };
    const executions = (): number => (existsSync(tally) ? readFileSync(tally, 'utf8').length : 0);
    const kill = async (client: BaseClient): Promise<Reply> =>
      await eventually<Reply>('the shard takes calls', async () => {
        const call = { actor: 'deadly', actorId: 'd', method: 'kill', key: 'the same each time' };
        const reply = await client.call(call);
        return reply.code === 'OVERLOADED' ? undefined! : reply;
      });

    const server = await stage.serve(options);
    const client = await stage.connect(server, { v1: true });
    expect(await client.rpc('deadly', 'd', 'add')).toBe(1);
    for (let times = 1; times <= 3; times += 1) {
      expect((await kill(client)).outcome).toBe('unknown');
      expect(executions()).toBe(times);
    }
    for (let times = 0; times < 5; times += 1)
      expect(await kill(client)).toMatchObject({ outcome: 'rejected', code: 'QUARANTINED', retryable: false });
    expect((await accepted(client, 'deadly', 'd', 'add')).result).toBe(2);

    await server.kill9();
    const again = await stage.serve(options);
    const later = await stage.connect(again, { v1: true });
    expect(await kill(later)).toMatchObject({ code: 'QUARANTINED' });
    expect(await later.rpc('deadly', 'd', 'add')).toBe(3);
    expect(executions()).toBe(3);

    writeFileSync(mended, '');
    const list = await run(['quarantine', 'list', '--json', '--data-dir', dataDir]);
    const [call] = JSON.parse(list.stdout) as [{ fingerprint: string; method: string }];
    expect(call.method).toBe('kill');
    expect((await run(['quarantine', 'release', call.fingerprint, '--data-dir', dataDir])).code).toBe(0);
    await eventually('the running server lets it through', async () => (await kill(later)).outcome === 'ok');
    expect(await later.rpc('deadly', 'd', 'add')).toBe(5);
    expect(executions()).toBe(3);
  });
});

test('a shard that stays away makes the process unready, and only then; it comes back by itself', async () => {
  const stage = newStage();
  const aside = stage.dataDir();
  const broken = join(aside, 'broken');
  const env = { BROKEN: broken, TALLY: join(aside, 'tally') };
  const server = await stage.serve({ app: 'deadly', args: ['--shards', '2'], env });
  const client = await stage.connect(server, { v1: true });
  const [here, there] = [0, 1].map((shard) => idOn(shard, 2, 'deadly'));
  const ask = async (path: string): Promise<number> => (await send(server.address, 'GET', path)).status;
  expect(await client.rpc('deadly', here!, 'add')).toBe(1);
  writeFileSync(broken, '');
  expect((await client.call({ actor: 'deadly', actorId: here!, method: 'kill', key: 'k' })).outcome).toBe('unknown');
  expect([await ask('/health'), await ask('/ready')]).toEqual([200, 200]);
  expect(await client.call({ actor: 'deadly', actorId: here!, method: 'add' })).toMatchObject({
    outcome: 'rejected',
    code: 'OVERLOADED',
    retryAfterMs: expect.any(Number),
  });
  await eventually('the process is unready', async () => (await ask('/ready')) === 503);
  expect(await ask('/health')).toBe(200);
  expect(await client.rpc('deadly', there!, 'add')).toBe(1);
  rmSync(broken);
  await eventually('the process is ready again', async () => (await ask('/ready')) === 200);
  expect((await accepted(client, 'deadly', here!, 'add')).result).toBe(2);
  expect(await client.rpc('deadly', there!, 'add')).toBe(2);
});

test('sixteen dead threads leave no file open and no memory behind', { timeout: 60_000 }, async () => {
  const stage = newStage();
  const shards = 4;
  const server = await stage.serve({ app: 'faults', args: ['--shards', String(shards)] });
  const client = await stage.connect(server, { v1: true });
  const ids = Array.from({ length: shards }, (_, shard) => idOn(shard, shards, 'faults'));
  const sizes: { files: number; mb: number }[] = [];
  for (let round = 1; round <= 4; round += 1) {
    for (const id of ids) expect((await accepted(client, 'faults', id, 'add')).result).toBe(round);
    sizes.push(sizeOf(server));
    const deaths = ids.map((actorId) => client.call({ actor: 'faults', actorId, method: 'exit', key: `${round}` }));
    expect((await Promise.all(deaths)).map(({ outcome }) => outcome)).toEqual(ids.map(() => 'unknown'));
  }
  // The first restart may open what stays open for good.
  const { files, mb } = sizes[1]!;
  const last = sizes.at(-1)!;
  expect(last.files).toBeLessThanOrEqual(files + 1);
  expect(last.mb).toBeLessThan(mb + 100);
});

test('a fault in the keeper ends the process with 70, and nothing acknowledged is lost', async () => {
  const stage = newStage();
  const preload = join(root, 'test/support/preloads/keeper-fault.ts');
  const server = await stage.serve({ app: 'ledger', args: ['--shards', '2'], preload });
  const client = await stage.connect(server, { v1: true });
  const counts = await Promise.all(
    Array.from({ length: 50 }, () => client.rpc('counter', 'c', 'increment') as Promise<number>),
  );
  const doomed = client.call({ actor: 'counter', actorId: 'doom', method: 'increment' }).catch(() => undefined);
  expect(await server.exited).toEqual({ code: 70, signal: null });
  // Not acknowledged: its thread was gone, or its socket.
  expect((await doomed)?.outcome).not.toBe('failed');
  expect(server.output).toContain('a fault in the keeper');
  const again = await stage.serve({ app: 'ledger', dataDir: server.dataDir });
  const { json } = await getState(again.address, 'counter', 'c', { token: await mint() });
  expect(json()).toEqual({ count: Math.max(...counts) });
});

describe.each([1, 2])('a fault in a gateway, of %i', (gateways) => {
  test('costs its sockets only: it is started again, and its clients are not there any more', async () => {
    const stage = newStage();
    const preload = join(root, 'test/support/preloads/gateway-fault.ts');
    const args = ['--shards', '2', '--gateways', `${gateways}`];
    const server = await stage.serve({ app: 'examples/chat.ts', args, preload });
    for (let round = 1; round <= 3; round += 1) {
      const client = await stage.connect(server, { v1: true, sub: `user-${round}` });
      await client.rpc('chat', 'lobby', 'sendMessage', { text: `in round ${round}` });
      // Records are carried once per second.
      if (round === 1) await eventually('it is on record', async () => (await sessions(server))['user-1'] === 'active');
      client.send({
        type: 'rpc',
        id: 'x',
        actor: 'chat',
        actorId: 'doom',
        method: 'sendMessage',
        input: { text: 'x' },
      });
      await client.closed;
      await server.logged(() => server.logs.filter(({ msg }) => msg === 'the gateway serves again').length === round);
    }
    const last = await stage.connect(server, { v1: true, sub: 'last' });
    await eventually('only the last one is there', async () => {
      const { online, messages } = (await last.subscribe('chat', 'lobby')) as { online: object; messages: unknown[] };
      return messages.length === 3 && Object.keys(online).join() === last.clientId;
    });
    await eventually('its session is on record as ended, and only the last one is open', async () => {
      const found = await sessions(server);
      const open = Object.keys(found).filter((user) => !found[user]!.startsWith('inactive'));
      return found['user-1'] === 'inactive crash' && open.join() === 'last';
    });
    server.signal('SIGTERM');
    expect(await server.exited).toEqual({ code: 0, signal: null });
  });
});

/** Status and reason of each user's session, as on record. */
async function sessions({ dataDir }: ServerProcess): Promise<Record<string, string>> {
  const { stdout } = await run(['inspect', 'sessions', 'acme', '--json', '--data-dir', dataDir]);
  if (stdout === '') return {};
  const records = JSON.parse(stdout) as { userId: string; status: string; reason: string }[];
  return Object.fromEntries(records.map(({ userId, status, reason }) => [userId, `${status} ${reason}`.trim()]));
}

function idOn(shard: number, shards: number, type: string): string {
  for (let n = 0; ; n += 1) if (shardOf('acme', type, `id${n}`, shards) === shard) return `id${n}`;
}

function sizeOf({ pid }: ServerProcess): { files: number; mb: number } {
  const [, kb] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return { files: readdirSync(`/proc/${pid}/fd`).length, mb: Number(kb) / 1024 };
}
