/**
 * Disks that fail at fsync or at a write, once or for a while, or take their time: a library preloaded into the shipped
 * command stands between it and the disk.
 *
 * Under load and through it all: no answer says ok for what is not there afterwards, reading goes on, the process lives, and
 * writing comes back by itself.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type DiskFault, FaultyDisk, forever } from '../support/faulty-disk.ts';
import { getState } from '../support/http.ts';
import type { ServerProcess } from '../support/server.ts';
import { Stage } from '../support/stage.ts';
import { mint } from '../support/token.ts';
import { eventually } from '../support/wait.ts';
import { checkAgainst } from '../torture/check.ts';
import { plantPath, seed } from '../torture/expectations.ts';
import { Load } from '../torture/load.ts';
import { ActorLog, type Violation } from '../torture/oracle.ts';
import { SeededRandom } from '../torture/seeded-random.ts';

const args = ['--shards', '2', '--limit', 'messagesPerSecond=0', '--limit', 'messagesBurst=0'];
const tenants = ['acme', 'bolt'];

interface Scene {
  readonly stage: Stage;
  readonly disk: FaultyDisk;
  readonly server: ServerProcess;
  readonly actors: readonly ActorLog[];
  readonly random: SeededRandom;
}

async function newScene(preload?: string): Promise<Scene> {
  const stage = new Stage();
  onTestFinished(() => stage.end());
  const disk = new FaultyDisk(stage.dataDir());
  stage.atEnd(() => disk.close());
  const plant = preload === undefined ? {} : { preload };
  const server = await stage.serve({ app: 'ledger', args, env: disk.env, ...plant });
  const actors = tenants.flatMap((tenant) => [
    ...Array.from({ length: 4 }, (_, n) => new ActorLog('counter', tenant, `c${n}`)),
    new ActorLog('list', tenant, 'l'),
  ]);
  return { stage, disk, server, actors, random: new SeededRandom(seed) };
}

function loadOn({ server, random }: Scene, actors: readonly ActorLog[]): Load {
  return new Load({ address: server.address, actors, connections: 4, window: 2, pauseMsMax: 10, random });
}

async function canRead({ server }: Scene): Promise<void> {
  for (const tenant of tenants) {
    const token = await mint({ tenant });
    for (const id of ['c0', 'never touched'])
      expect((await getState(server.address, 'counter', id, { token })).status).toBe(200);
  }
}

async function acksGoOn(load: Load): Promise<void> {
  const before = load.acked;
  await eventually('calls are acknowledged again', () => load.acked > before + 20, 15_000);
}

/** Nothing is amiss now, nor after the process was killed and the disk is sound. */
async function checkTwice(scene: Scene, load: Load): Promise<void> {
  const violations: Violation[] = [...load.violations];
  await checkAgainst(scene.server.address, scene.actors, { violations, random: scene.random, repeats: 20 });
  violations.push(...(await foundAfterKill(scene)));
  expect({ seed, violations }).toEqual({ seed, violations: [] });
}

async function foundAfterKill({ stage, server, actors, random }: Scene): Promise<Violation[]> {
  const violations: Violation[] = [];
  await server.kill9();
  const again = await stage.serve({ app: 'ledger', args, dataDir: server.dataDir });
  await checkAgainst(again.address, actors, { violations, random, repeats: 20 });
  return violations;
}

// Where a commit is written. A mark that cannot be written costs nothing, nor does a checkpoint; nobody is told of those.
const wal = '/journal/0.db-wal';
const passing: readonly [string, DiskFault][] = [
  ['an fsync of a journal fails', { match: wal, sync: { error: 'EIO', times: 1 } }],
  ['a write to a journal fails', { match: wal, write: { error: 'EIO', times: 1 } }],
  ['a write to a journal finds no space', { match: wal, write: { error: 'ENOSPC', times: 1 } }],
  ['fsyncs of all files fail a few times', { match: '.db', sync: { error: 'EIO', times: 5 } }],
];

test.each(passing)('%s, once: no false ok, and writing goes on', { timeout: 60_000 }, async (_, fault) => {
  const scene = await newScene();
  const load = loadOn(scene, scene.actors);
  await load.start();
  await load.firstAck;
  for (let strike = 0; strike < 3; strike += 1) {
    scene.disk.strike(fault);
    await eventually('the disk fails', () => scene.disk.hits > 0);
    await acksGoOn(load);
  }
  scene.disk.heal();
  await canRead(scene);
  await load.stop();
  // What failed was told to somebody.
  expect(load.unknown + load.rejected).toBeGreaterThan(0);
  await checkTwice(scene, load);
});

