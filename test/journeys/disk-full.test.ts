/**
 * A disk that is full, for real: a small tmpfs, filled by a ballast file while calls come in. Needs the right to mount.
 *
 * Nothing may be acknowledged that is not there afterwards, reading goes on, the process lives, and writing comes back by
 * itself when there is room again.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { BaseClient, Reply } from '../support/base-client.ts';
import { getState } from '../support/http.ts';
import { Stage } from '../support/stage.ts';
import { mint } from '../support/token.ts';
import { eventually } from '../support/wait.ts';

const tenants = ['acme', 'bolt'];

/** A disk of 24 MiB. Unmounted when the test has ended. */
function smallDisk(stage: Stage): string {
  onTestFinished(() => stage.end());
  const disk = join(stage.dataDir(), 'disk');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', disk]);
  stage.atEnd(() => execFileSync('umount', [disk]));
  return disk;
}

/** Takes every byte that is left. */
function fill(path: string): void {
  const file = openSync(path, 'a');
  for (let bytes = 1024 * 1024; bytes >= 512; ) {
    try {
      if (writeSync(file, Buffer.alloc(bytes, 1)) < bytes) bytes /= 2;
    } catch {
      bytes /= 2;
    }
  }
  closeSync(file);
}

interface End extends Reply {
  readonly key: string;
}

/** Appends until `done` says so; every entry with how its call ended. */
async function append(
  client: BaseClient,
  prefix: string,
  done: (reply: Reply, n: number) => boolean,
): Promise<Map<string, End>> {
  const ends = new Map<string, End>();
  for (let n = 0; ; n += 1) {
    const entry = `${prefix} ${n} ${'x'.repeat(2000)}`;
    const key = `${prefix} ${n}`;
    const reply = await client.call({ actor: 'list', actorId: 'log', method: 'append', input: { entry }, key });
    ends.set(entry, { ...reply, key });
    if (done(reply, n)) return ends;
  }
}

function entriesOf(ends: ReadonlyMap<string, Reply>, ...outcomes: string[]): string[] {
  return [...ends].filter(([, { outcome }]) => outcomes.includes(outcome ?? '')).map(([entry]) => entry);
}

