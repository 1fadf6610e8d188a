import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { encodeManifest } from '../../src/backup/manifest.ts';
import { segmentName } from '../../src/backup/names.ts';
import { planRestore } from '../../src/backup/restore-plan.ts';
import { encodeHeader, encodeRecord, type SegmentHeader } from '../../src/backup/segment.ts';
import type { BackupTarget } from '../../src/backup/target.ts';
import { directoryTarget } from '../../src/backup/directory-target.ts';
import { verifyBase } from '../../src/backup/verify.ts';
import { encodeEntry } from '../../src/storage/entry.ts';
import { address, openCore, stateEntry } from '../storage/fixtures.ts';
import { manifestOf, temporaryDirectory, tenant } from './story.ts';

/** Second `s` of the story, milliseconds since the epoch. */
const at = (s: number): number => Date.UTC(2026, 10, 21, 10, 0, s);
const iso = (s: number): string => new Date(at(s)).toISOString();
const later = { now: () => at(3600), monotonic: () => 0, random: () => 0, id: () => '' };

const plan = (target: BackupTarget, s?: number, owner = tenant): ReturnType<typeof planRestore> =>
  planRestore(target, owner, s === undefined ? undefined : at(s), { clock: later });

/** A base that began then and took a second. @returns its name without ending */
async function putBase(
  target: BackupTarget,
  s: number,
  logFrom?: number,
  owner = tenant,
  says = owner,
  sql = '',
): Promise<string> {
  const dataDir = temporaryDirectory();
  const core = openCore(dataDir);
  core.committed(0, { journalSeq: 1, body: encodeEntry(stateEntry(address('c1', owner), s, { s })) });
  core.close();
  const path = join(dataDir, 'tenants', owner, 'tenant.db');
  const db = new Database(path);
  db.exec(sql);
  db.close();
  const manifest = manifestOf(verifyBase(path, owner), says, at(s), at(s + 1));
  const name = `${tenant}/base/${iso(s).replaceAll(/[-:.]/g, '')}`;
  await target.put(`${name}.db`, path);
  await target.putText(`${name}.json`, encodeManifest(logFrom === undefined ? manifest : { ...manifest, logFrom }));
  return name;
}

/** A segment that begins with its first commit. */
async function putSegment(
  target: BackupTarget,
  number: number,
  commits: readonly number[],
  after: SegmentHeader['after'] = 'previous',
  owner = tenant,
): Promise<void> {
  const began = iso(commits[0] ?? 0);
  const records = commits.map((s) => encodeRecord(at(s), encodeEntry(stateEntry(address('c1', owner), s, { s }))));
  const text = encodeHeader({ log: 1, tenant: owner, number, began, after }) + records.join('');
  await target.append(segmentName(tenant, number), 0, Buffer.from(text));
}

function flip(target: BackupTarget, name: string, offset: number): void {
  const path = join(target.name, name);
  const bytes = readFileSync(path);
  bytes[offset] = bytes[offset]! ^ 4;
  writeFileSync(path, bytes);
}

