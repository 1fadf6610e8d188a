import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { BaseMaker, type BaseMakerParts } from '../../src/backup/base-maker.ts';
import { compactLog } from '../../src/backup/compaction.ts';
import { directoryTarget } from '../../src/backup/directory-target.ts';
import { decodeManifest, encodeManifest, type Manifest } from '../../src/backup/manifest.ts';
import { baseName, basesOf, segmentName, segmentsOf } from '../../src/backup/names.ts';
import { decodeSegment, encodeHeader, encodeRecord } from '../../src/backup/segment.ts';
import { verifyBase } from '../../src/backup/verify.ts';
import type { JournalEntry } from '../../src/storage/contract.ts';
import { encodeEntries } from '../../src/storage/entry.ts';
import { systemClock } from '../../src/host/clock.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { KeeperCore } from '../../src/storage/keeper.ts';
import { address, okCall, silentLog, stateEntry, temporaryDirectory } from '../storage/fixtures.ts';

const entry = encodeEntries([stateEntry(address('a'), 1, 'x')]);

describe('a base', () => {
  it('is the tenant as it is, with a manifest that says so', async () => {
    const { core, maker, target, manifests } = rig();
    give(core, 1, [stateEntry(address('a'), 1, 'x', okCall('k', 1)), stateEntry(address('b'), 1, 'y')]);
    const made = await maker.make('acme', 'asked');
    expect(made).toMatchObject({ tenant: 'acme', actors: 2 });
    const [manifest] = await manifests();
    expect(manifest).toMatchObject({ tenant: 'acme', logFrom: 7, rows: { actors: 2, calls: 1 } });
    const copy = join(temporaryDirectory(), 'copy.db');
    await target.get(`${made!.base}.db`, copy);
    expect(verifyBase(copy, 'acme', manifest)).toMatchObject({ actors: 2, sha256: manifest!.sha256 });
  });

  it('holds what is pending only, and is not made again while nothing changed', async () => {
    const { core, maker, manifests } = rig();
    core.committed(0, { journalSeq: 1, body: encodeEntries([stateEntry(address('a'), 1, 'pending')]) });
    expect(await maker.make('acme', 'changed')).toMatchObject({ actors: 1 });
    expect(await maker.make('acme', 'changed')).toBeUndefined();
    expect(await maker.make('acme', 'asked')).toBeDefined();
    give(core, 2, [stateEntry(address('a'), 2, 'newer')]);
    expect(await maker.make('acme', 'changed')).toBeDefined();
    expect(await manifests()).toHaveLength(3);
  });

  it('does not come to be when it fails its verification, and leaves nothing behind', async () => {
    const { core, maker, target, workDir } = rig({
      verify: async () => {
        throw new Error('the copy fails a check');
      },
    });
    give(core, 1, [stateEntry(address('a'), 1, 'x')]);
    await expect(maker.make('acme', 'asked')).rejects.toThrow('the copy fails a check');
    expect(await target.list('')).toEqual([]);
    expect(readdirSync(workDir)).toEqual([]);
  });

  it.each([
    ['does not exist', 'nobody', /there is no tenant "nobody"/],
    ['is quarantined', 'closed', /tenant "closed" is quarantined/],
  ])('is refused for a tenant that %s', async (_, tenant, message) => {
    const { core, maker } = rig();
    core.quarantineTenant('closed', 'the test says so');
    await expect(maker.make(tenant, 'asked')).rejects.toThrow(message);
  });

  it('pushes nothing out after a restore', async () => {
    const { core, maker, manifests } = rig({ keep: { hourly: 1, daily: 0, weekly: 0 } });
    give(core, 1, [stateEntry(address('a'), 1, 1)]);
    await maker.make('acme', 'asked');
    await vi.waitFor(async () => expect(await maker.make('acme', 'restored')).toBeDefined());
    expect(await manifests()).toHaveLength(2);
  });

  it('pushes out those that are not kept, and segments that only they need', async () => {
    const { core, maker, target, manifests } = rig({ keep: { hourly: 1, daily: 0, weekly: 0 } });
    for (let number = 5; number <= 8; number += 1) await putSegment(target, number);
    for (let seq = 1; seq <= 2; seq += 1) {
      give(core, seq, [stateEntry(address('a'), seq, seq)]);
      // Names are of milliseconds.
      await vi.waitFor(async () => expect(await maker.make('acme', 'asked')).toBeDefined());
    }
    expect(await manifests()).toHaveLength(1);
    const names = (await target.list(segmentsOf('acme'))).map(({ name }) => name);
    expect(names).toEqual([segmentName('acme', 7, true), segmentName('acme', 8)]);
  });
});

describe('a base behind a gap in the log', () => {
  it('is made, and counts as one, when the log before it cannot be read', async () => {
    const begin = { number: 1 };
    const { core, maker, target, manifests } = rig({ keep: { hourly: 24, daily: 0, weekly: 0 } }, () => begin.number);
    await putSegment(target, 1);
    give(core, 1, [stateEntry(address('a'), 1, 1)]);
    expect(await maker.make('acme', 'asked')).toBeDefined();
    const read = target.read.bind(target);
    target.read = async (name) => {
      if (name.startsWith(segmentsOf('acme'))) throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' });
      return await read(name);
    };
    begin.number = 2;
    give(core, 2, [stateEntry(address('a'), 2, 2)]);
    await vi.waitFor(async () => expect(await maker.make('acme', 'asked')).toBeDefined());
    expect((await manifests()).at(-1)).toMatchObject({ logFrom: 2, behindGap: true });
  });

  it('says so, and is not pushed out while an older one is kept', async () => {
    const keep = { hourly: 24, daily: 0, weekly: 0 };
    const begin = { number: 1 };
    const { core, maker, target, manifests } = rig({ keep }, () => begin.number);
    const make = async (seq: number): Promise<void> => {
      give(core, seq, [stateEntry(address('a'), seq, seq)]);
      await vi.waitFor(async () => expect(await maker.make('acme', 'asked')).toBeDefined());
    };
    await putSegment(target, 1);
    await make(1);
    const old = (await manifests())[0]!;
    // An hour ago, so that the rules keep it.
    await moveBase(target, old, Date.parse(old.began) - 3_600_000);
    await putSegment(target, 2, 'gap');
    begin.number = 3;
    await putSegment(target, 3);
    await make(2);
    begin.number = 4;
    await putSegment(target, 4);
    await make(3);
    await make(4);
    expect((await manifests()).map(({ logFrom, behindGap = false }) => [logFrom, behindGap])).toEqual([
      [1, false],
      [3, true],
      [4, false],
    ]);
  });
});

