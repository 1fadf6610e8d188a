/** What is found again: after kills and stops, under another count of shards, after leaving memory, by a second process. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, onTestFinished, test } from 'vitest';
import { getState, post } from '../support/http.ts';
import type { ServerProcess } from '../support/server.ts';
import { Stage } from '../support/stage.ts';
import { mint } from '../support/token.ts';

function newStage(): Stage {
  const stage = new Stage();
  onTestFinished(() => stage.end());
  return stage;
}

const tenants = ['acme', 'bolt'];
const ids = Array.from({ length: 20 }, (_, n) => `r${n}`);

/** One call of each kind to each of the actors. */
async function touch(stage: Stage, server: ServerProcess, round: number): Promise<void> {
  for (const tenant of tenants) {
    const client = await stage.connect(server, { tenant });
    const calls = ids.flatMap((id) => [
      client.rpc('counter', id, 'increment'),
      client.rpc('quick', id, 'increment'),
      client.rpc('list', id, 'append', { entry: `${id} in round ${round}` }),
    ]);
    expect([...new Set(await Promise.all(calls))]).toEqual([round]);
  }
}

async function statesOf(server: ServerProcess): Promise<unknown[]> {
  const states: unknown[] = [];
  for (const tenant of tenants) {
    const token = await mint({ tenant });
    for (const id of ids) {
      for (const type of ['counter', 'quick', 'list'])
        states.push((await getState(server.address, type, id, { token })).json());
    }
  }
  return states;
}

function statesAfter(rounds: number): unknown[] {
  const one = (id: string): unknown[] => [
    { count: rounds },
    { count: rounds },
    { entries: Array.from({ length: rounds }, (_, n) => `${id} in round ${n + 1}`) },
  ];
  return tenants.flatMap(() => ids.flatMap(one));
}

test('all state is there under another count of shards, after kills and after stops', async () => {
  const stage = newStage();
  const dataDir = stage.dataDir();
  let round = 0;
  for (const [shards, end] of [
    [1, 'kill9'],
    [3, 'kill9'],
    [2, 'term'],
    [4, 'term'],
    [1, 'kill9'],
  ] as const) {
    const server = await stage.serve({ app: 'ledger', dataDir, args: ['--shards', String(shards)] });
    expect(await statesOf(server)).toEqual(statesAfter(round));
    const journals = readdirSync(join(dataDir, 'journal')).filter((name) => name.endsWith('.db'));
    expect(journals.sort()).toEqual(Array.from({ length: shards }, (_, n) => `${n}.db`));
    round += 1;
    await touch(stage, server, round);
    await server[end]();
  }
  const last = await stage.serve({ app: 'ledger', dataDir, args: ['--shards', '2'] });
  expect(await statesOf(last)).toEqual(statesAfter(round));
});

test('an actor that left memory comes back as it was, and goes on', async () => {
  const stage = newStage();
  const server = await stage.serve({ app: 'ledger', args: ['--limit', 'actorIdleMs=200'] });
  const client = await stage.connect(server);
  for (let round = 1; round <= 3; round += 1) {
    const from = server.logs.length;
    expect(await client.rpc('counter', 'idle', 'increment')).toBe(round);
    expect(await client.rpc('list', 'idle', 'append', { entry: `${round}` })).toBe(round);
    await server.logged((line) => line.msg === 'left memory' && server.logs.indexOf(line) >= from);
  }
  expect(await client.subscribe('counter', 'idle')).toEqual({ count: 3 });
  expect(await client.subscribe('list', 'idle')).toEqual({ entries: ['1', '2', '3'] });
});

test('an actor with a subscriber stays in memory, and its patches go on', async () => {
  const stage = newStage();
  const server = await stage.serve({ app: 'ledger', args: ['--limit', 'actorIdleMs=200'] });
  const client = await stage.connect(server);
  await client.subscribe('counter', 'watched');
  // Two sweeps that take others with them.
  for (const id of ['idle-1', 'idle-2']) {
    await client.rpc('counter', id, 'increment');
    await server.logged(({ msg, actorId }) => msg === 'left memory' && actorId === id);
  }
  await client.rpc('counter', 'watched', 'increment');
  expect(client.frames.at(-2)).toMatchObject({
    type: 'state:patch',
    patches: [{ op: 'replace', path: '/count', value: 1 }],
  });
  expect(server.logs.some(({ actorId }) => actorId === 'watched')).toBe(false);
});

test('a second process on the same directory refuses with 73, and the first goes on', async () => {
  const stage = newStage();
  const first = await stage.serve({ app: 'ledger' });
  const client = await stage.connect(first);
  expect(await client.rpc('counter', 'c', 'increment')).toBe(1);
  const second = stage.launch({ app: 'ledger', dataDir: first.dataDir });
  expect(await second.exited).toEqual({ code: 73, signal: null });
  expect(second.output).toContain(first.dataDir);
  expect(await client.rpc('counter', 'c', 'increment')).toBe(2);
  await first.kill9();
  // A dead owner holds nothing.
  const third = await stage.serve({ app: 'ledger', dataDir: first.dataDir });
  expect(await (await stage.connect(third)).rpc('counter', 'c', 'increment')).toBe(3);
});

describe('files of a later version', () => {
  async function stored(stage: Stage): Promise<string> {
    const server = await stage.serve({ app: 'ledger' });
    for (const tenant of tenants) await (await stage.connect(server, { tenant })).rpc('counter', 'c', 'increment');
    expect((await server.term()).code).toBe(0);
    return server.dataDir;
  }

  function raiseVersion(path: string): void {
    const db = new Database(path, { fileMustExist: true });
    db.pragma('user_version = 99');
    db.close();
  }

  test('a journal stops the start with one clear line', async () => {
    const stage = newStage();
    const dataDir = await stored(stage);
    raiseVersion(join(dataDir, 'journal', '0.db'));
    const server = stage.launch({ app: 'ledger', dataDir });
    expect(await server.exited).toEqual({ code: 73, signal: null });
    expect(server.output).toMatch(/^fermata: .*version 99.*start the newer Fermata/m);
    expect(server.logs.some(({ msg }) => msg === 'ready')).toBe(false);
  });

  test('a tenant file closes its tenant, and the others go on', async () => {
    const stage = newStage();
    const dataDir = await stored(stage);
    raiseVersion(join(dataDir, 'tenants', 'acme', 'tenant.db'));
    const server = await stage.serve({ app: 'ledger', dataDir });
    const ask = async (tenant: string) =>
      await post(server.address, ['counter', 'c', 'increment'], { token: await mint({ tenant }) });
    const refused = await ask('acme');
    expect([refused.status, refused.json().error]).toEqual([
      503,
      expect.objectContaining({ code: 'QUARANTINED', message: expect.stringContaining('newer') }),
    ]);
    expect((await ask('bolt')).json()).toEqual({ result: 2 });
    expect(existsSync(join(dataDir, 'quarantine', 'acme'))).toBe(false);
  });
});