describe('the plan of a restore', () => {
  it('takes the newest base that was finished by then, and its log', async () => {
    const target = directoryTarget(temporaryDirectory());
    await putSegment(target, 1, [1, 2, 12, 13], 'start');
    const first = await putBase(target, 10, 1);
    await putSegment(target, 2, [21, 22, 25]);
    const second = await putBase(target, 20, 2);
    await putSegment(target, 3, [30]);
    expect(await plan(target)).toMatchObject({
      base: { name: `${second}.db` },
      records: 4,
      lastRecordMs: at(30),
      skipped: [],
    });
    expect(await plan(target, 24)).toMatchObject({ base: { name: `${second}.db` }, records: 2, lastRecordMs: at(22) });
    const early = await plan(target, 12);
    expect(early).toMatchObject({
      tenant,
      atMs: at(12),
      base: { name: `${first}.db` },
      records: 3,
      lastRecordMs: at(12),
    });
    // What was committed before a crash may be archived after it.
    expect(early.segments).toEqual([1, 2, 3].map((number) => segmentName(tenant, number)));
  });

  it('does with the log alone when that begins with the tenant', async () => {
    const target = directoryTarget(temporaryDirectory());
    await putSegment(target, 1, [1, 2], 'start');
    await putBase(target, 10, 1);
    expect(await plan(target, 5)).toEqual({
      tenant,
      atMs: at(5),
      segments: [segmentName(tenant, 1)],
      records: 2,
      lastRecordMs: at(2),
      skipped: [],
    });
    await expect(plan(target, 0)).rejects.toMatchObject({
      name: 'RestoreRefusal',
      message: `tenant "acme" had nothing yet at ${iso(0)}`,
      hint: expect.stringContaining(iso(1)) as unknown,
    });
  });

  it('does with the base alone when nothing was archived', async () => {
    const target = directoryTarget(temporaryDirectory());
    await putBase(target, 10);
    expect(await plan(target, 20)).toMatchObject({ segments: [], records: 0 });
  });

  it('refuses what a base without a place in the log cannot be brought up to', async () => {
    const target = directoryTarget(temporaryDirectory());
    await putSegment(target, 1, [1, 2], 'start');
    await putBase(target, 10);
    // All there is, as far as anybody knows.
    expect(await plan(target)).toMatchObject({ segments: [], records: 0 });
    await putSegment(target, 2, [30], 'gap');
    expect(await plan(target, 11)).toMatchObject({ segments: [], records: 0 });
    const refusal = `does not hold what was committed from ${iso(11)} on`;
    await expect(plan(target, 35)).rejects.toThrow(refusal);
    await expect(plan(target)).rejects.toThrow(refusal);
  });

  it('names the tenants that there are', async () => {
    const target = directoryTarget(temporaryDirectory());
    await expect(plan(target)).rejects.toThrow('there are none at all');
    await putBase(target, 10);
    await expect(plan(target, 20, 'amce')).rejects.toMatchObject({
      name: 'MissingBackupError',
      message: expect.stringContaining('no backups of tenant "amce"') as unknown,
    });
    await expect(plan(target, 20, 'amce')).rejects.toThrow('there are those of acme');
  });

  it('refuses a time before the oldest base, and one in the future', async () => {
    const target = directoryTarget(temporaryDirectory());
    await putBase(target, 10, 1);
    await putBase(target, 20, 2);
    // It holds more than there was then, until it was finished.
    for (const s of [5, 10])
      await expect(plan(target, s)).rejects.toThrow(`the oldest base of tenant "acme" is of ${iso(11)}`);
    await expect(plan(target, 4000)).rejects.toThrow('is in the future');
  });

  it('takes an older base with the longer log when the newest is damaged, and says so', async () => {
    const target = directoryTarget(temporaryDirectory());
    const first = await putBase(target, 10, 1);
    await putSegment(target, 1, [12], 'previous');
    await putSegment(target, 2, [22]);
    const names = [await putBase(target, 20, 2), await putBase(target, 30, 3), await putBase(target, 40, 3)];
    flip(target, `${names[0]}.db`, 5000);
    flip(target, `${names[1]}.json`, 40);
    await target.remove(`${names[2]}.db`);
    const { base, records, skipped } = await plan(target);
    expect([base?.name, records]).toEqual([`${first}.db`, 2]);
    expect(skipped).toEqual([
      `${names[2]}.db is missing, but its manifest is there`,
      expect.stringContaining(`${names[1]}.json `),
      `${names[0]}.db has another SHA-256 than its manifest says`,
    ]);
    flip(target, `${first}.db`, 5000);
    await expect(plan(target)).rejects.toThrow('no base of tenant "acme" can be used');
  });

  it('passes over bases in which the actor that is wanted is closed off', async () => {
    const target = directoryTarget(temporaryDirectory());
    const [c1, c2] = [address('c1'), address('c2')];
    const first = await putBase(target, 10, 1);
    await putSegment(target, 1, [12]);
    const damaged = "INSERT INTO quarantined VALUES ('counter', 'c1', 'its row fails its check', 0)";
    const second = await putBase(target, 20, 2, tenant, tenant, damaged);
    const { base, records, skipped } = await planRestore(target, tenant, undefined, { clock: later, actor: c1 });
    expect([base?.name, records]).toEqual([`${first}.db`, 1]);
    expect(skipped).toEqual([`in ${second}.db the actor is closed off: its row fails its check`]);
    for (const actor of [undefined, c2])
      expect((await planRestore(target, tenant, undefined, { clock: later, actor })).base?.name).toBe(`${second}.db`);
  });

  it('never takes the base of another tenant', async () => {
    const target = directoryTarget(temporaryDirectory());
    const name = await putBase(target, 10, undefined, 'b-2');
    await expect(plan(target)).rejects.toThrow(`${name}.json is of tenant "b-2"`);
  });

  it.each([
    [
      'a gap that the log tells of',
      async (target: BackupTarget) => putSegment(target, 3, [40], 'gap'),
      `to ${iso(40)}`,
      'begins behind a gap',
    ],
    [
      'a missing segment',
      async (target: BackupTarget) => putSegment(target, 4, [40]),
      `to ${iso(40)}`,
      'segment 3 is missing',
    ],
    [
      'a damaged segment',
      async (target: BackupTarget) => {
        await putSegment(target, 3, [33]);
        flip(target, segmentName(tenant, 3), 150);
        await putSegment(target, 4, [40]);
      },
      `to ${iso(40)}`,
      'fails its check',
    ],
    [
      "another tenant's segment",
      async (target: BackupTarget) => putSegment(target, 3, [33], 'previous', 'b-2'),
      'on',
      'tenant "b-2"',
    ],
  ])('ends before %s, and says from when to when', async (_, breakLog, until, why) => {
    const target = directoryTarget(temporaryDirectory());
    await putBase(target, 10, 1);
    await putSegment(target, 1, [12]);
    await putSegment(target, 2, [22]);
    await breakLog(target);
    for (const s of [23, 50, undefined]) {
      await expect(plan(target, s)).rejects.toMatchObject({
        name: 'RestoreRefusal',
        message: expect.stringContaining(`from ${iso(22)} ${until}: `) as unknown,
        hint: expect.stringContaining(`Ask for ${iso(22)} or before`) as unknown,
      });
      await expect(plan(target, s)).rejects.toThrow(why);
    }
    expect(await plan(target, 22)).toMatchObject({ records: 2, segments: [1, 2].map((n) => segmentName(tenant, n)) });
  });

  it('takes a gap that was there before the base began, and none after', async () => {
    const target = directoryTarget(temporaryDirectory());
    await putSegment(target, 3, [9, 15], 'gap');
    await putBase(target, 10, 3);
    expect(await plan(target)).toMatchObject({ records: 2 });
    await putBase(target, 20, 4);
    await putSegment(target, 4, [25], 'gap');
    await expect(plan(target)).rejects.toThrow(`from ${iso(21)} to ${iso(25)}`);
  });

  it('reads past appends that were cut off', async () => {
    const target = directoryTarget(temporaryDirectory());
    await putBase(target, 10, 1);
    await putSegment(target, 1, [12]);
    const { length } = await target.read(segmentName(tenant, 1));
    await target.append(segmentName(tenant, 1), length, Buffer.from('0badc0de\t17'));
    await target.append(segmentName(tenant, 2), 0, Buffer.from('0badc0de\t{"log":1,"ten'));
    await putSegment(target, 3, [13]);
    expect(await plan(target)).toMatchObject({ records: 2, lastRecordMs: at(13) });
  });
});