describe('compaction', () => {
  it('passes over a segment whose header was cut off', async () => {
    const directory = temporaryDirectory();
    const target = directoryTarget(directory);
    for (let number = 1; number <= 2; number += 1) await putSegment(target, number);
    writeFileSync(join(directory, segmentName('acme', 1)), '0123abcd');
    await compactLog(target, 'acme', undefined);
    const names = (await target.list(segmentsOf('acme'))).map(({ name }) => name);
    expect(names).toEqual([segmentName('acme', 1), segmentName('acme', 2)]);
  });

  it('seals what is finished, with the same content, and leaves the last segment alone', async () => {
    const target = directoryTarget(temporaryDirectory());
    for (let number = 1; number <= 2; number += 1) await putSegment(target, number);
    const before = decodeSegment(await target.read(segmentName('acme', 1)), 'before');
    await compactLog(target, 'acme', undefined);
    const names = (await target.list(segmentsOf('acme'))).map(({ name }) => name);
    expect(names).toEqual([segmentName('acme', 1, true), segmentName('acme', 2)]);
    expect(decodeSegment(await target.read(names[0]!), names[0]!)).toEqual(before);
  });

  it('drops the torn end of a killed process, which the next segment has', async () => {
    const directory = temporaryDirectory();
    const target = directoryTarget(directory);
    for (let number = 1; number <= 2; number += 1) await putSegment(target, number);
    const path = join(directory, segmentName('acme', 1));
    writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.from('0123')]));
    await compactLog(target, 'acme', undefined);
    const name = segmentName('acme', 1, true);
    expect(decodeSegment(await target.read(name), name)).toMatchObject({ torn: false, records: [{ entry }] });
  });

  it('leaves a damaged segment as it is', async () => {
    const directory = temporaryDirectory();
    const target = directoryTarget(directory);
    for (let number = 1; number <= 2; number += 1) await putSegment(target, number);
    const path = join(directory, segmentName('acme', 1));
    const bytes = readFileSync(path);
    bytes[20]! ^= 1;
    writeFileSync(path, bytes);
    await expect(compactLog(target, 'acme', undefined)).rejects.toThrow(/00000001\.log/);
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });
});

type Target = ReturnType<typeof directoryTarget>;

async function putSegment(target: Target, number: number, after?: 'gap'): Promise<void> {
  const began = new Date(after === 'gap' ? Date.now() : 0).toISOString();
  const follows = after ?? (number === 1 ? 'start' : 'previous');
  const header = encodeHeader({ log: 1, tenant: 'acme', number, began, after: follows });
  await target.append(segmentName('acme', number), 0, Buffer.from(header + encodeRecord(1, entry)));
}

/** As if it had been made at another time. */
async function moveBase(target: Target, manifest: Manifest, beganMs: number): Promise<void> {
  const from = baseName('acme', Date.parse(manifest.began));
  const to = baseName('acme', beganMs);
  const path = join(temporaryDirectory(), 'base.db');
  await target.get(`${from}.db`, path);
  await target.put(`${to}.db`, path);
  await target.putText(`${to}.json`, encodeManifest({ ...manifest, began: new Date(beganMs).toISOString() }));
  for (const ending of ['json', 'db']) await target.remove(`${from}.${ending}`);
}

function rig(parts: Partial<BaseMakerParts> = {}, begin = () => 7) {
  const archive = {
    add: () => undefined,
    storedTo: () => Infinity,
    onStored: () => undefined,
    flush: async () => undefined,
    begin: async () => begin(),
    breakOff: async () => undefined,
  };
  const core = new KeeperCore({
    dataDir: temporaryDirectory(),
    limits: { ...defaultLimits, keeperDelayMs: 3_600_000 },
    log: silentLog,
    clock: systemClock,
    boot: 'boot-1',
    archive,
  });
  onTestFinished(() => void core.close());
  const target = directoryTarget(temporaryDirectory());
  const workDir = join(temporaryDirectory(), 'work');
  const maker = new BaseMaker({
    source: {
      tenants: async () => ['acme'],
      copy: (request, progress) => core.copies.copy({ ...request, shards: 0 }, progress),
    },
    target,
    archives: true,
    workDir,
    verify: async (path, tenant) => verifyBase(path, tenant),
    versions: { fermata: '1', sqlite: '3' },
    keep: undefined,
    log: silentLog,
    ...parts,
  });
  onTestFinished(() => maker.close());
  const manifests = async () => {
    const names = (await target.list(basesOf('acme'))).map(({ name }) => name).filter((name) => name.endsWith('.json'));
    return await Promise.all(names.map(async (name) => decodeManifest((await target.read(name)).toString(), name)));
  };
  return { core, maker, target, workDir, manifests };
}

function give(core: KeeperCore, journalSeq: number, entries: readonly JournalEntry[]): void {
  core.committed(0, { journalSeq, body: encodeEntries(entries) });
  core.flush();
}