test('a server that takes a failed commit for one that worked is found out', { timeout: 60_000 }, async () => {
  const scene = await newScene(plantPath('swallowed-error'));
  const load = loadOn(scene, scene.actors);
  await load.start();
  await load.firstAck;
  scene.disk.strike({ match: wal, write: { error: 'EIO', times: 1 } });
  await eventually('the disk fails', () => scene.disk.hits > 0);
  await acksGoOn(load);
  // The rest dies with the process; a lost connection ends it for the load.
  const found = foundAfterKill(scene);
  await load.stop();
  expect({ seed, lost: (await found).some(({ kind }) => kind === 'lost') }).toEqual({ seed, lost: true });
});

const lasting: readonly [string, DiskFault][] = [
  ['fsync fails', { match: '/journal/', sync: { error: 'EIO', times: forever } }],
  ['every write finds the disk full', { match: '/journal/', write: { error: 'ENOSPC', times: forever } }],
];

describe.each(lasting)('while %s for the journals', (_, fault) => {
  test('calls are refused, reading goes on, and writing comes back by itself', { timeout: 60_000 }, async () => {
    const scene = await newScene();
    const load = loadOn(scene, scene.actors);
    await load.start();
    await load.firstAck;
    scene.disk.strike(fault);
    await eventually('calls are refused', () => load.rejected > 20);
    const acked = load.acked;
    await canRead(scene);
    const client = await scene.stage.connect(scene.server, { v1: true });
    expect(await client.call({ actor: 'counter', actorId: 'c0', method: 'increment' })).toMatchObject({
      outcome: 'rejected',
      code: 'READ_ONLY',
      retryable: true,
    });
    expect(load.acked).toBe(acked);
    scene.disk.heal();
    await acksGoOn(load);
    await load.stop();
    await checkTwice(scene, load);
  });
});

test('one tenant whose file cannot be written is read-only, the other goes on', { timeout: 60_000 }, async () => {
  const scene = await newScene();
  const [sick, sound] = tenants.map((tenant) => scene.actors.filter((actor) => actor.tenant === tenant));
  const loads = [loadOn(scene, sick!), loadOn(scene, sound!)];
  for (const load of loads) await load.start();
  for (const load of loads) await load.firstAck;
  scene.disk.strike({ match: '/tenants/acme/', write: { error: 'EIO', times: forever } });
  await eventually('the tenant is read-only', () => loads[0]!.rejected > 20, 15_000);
  await acksGoOn(loads[1]!);
  await canRead(scene);
  expect([loads[1]!.rejected, loads[1]!.unknown]).toEqual([0, 0]);
  scene.disk.heal();
  await acksGoOn(loads[0]!);
  for (const load of loads) await load.stop();
  loads[0]!.violations.push(...loads[1]!.violations);
  await checkTwice(scene, loads[0]!);
});

test('an fsync that takes five seconds is waited for, and acknowledges nothing early', {
  timeout: 60_000,
}, async () => {
  const scene = await newScene();
  const load = loadOn(scene, scene.actors);
  await load.start();
  await load.firstAck;
  scene.disk.strike({ match: '/journal/0.db', slowSync: { ms: 5000, times: 1 } });
  await eventually('the disk takes its time', () => scene.disk.hits > 0);
  // The other shard has a disk of its own, as far as this goes.
  await acksGoOn(load);
  await eventually('the slow shard acknowledges again', async () => {
    const client = await scene.stage.connect(scene.server, { v1: true });
    const ends = await Promise.all(
      ['a', 'b', 'c', 'd'].map((id) => client.call({ actor: 'quick', actorId: id, method: 'increment' })),
    );
    return ends.every(({ outcome }) => outcome === 'ok');
  });
  await load.stop();
  await checkTwice(scene, load);
});

describe('a start refuses with one line and its code', () => {
  async function refused(dataDir: string, says: RegExp): Promise<void> {
    const stage = new Stage();
    onTestFinished(() => stage.end());
    const server = stage.launch({ app: 'ledger', dataDir });
    expect(await server.exited).toEqual({ code: 73, signal: null });
    expect(server.output).toMatch(says);
    expect(server.output.split('\n').filter((line) => line.startsWith('fermata:'))).toHaveLength(1);
    expect(server.output).not.toMatch(/^\s+at /m);
    expect(server.logs.some(({ msg }) => msg === 'ready')).toBe(false);
  }

  function readOnlyDisk(): string {
    const stage = new Stage();
    onTestFinished(() => stage.end());
    const disk = join(stage.dataDir(), 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,ro', 'tmpfs', disk]);
    stage.atEnd(() => execFileSync('umount', [disk]));
    return disk;
  }

  test('when the data directory lies on a read-only disk', async () => {
    await refused(readOnlyDisk(), /^fermata: .*read-only/m);
  });

  test('when it would have to be created there', async () => {
    await refused(join(readOnlyDisk(), 'data'), /^fermata: .*cannot be created/m);
  });

  test('when something else lies in its place', async () => {
    const stage = new Stage();
    onTestFinished(() => stage.end());
    const file = join(stage.dataDir(), 'volume');
    writeFileSync(file, 'no volume is mounted here');
    await refused(join(file, 'data'), /^fermata: .*cannot be created \(ENOTDIR\)/m);
  });
});
