import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { decodeManifest, encodeManifest } from '../../src/backup/manifest.ts';
import { verifyBackups } from '../../src/backup/verify-all.ts';
import { verifyBase } from '../../src/backup/verify.ts';
import { VerifyPool } from '../../src/backup/verify-pool.ts';
import { tenantFormat } from '../../src/storage/migrations.ts';
import { formerTenantFile } from './former-file.ts';
import { manifestOf, randomFrom, Story, temporaryDirectory, tenant } from './story.ts';

async function storyWithBase(seed = 1): Promise<{ story: Story; name: string; path: string }> {
  const story = new Story(seed);
  await story.live(60);
  const name = await story.base();
  await story.live(60);
  await story.archive();
  return { story, name, path: join(story.target.name, `${name}.db`) };
}

/** A copy of the file with some SQL run on it, without WAL. */
function changed(path: string, sql: string): string {
  const copy = join(temporaryDirectory(), 'changed.db');
  copyFileSync(path, copy);
  const db = new Database(copy);
  db.pragma('journal_mode = DELETE');
  db.exec(sql);
  db.close();
  return copy;
}

describe('the check of a base', () => {
  it('counts what is there, and leaves neither the file changed nor anything behind', async () => {
    const { path } = await storyWithBase();
    const [sound, { size, mtimeMs }] = [readFileSync(path), statSync(path)];
    const beside = readdirSync(dirname(path));
    const temporary = temporaryDirectory();
    vi.stubEnv('TMPDIR', temporary);
    onTestFinished(() => void vi.unstubAllEnvs());
    const facts = verifyBase(path, tenant);
    expect(facts).toMatchObject({ bytes: size, actors: 6, fileVersion: tenantFormat.steps.length });
    expect(facts.sha256).toBe(createHash('sha256').update(sound).digest('hex'));
    expect(facts.sequence).toBeGreaterThan(0);
    expect(facts.rows).toMatchObject({ actors: 6, quarantined: 0, sessions: 0 });
    for (const table of ['calls', 'numbered', 'acks', 'visitors', 'places', 'history'])
      expect(facts.rows[table], table).toBeGreaterThan(0);
    expect(() => verifyBase(path, 'b-2')).toThrow('belongs to tenant "acme"');
    expect(readFileSync(path)).toEqual(sound);
    expect(statSync(path).mtimeMs).toBe(mtimeMs);
    expect(readdirSync(dirname(path))).toEqual(beside);
    expect(tmpdir()).toBe(temporary);
    expect(readdirSync(temporary)).toEqual([]);
  });

  it('finds what SQLite does not see: any row that was changed', async () => {
    const { path } = await storyWithBase();
    const changes = [
      "UPDATE actors SET state = replace(state, '1', '2')",
      'UPDATE actors SET hash = hash + 1',
      "UPDATE calls SET outcome = replace(outcome, 'ok', 'no')",
      'UPDATE numbered SET at_ms = at_ms + 1',
      'UPDATE acks SET ack = ack + 1',
      "UPDATE visitors SET session_id = 'stolen'",
      'UPDATE places SET event_seq = event_seq - 1',
      'DELETE FROM places',
      "UPDATE history SET text = '[]'",
      "UPDATE actors SET type = 'other'",
    ];
    for (const sql of changes) expect(() => verifyBase(changed(path, sql), tenant), sql).toThrow(/fails its check/);
  });

  it('finds a base whose commits, rows or version are not those of its manifest', async () => {
    const { path } = await storyWithBase();
    const manifest = manifestOf(verifyBase(path, tenant), tenant, 1000, 2000);
    expect(verifyBase(path, tenant, manifest).sha256).toBe(manifest.sha256);
    const others = [
      { ...manifest, sequence: manifest.sequence + 1 },
      { ...manifest, rows: { ...manifest.rows, calls: 0 } },
      { ...manifest, rows: { ...manifest.rows, unknown: 1 } },
      { ...manifest, versions: { ...manifest.versions, file: 1 } },
      { ...manifest, bytes: 1 },
      { ...manifest, sha256: '0'.repeat(64) },
      { ...manifest, tenant: 'b-2' },
    ];
    for (const other of others)
      expect(() => verifyBase(path, tenant, other), JSON.stringify(other)).toThrow(/by its manifest|its manifest says/);
  });

  it('lets rows of actors that are closed off be damaged, because the others are worth keeping', async () => {
    const { path } = await storyWithBase();
    const damaged = changed(path, "UPDATE actors SET state = 'x' WHERE rowid = 1");
    expect(() => verifyBase(damaged, tenant)).toThrow(/fails its check: actor/);
    const closed = changed(
      damaged,
      "INSERT INTO quarantined SELECT type, id, 'damaged', 0 FROM actors WHERE rowid = 1",
    );
    expect(verifyBase(closed, tenant)).toMatchObject({ actors: 5, rows: { actors: 6, quarantined: 1 } });
  });

  it('takes a file of an older format, and refuses one of a newer program without calling it damaged', async () => {
    const former = formerTenantFile(temporaryDirectory());
    expect(verifyBase(former, tenant)).toMatchObject({
      fileVersion: 1,
      actors: 1,
      rows: { actors: 1, calls: 1, numbered: 0 },
    });
    const newer = changed(former, 'PRAGMA user_version = 99');
    expect(() => verifyBase(newer, tenant)).toThrow(expect.objectContaining({ name: 'RestoreRefusal' }) as Error);
  });

  it('says the same from its own thread', async () => {
    const { path, name } = await storyWithBase();
    const pool = new VerifyPool();
    try {
      expect(await pool.verify(path, tenant)).toEqual(verifyBase(path, tenant));
      const damaged = changed(path, 'DELETE FROM places');
      await expect(pool.verify(damaged, tenant, undefined, name)).rejects.toMatchObject({
        name: 'DamagedBackupError',
        object: name,
        message: expect.stringMatching(`^${name} fails its check: actor .* has lost count`) as unknown,
      });
      await expect(pool.verify(changed(path, 'PRAGMA user_version = 99'), tenant)).rejects.toMatchObject({
        name: 'RestoreRefusal',
      });
      await expect(pool.verify(join(temporaryDirectory(), 'absent'), tenant)).rejects.toThrow('ENOENT');
    } finally {
      await pool.close();
    }
  });
});