test('a full disk loses nothing that was acknowledged, and heals by itself', { timeout: 90_000 }, async () => {
  const stage = new Stage();
  const disk = smallDisk(stage);
  const dataDir = join(disk, 'data');
  const ballast = join(disk, 'ballast');
  const args = ['--shards', '2'];
  const server = await stage.serve({ app: 'ledger', dataDir, args });
  const clients = await Promise.all(tenants.map((tenant) => stage.connect(server, { tenant, v1: true })));
  const ends = new Map(tenants.map((tenant) => [tenant, new Map<string, End>()]));

  const appendAll = async (prefix: string, done: (reply: Reply, n: number) => boolean): Promise<void> => {
    await Promise.all(
      tenants.map(async (tenant, at) => {
        for (const [entry, reply] of await append(clients[at]!, prefix, done)) ends.get(tenant)!.set(entry, reply);
      }),
    );
  };

  await appendAll('before', (_, n) => n === 20);
  // A file that comes into being when there is no room any more cannot be read either.
  const wals = tenants.map((tenant) => join(dataDir, 'tenants', tenant, 'tenant.db-wal'));
  await eventually('the tenants have files', () =>
    wals.every((path) => (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0),
  );
  fill(ballast);
  expect(statfsSync(disk).bavail).toBe(0);
  // Both tenants go on until they were refused several times.
  let refusals = 0;
  await appendAll('full', ({ outcome }) => {
    if (outcome !== 'ok') refusals += 1;
    return refusals >= 20;
  });
  for (const [at, tenant] of tenants.entries()) {
    const replies = [...ends.get(tenant)!.values()];
    for (const { outcome, code, retryable } of replies.filter((reply) => reply.outcome !== 'ok')) {
      expect({ code, retryable }).toEqual({ code: outcome === 'unknown' ? 'UNKNOWN' : 'READ_ONLY', retryable: true });
    }
    // Reading goes on, also of an actor that was never in memory.
    const token = await mint({ tenant });
    const seen = (await clients[at]!.rpc('list', 'log', 'entries')) as string[];
    for (const entry of entriesOf(ends.get(tenant)!, 'ok')) expect(seen).toContain(entry);
    expect((await getState(server.address, 'list', 'log', { token })).status).toBe(200);
    expect(await getState(server.address, 'counter', 'fresh', { token })).toMatchObject({
      status: 200,
      text: '{"count":0}',
    });
  }

  rmSync(ballast);
  for (const client of clients) {
    await eventually('writes return after there is space again', async () => {
      return (await client.call({ actor: 'counter', actorId: 'healed', method: 'increment' })).outcome === 'ok';
    });
  }
  // What may have happened is repeated with its key, and has happened once then.
  for (const [at, tenant] of tenants.entries()) {
    for (const [entry, { outcome, key }] of ends.get(tenant)!) {
      if (outcome !== 'unknown') continue;
      const repeat = await clients[at]!.call({
        actor: 'list',
        actorId: 'log',
        method: 'append',
        input: { entry },
        key,
      });
      expect(repeat.outcome).toBe('ok');
      ends.get(tenant)!.set(entry, { ...repeat, key });
    }
  }
  await appendAll('after', ({ outcome }, n) => {
    expect(outcome).toBe('ok');
    return n === 20;
  });

  await server.kill9();
  const again = await stage.serve({ app: 'ledger', dataDir, args });
  for (const tenant of tenants) {
    const { json } = await getState(again.address, 'list', 'log', { token: await mint({ tenant }) });
    const { entries } = json() as { entries: string[] };
    const all = ends.get(tenant)!;
    expect(new Set(entries).size).toBe(entries.length);
    expect(entriesOf(all, 'ok').filter((entry) => !entries.includes(entry))).toEqual([]);
    expect(entriesOf(all, 'rejected', 'failed').filter((entry) => entries.includes(entry))).toEqual([]);
  }
});

test('a stop on a full disk ends within its time, and loses nothing that was acknowledged', {
  timeout: 60_000,
}, async () => {
  const stage = new Stage();
  const disk = smallDisk(stage);
  const dataDir = join(disk, 'data');
  const ballast = join(disk, 'ballast');
  const timeoutMs = 5000;
  const options = { app: 'ledger', dataDir, env: { SHUTDOWN_TIMEOUT_MS: String(timeoutMs) } };
  const server = await stage.serve(options);
  const client = await stage.connect(server, { v1: true });
  const ends = await append(client, 'before', (_, n) => n === 20);
  fill(ballast);
  let refusals = 0;
  const full = await append(client, 'full', ({ outcome }) => {
    if (outcome !== 'ok') refusals += 1;
    return refusals >= 5;
  });
  for (const [entry, end] of full) ends.set(entry, end);
  const began = performance.now();
  expect(await server.term()).toEqual({ code: 0, signal: null });
  // A bound, not a speed: the process must not outlive its budget and be killed by whoever sent the signal.
  expect(performance.now() - began).toBeLessThan(timeoutMs + 1000);
  expect((await client.closed).code).toBe(1012);

  rmSync(ballast);
  const again = await stage.serve(options);
  const { json } = await getState(again.address, 'list', 'log', { token: await mint() });
  const { entries } = json() as { entries: string[] };
  expect(new Set(entries).size).toBe(entries.length);
  expect(entriesOf(ends, 'ok').filter((entry) => !entries.includes(entry))).toEqual([]);
  expect(entriesOf(ends, 'rejected', 'failed').filter((entry) => entries.includes(entry))).toEqual([]);
});

test('a start on a full disk serves what is there, or says why it cannot', { timeout: 60_000 }, async () => {
  const stage = new Stage();
  const disk = smallDisk(stage);
  const dataDir = join(disk, 'data');
  const before = await stage.serve({ app: 'ledger', dataDir });
  const client = await stage.connect(before, { v1: true });
  const ends = await append(client, 'before', (_, n) => n === 50);
  await before.kill9();
  fill(join(disk, 'ballast'));
  const during = stage.launch({ app: 'ledger', dataDir });
  const outcome = await Promise.race([
    during.ready().then(
      () => 'ready',
      () => 'ended',
    ),
    during.exited.then(() => 'ended'),
  ]);
  if (outcome === 'ready') {
    const { status } = await getState(during.address, 'list', 'log', { token: await mint() });
    expect(status).toBe(200);
    await during.kill9();
  } else {
    expect(await during.exited).toEqual({ code: 73, signal: null });
    expect(during.output).toMatch(/^fermata: .*disk is full/m);
  }
  rmSync(join(disk, 'ballast'));
  const after = await stage.serve({ app: 'ledger', dataDir });
  const { json } = await getState(after.address, 'list', 'log', { token: await mint() });
  expect((json() as { entries: string[] }).entries).toEqual(entriesOf(ends, 'ok'));
});
