import Database from 'better-sqlite3';
import {
  copyFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { JournalEntry } from '../../src/storage/contract.ts';
import { encodeEntries } from '../../src/storage/entry.ts';
import type { KeeperCore } from '../../src/storage/keeper.ts';
import { journalPath } from '../../src/storage/paths.ts';
import { recover } from '../../src/storage/recovery.ts';
import {
  address,
  codeOf,
  okCall,
  openCore,
  openJournal,
  silentLog,
  stateEntry,
  stateOf,
  temporaryDirectory,
} from './fixtures.ts';

const ids = Array.from({ length: 20 }, (_, n) => `actor-${n}`);
const other = address('c1', 'other');

describe('damage in a tenant file', () => {
  it('never serves a wrong value, whichever bit flips, and leaves other tenants alone', () => {
    const sound = tenantFixture();
    const size = readFileSync(join(sound, file)).length;
    const seen = new Set<string>();
    // Every 251st byte: each page is hit many times, headers, indexes and rows alike.
    for (let bit = 0; bit < size * 8; bit += 251 * 8 + 1) {
      const dataDir = copyOf(sound);
      flip(join(dataDir, file), bit);
      const core = openCore(dataDir);
      for (const [n, id] of ids.entries()) seen.add(expectRightOrRefused(core, id, n, `bit ${bit}`));
      expect(stateOf(core, other), `bit ${bit}`).toBe('fine');
      core.close();
      rmSync(dataDir, { recursive: true });
    }
    expect([...seen]).toEqual(expect.arrayContaining(['right', 'QUARANTINED']));
  });

  it.each([
    ['an empty file', (path: string) => truncateSync(path, 0)],
    ['half a file', (path: string) => truncateSync(path, 8192)],
    ['a file of something else', (path: string) => writeFileSync(path, 'x'.repeat(20_000))],
    [
      'zeroed pages',
      (path: string) =>
        writeFileSync(path, Buffer.concat([readFileSync(path).subarray(0, 4096), Buffer.alloc(40_960)])),
    ],
    ["another tenant's file", (path: string) => copyFileSync(path.replace('acme', 'other'), path)],
  ])('closes the tenant off and moves its file aside: %s', (_, damage) => {
    const dataDir = tenantFixture();
    damage(join(dataDir, file));
    const core = openCore(dataDir);
    expect(codeOf(() => core.load(address('actor-0')))).toBe('QUARANTINED');
    expect(readdirSync(join(dataDir, 'tenants/acme'))).toEqual(['QUARANTINED']);
    expect(readdirSync(join(dataDir, 'quarantine'))).toHaveLength(1);
    expect(stateOf(core, other)).toBe('fine');
    const told = openCore(dataDir);
    told.committed(0, { journalSeq: 1, body: encodeEntries([stateEntry(address('actor-0'), 9, 'new')]) });
    expect(told.flush()).toBe(true);
    expect(codeOf(() => told.load(address('actor-0')))).toBe('QUARANTINED');
    expect(existsSync(join(dataDir, file))).toBe(false);
  });

  it("notices another tenant's WAL before it becomes part of the file", () => {
    const dataDir = tenantFixture();
    const before = readFileSync(join(dataDir, file));
    const foreign = temporaryDirectory();
    const writer = openCore(foreign);
    give(writer, 1, [stateEntry(other, 1, 'foreign')]);
    writer.flush();
    // Written a second time, so that its pages lie in the WAL.
    give(
      writer,
      2,
      ids.map((id) => stateEntry(address(id, 'other'), 1, 'foreign')),
    );
    writer.flush();
    const db = new Database(join(foreign, 'tenants/other/tenant.db'));
    db.pragma('journal_mode = WAL');
    db.exec("UPDATE meta SET value = 'other'");
    for (const suffix of ['-wal', '-shm'])
      copyFileSync(join(foreign, `tenants/other/tenant.db${suffix}`), join(dataDir, file + suffix));
    db.close();
    const core = openCore(dataDir);
    expect(codeOf(() => core.load(address('actor-0')))).toBe('QUARANTINED');
    const [aside] = readdirSync(join(dataDir, 'quarantine'));
    expect(readFileSync(join(dataDir, 'quarantine', aside!, 'tenant.db')).equals(before)).toBe(true);
  });

  it('is found when text became a blob of the same bytes', () => {
    const dataDir = tenantFixture();
    const db = new Database(join(dataDir, file));
    // STRICT tables refuse that; a flipped bit does not ask.
    db.unsafeMode();
    db.pragma('writable_schema = ON');
    db.exec("UPDATE sqlite_schema SET sql = replace(sql, 'STRICT', '') WHERE name = 'actors'");
    db.close();
    const loose = new Database(join(dataDir, file));
    loose.exec("UPDATE actors SET state = CAST(state AS BLOB) WHERE id = 'actor-0'");
    loose.close();
    const core = openCore(dataDir);
    expect(codeOf(() => core.load(address('actor-0')))).toBe('QUARANTINED');
    expect(stateOf(core, address('actor-1'))).toMatchObject({ n: 1 });
  });

  it('is found in an outcome too', () => {
    const dataDir = tenantFixture();
    const db = new Database(join(dataDir, file));
    db.exec("UPDATE calls SET outcome = replace(outcome, '0', '1') WHERE id = 'actor-0'");
    db.close();
    const core = openCore(dataDir);
    expect(codeOf(() => core.outcome(address('actor-0'), 'k'))).toBe('QUARANTINED');
    expect(stateOf(core, address('actor-1'))).toMatchObject({ n: 1 });
    core.flush();
    expect(codeOf(() => openCore(dataDir).load(address('actor-0')))).toBe('QUARANTINED');
  });
});

describe('damage in a journal', () => {
  it('closes off the actors that it hit and applies the rest', () => {
    const dataDir = journalFixture();
    change(dataDir, 'UPDATE rows SET body = replace(body, \'"n":3,\', \'"n":4,\')');
    const core = openCore(dataDir);
    recover(dataDir, core, 1, silentLog);
    for (const [n, id] of ids.entries()) {
      if (n === 3) expect(codeOf(() => core.load(address(id)))).toBe('QUARANTINED');
      else expect(stateOf(core, address(id))).toMatchObject({ n });
    }
    // The closing off is on disk, and so is what was found.
    core.close();
    expect(codeOf(() => openCore(dataDir).load(address('actor-3')))).toBe('QUARANTINED');
    expect(readdirSync(join(dataDir, 'quarantine'))).toContain('held-entries.db');
  });

  it('in the contents alone hurts nobody', () => {
    const dataDir = journalFixture();
    change(dataDir, "UPDATE rows SET toc = 'x'");
    const core = openCore(dataDir);
    recover(dataDir, core, 1, silentLog);
    for (const [n, id] of ids.entries()) expect(stateOf(core, address(id))).toMatchObject({ n });
  });

  it.each([
    [
      'contents and body',
      (dataDir: string) => change(dataDir, "UPDATE rows SET toc = 'x', body = 'y' WHERE journal_seq = 1"),
    ],
    ['a missing row', (dataDir: string) => change(dataDir, 'DELETE FROM rows WHERE journal_seq = 1')],
    ['a file that is none', (dataDir: string) => writeFileSync(journalPath(dataDir, 0), 'x'.repeat(9000))],
    ['a last row made invisible by the cell count of its page', dropLastCell],
    ['an empty file', (dataDir: string) => truncateSync(journalPath(dataDir, 0), 0)],
  ])('that nobody can bound closes every tenant off and moves the file aside: %s', (_, damage) => {
    const dataDir = journalFixture();
    damage(dataDir);
    const core = openCore(dataDir);
    recover(dataDir, core, 1, silentLog);
    for (const at of [address('actor-5'), other]) expect(codeOf(() => core.load(at))).toBe('QUARANTINED');
    expect(existsSync(journalPath(dataDir, 0))).toBe(false);
    expect(readdirSync(join(dataDir, 'quarantine')).some((name) => name.startsWith('journal-0-'))).toBe(true);
    // The process starts, and a new tenant can work.
    const journal = openJournal(dataDir);
    core.committed(0, journal.commit([stateEntry(address('c1', 'newcomer'), 1, 'hello')], 'durable'));
    core.flush();
    expect(core.synced(0)).toBe(1);
    expect(stateOf(core, address('c1', 'newcomer'))).toBe('hello');
  });

  it('that nobody can bound closes off also tenants that no file tells of, as far as bytes are left', () => {
    const dataDir = temporaryDirectory();
    const journal = openJournal(dataDir);
    const hostile = { text: '3\tvictim\tcounter\t 00000000\t["victim","counter","c1",1,1,"state"]\t' };
    journal.commit([stateEntry(address('c1', 'only-here'), 1, hostile)], 'durable');
    journal.commit(
      [stateEntry(address('c"1\\'.repeat(20), 'here-too'), 1, ['victim', 'counter', 'c1', 1, 1])],
      'durable',
    );
    journal.close();
    writeFileSync(journalPath(dataDir, 0), Buffer.alloc(100, 1), { flag: 'r+' });
    const core = openCore(dataDir);
    recover(dataDir, core, 1, silentLog);
    for (const tenant of ['only-here', 'here-too'])
      expect(codeOf(() => core.load(address('c1', tenant)))).toBe('QUARANTINED');
    expect(core.load(address('c1', 'victim'))).toMatchObject({ seq: 0 });
  });

  it('never lets a wrong value through, whichever bit flips', () => {
    const sound = journalFixture();
    const size = readFileSync(journalPath(sound, 0)).length;
    for (let bit = 3; bit < size * 8; bit += 251 * 8 + 1) {
      const dataDir = copyOf(sound);
      flip(journalPath(dataDir, 0), bit);
      const core = openCore(dataDir);
      const failure = codeOf(() => recover(dataDir, core, 1, silentLog));
      // A flipped version number looks like a newer file: then nothing starts.
      if (failure !== undefined) expect(failure, `bit ${bit}`).toContain('this program knows versions up to');
      else for (const [n, id] of ids.entries()) expectRightOrRefused(core, id, n, `bit ${bit}`);
      core.close();
      rmSync(dataDir, { recursive: true });
    }
  });
});

const file = 'tenants/acme/tenant.db';

function expectRightOrRefused(core: KeeperCore, id: string, n: number, hint: string): string {
  const code = codeOf(() => expect(core.load(address(id)).state).toBe(JSON.stringify(valueOf(n))));
  expect(['QUARANTINED', 'READ_ONLY', undefined], `${hint}: ${id} was answered wrongly`).toContain(code);
  return code ?? 'right';
}

function valueOf(n: number): unknown {
  return { n, text: 'some text that fills a page or two '.repeat(1 + n) };
}

function entries(seq: number): JournalEntry[] {
  return ids.map((id, n) => stateEntry(address(id), seq, valueOf(n), okCall('k', n)));
}

function tenantFixture(): string {
  const dataDir = temporaryDirectory();
  const core = openCore(dataDir);
  give(core, 1, [...entries(1), stateEntry(other, 1, 'fine')]);
  core.close();
  return dataDir;
}

/** Tenant files hold an older state of each actor, the journal the acknowledged one. */
function journalFixture(): string {
  const dataDir = temporaryDirectory();
  const core = openCore(dataDir);
  give(core, 1, [...ids.map((id) => stateEntry(address(id), 1, 'old')), stateEntry(other, 1, 'old')]);
  core.close();
  const journal = openJournal(dataDir);
  journal.commit(entries(2), 'durable');
  journal.commit([stateEntry(other, 2, 'fine')], 'durable');
  journal.close();
  return dataDir;
}

function give(core: KeeperCore, journalSeq: number, row: readonly JournalEntry[]): void {
  core.committed(0, { journalSeq, body: encodeEntries(row) });
}

function change(dataDir: string, sql: string): void {
  const db = new Database(journalPath(dataDir, 0));
  db.exec(sql);
  db.close();
}

/** One cell less in the header of the table's only page: SQLite reads on as if the last row had never been. */
function dropLastCell(dataDir: string): void {
  const path = journalPath(dataDir, 0);
  const db = new Database(path);
  const page = db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'rows'").pluck().get() as number;
  db.close();
  const bytes = readFileSync(path);
  const cells = (page - 1) * 4096 + 3;
  bytes.writeUInt16BE(bytes.readUInt16BE(cells) - 1, cells);
  writeFileSync(path, bytes);
}

function flip(path: string, bit: number): void {
  const bytes = readFileSync(path);
  bytes[bit >> 3]! ^= 1 << (bit & 7);
  writeFileSync(path, bytes);
}

function copyOf(dataDir: string): string {
  const copy = temporaryDirectory();
  cpSync(dataDir, copy, { recursive: true });
  return copy;
}
