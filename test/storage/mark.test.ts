import { cpSync, existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { encodeEntries } from '../../src/storage/entry.ts';
import type { KeeperCore } from '../../src/storage/keeper.ts';
import { Mark } from '../../src/storage/mark.ts';
import { journalPath } from '../../src/storage/paths.ts';
import { recover } from '../../src/storage/recovery.ts';
import { DamagedFileError } from '../../src/storage/sqlite.ts';
import {
  address,
  codeOf,
  openCore,
  openJournal,
  silentLog,
  stateEntry,
  stateOf,
  temporaryDirectory,
} from './fixtures.ts';

const at = address('c1');
const tenantFile = 'tenants/acme/tenant.db';

describe('the mark of a file', () => {
  it('is the number that was written last, and 0 when it is new, cut or flipped', () => {
    const path = join(temporaryDirectory(), 'x.db');
    const mark = new Mark(path);
    expect(mark.read()).toBe(0);
    mark.write(7);
    mark.write(2 ** 40);
    expect(mark.read()).toBe(2 ** 40);
    mark.close();
    const bytes = readFileSync(`${path}-mark`);
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect(readMark(path, flipped), `bit ${bit}`).toBe(0);
    }
    expect(readMark(path, bytes.subarray(0, 11))).toBe(0);
    expect(readMark(path, bytes)).toBe(2 ** 40);
  });

  it('that cannot be opened or was closed is 0 and writes nothing', () => {
    const path = join(temporaryDirectory(), 'not', 'there.db');
    const mark = new Mark(path);
    mark.write(3);
    expect(mark.read()).toBe(0);
    mark.close();
    mark.close();
    expect(existsSync(`${path}-mark`)).toBe(false);
  });
});

describe('a journal that lost its end', () => {
  it.each([
    ['the last frame of its WAL', (path: string) => truncateSync(`${path}-wal`, statSync(`${path}-wal`).size - 100)],
    ['all of its WAL', (path: string) => rmSync(`${path}-wal`)],
    ['its file and its WAL', (path: string) => ['', '-wal'].forEach((suffix) => rmSync(path + suffix))],
  ])('is told from one that never had it: %s', (_, damage) => {
    const dataDir = killedWithJournal();
    damage(journalPath(dataDir, 0));
    const core = openCore(dataDir);
    recover(dataDir, core, 1, silentLog);
    expect(codeOf(() => core.load(at))).toBe('QUARANTINED');
    expect(existsSync(journalPath(dataDir, 0))).toBe(false);
    // What is aside is aside: the shard starts a new one.
    expect(openJournal(dataDir, 0).lastSeq).toBe(0);
  });

  it('is served all the same where its mark is missing', () => {
    const dataDir = killedWithJournal();
    rmSync(`${journalPath(dataDir, 0)}-mark`);
    const core = openCore(dataDir);
    recover(dataDir, core, 1, silentLog);
    expect(stateOf(core, at)).toBe(3);
  });

  it('refuses to open and names both numbers', () => {
    const dataDir = killedWithJournal();
    truncateSync(`${journalPath(dataDir, 0)}-wal`, 0);
    expect(() => openJournal(dataDir, 0)).toThrow(DamagedFileError);
    expect(() => openJournal(dataDir, 0)).toThrow(/ends with row 0, but row 3 was written/);
  });

  it('is not missed for rows that were only in the kernel', () => {
    const dataDir = temporaryDirectory();
    const journal = openJournal(dataDir, 0);
    journal.commit([stateEntry(at, 1, 1)], 'durable');
    journal.commit([stateEntry(at, 2, 2)], 'process');
    const mark = new Mark(journalPath(dataDir, 0));
    expect(mark.read()).toBe(1);
    mark.close();
  });
});

describe('a tenant file that lost its end', () => {
  it.each([
    ['the end of its WAL', (path: string) => truncateSync(`${path}-wal`, statSync(`${path}-wal`).size - 100)],
    ['an older copy beside the newer mark', (path: string) => rmSync(`${path}-wal`)],
    ['the whole file', (path: string) => ['', '-wal'].forEach((suffix) => rmSync(path + suffix))],
  ])('is closed off instead of being served: %s', (_, damage) => {
    const dataDir = killedWithTenantFile();
    damage(join(dataDir, tenantFile));
    const core = openCore(dataDir);
    expect(codeOf(() => core.load(at))).toBe('QUARANTINED');
    expect(stateOf(core, address('c1', 'other'))).toBe('fine');
  });

  it('is served without damage, and an older copy without a mark as what it is', () => {
    const dataDir = killedWithTenantFile();
    expect(stateOf(openCore(dataDir), at)).toBe(3);
    const copy = killedWithTenantFile();
    rmSync(join(copy, `${tenantFile}-wal`));
    rmSync(join(copy, `${tenantFile}-mark`));
    expect(stateOf(openCore(copy), at)).toBe(1);
  });
});

function readMark(path: string, bytes: Buffer): number {
  writeFileSync(`${path}-mark`, bytes);
  const mark = new Mark(path);
  const number = mark.read();
  mark.close();
  return number;
}

/** A copy of a directory whose process is gone, with three rows in the WAL of its journal. */
function killedWithJournal(): string {
  const dataDir = temporaryDirectory();
  const core = openCore(dataDir);
  recover(dataDir, core, 1, silentLog);
  give(core, 1, [address('c0')], 'the tenant is known');
  const journal = openJournal(dataDir, 0);
  for (let n = 1; n <= 3; n += 1) journal.commit([stateEntry(at, n, n)], 'durable');
  return copyOf(dataDir);
}

/** The same with two tenants in their files; the second and third write of one lie in its WAL. */
function killedWithTenantFile(): string {
  const dataDir = temporaryDirectory();
  const first = openCore(dataDir);
  give(first, 1, [address('c1', 'other')], 'fine');
  give(first, 2, [at], 1);
  first.close();
  const core = openCore(dataDir);
  for (let n = 2; n <= 3; n += 1) give(core, n - 1, [at], n, n);
  return copyOf(dataDir);
}

function give(core: KeeperCore, journalSeq: number, to: readonly (typeof at)[], state: unknown, seq = 1): void {
  core.committed(0, { journalSeq, body: encodeEntries(to.map((each) => stateEntry(each, seq, state))) });
  core.flush();
}

function copyOf(dataDir: string): string {
  const copy = temporaryDirectory();
  cpSync(dataDir, copy, { recursive: true });
  return copy;
}