describe('the check of all backups', () => {
  it('finds every one of 200 flipped bits, wherever they are', { timeout: 180_000 }, async () => {
    const { story, name, path } = await storyWithBase();
    await story.nextSegment();
    await story.live(5);
    await story.archive();
    const { target } = story;
    // What a killed process left of its last append is nobody's, so that a flip in it is no damage.
    const segments = (await verifyBackups(target, { prefix: `${tenant}/log/` })).filter(
      (each) => each.note === undefined,
    );
    expect(new Set(segments.map((each) => each.name.endsWith('.gz')))).toEqual(new Set([true, false]));
    const manifest = decodeManifest((await target.read(`${name}.json`)).toString(), name);
    const baseProblem = (): string | undefined => problemOf(() => verifyBase(path, tenant, manifest));
    const problemIn = async (prefix: string): Promise<string | undefined> =>
      (await verifyBackups(target, { prefix })).find(({ problem }) => problem !== undefined)?.problem;
    // Free space in the base and white space in the manifest count, too.
    const flips = [
      ...Array.from({ length: 10 }, () => ({ file: `${name}.db`, find: () => problemIn(name) })),
      ...Array.from({ length: 50 }, () => ({ file: `${name}.db`, find: baseProblem })),
      ...Array.from({ length: 60 }, () => ({ file: `${name}.json`, find: () => problemIn(name) })),
      ...Array.from({ length: 80 }, (_, n) => {
        const segment = segments[n % segments.length]!.name;
        return { file: segment, find: () => problemIn(segment) };
      }),
    ];
    const random = randomFrom(7);
    const missed: string[] = [];
    for (const [n, { file, find }] of flips.entries()) {
      const place = join(target.name, file);
      const sound = readFileSync(place);
      const bytes = Buffer.from(sound);
      // The last byte now and then: it ends the line, or the file.
      const at = n % 20 < 2 ? bytes.length - 1 : Math.floor(random() * bytes.length);
      const bit = Math.floor(random() * 8);
      bytes[at] = bytes[at]! ^ (1 << bit);
      writeFileSync(place, bytes);
      if ((await find()) === undefined) missed.push(`${file}: bit ${bit} of byte ${at}`);
      writeFileSync(place, sound);
    }
    expect(flips).toHaveLength(200);
    expect(missed).toEqual([]);
    expect((await verifyBackups(target)).filter(({ problem }) => problem !== undefined)).toEqual([]);
  });

  it('reports each object, and what is no problem but worth knowing', async () => {
    const { story, name } = await storyWithBase();
    const { target } = story;
    const unfinished = `${tenant}/base/20260101T000000000Z.db`;
    await target.put(unfinished, join(target.name, `${name}.db`));
    const seen: string[] = [];
    const reports = await verifyBackups(target, {}, (progress) => seen.push(progress.name));
    expect(reports.map((report) => report.problem).filter((problem) => problem !== undefined)).toEqual([]);
    expect(reports.find((report) => report.name === `${name}.db`)).toMatchObject({ tenant, kind: 'base', actors: 6 });
    expect(reports.find((report) => report.name === unfinished)?.note).toContain('no manifest');
    expect(reports.filter(({ kind }) => kind === 'segment').map(({ name: each }) => each)).toEqual(
      (await target.list(`${tenant}/log/`)).map((each) => each.name),
    );
    expect(seen).toEqual([...reports.map((report) => report.name), '']);
    expect((await verifyBackups(target, { tenant })).length).toBe(reports.length);
    await expect(verifyBackups(target, { tenant: 'b-2' })).rejects.toMatchObject({ name: 'MissingBackupError' });
  });

  it('misses a base without its file, and a segment between two others', async () => {
    const { story, name } = await storyWithBase(2);
    const { target } = story;
    await story.nextSegment();
    await story.archive();
    await target.remove(`${name}.db`);
    const segments = (await target.list(`${tenant}/log/`)).map((each) => each.name);
    expect(segments.length).toBeGreaterThan(2);
    // Where the log begins is where the retention cut it.
    await target.remove(segments[0]!);
    await target.remove(segments.at(-2)!);
    const problems = (await verifyBackups(target)).flatMap(({ problem }) => problem ?? []);
    expect(problems).toEqual([
      `${name}.db is missing, but its manifest is there`,
      expect.stringContaining('does not follow'),
    ]);
  });

  it('finds a base under the name of another time or another tenant', async () => {
    const { story, name } = await storyWithBase();
    const { target } = story;
    const moved = `${tenant}/base/20260101T000000000Z`;
    const text = (await target.read(`${name}.json`)).toString();
    await target.put(`${moved}.db`, join(target.name, `${name}.db`));
    await target.putText(`${moved}.json`, text);
    const others = name.replace(tenant, 'b-2');
    mkdirSync(join(target.name, 'b-2'), { mode: 0o700 });
    await target.put(`${others}.db`, join(target.name, `${name}.db`));
    await target.putText(`${others}.json`, text);
    const problems = (await verifyBackups(target)).flatMap(({ problem }) => problem ?? []);
    expect(problems).toEqual([
      expect.stringContaining('is of a base that began at'),
      expect.stringContaining('is a base of tenant "acme" by its manifest'),
    ]);
    const forged = manifestOf(verifyBase(join(target.name, `${name}.db`), tenant), 'b-2', 1000, 2000);
    const began = story.clock.nowMs;
    const forgedName = `b-2/base/${new Date(began).toISOString().replaceAll(/[-:.]/g, '')}`;
    await target.put(`${forgedName}.db`, join(target.name, `${name}.db`));
    await target.putText(`${forgedName}.json`, encodeManifest({ ...forged, began: new Date(began).toISOString() }));
    expect((await verifyBackups(target, { prefix: forgedName }))[0]?.problem).toContain('belongs to tenant "acme"');
  });
});

function problemOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
