import { existsSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Format, NewerFileError, openFile } from '../../src/storage/migrations.ts';
import { createDatabase, DamagedFileError, openDatabase } from '../../src/storage/sqlite.ts';
import { CommitError, Transaction } from '../../src/storage/transaction.ts';
import { temporaryDirectory } from './fixtures.ts';

const first: Format = {
  name: 'notebook',
  applicationId: 77,
  steps: ['CREATE TABLE notes (text TEXT NOT NULL) STRICT'],
};
const second: Format = {
  ...first,
  steps: [...first.steps, "ALTER TABLE notes ADD COLUMN colour TEXT NOT NULL DEFAULT 'white'"],
};

describe('opening a database', () => {
  it('holds synchronous=FULL and WAL at every open, also of a file that another connection left', () => {
    const path = join(temporaryDirectory(), 'a.db');
    createDatabase(path, (db) => db.exec('CREATE TABLE t (a)'));
    for (let open = 0; open < 3; open += 1) {
      const db = openDatabase(path);
      expect(db.pragma('synchronous', { simple: true })).toBe(2);
      expect(db.pragma('journal_mode', { simple: true })).toBe('wal');
      expect(db.pragma('trusted_schema', { simple: true })).toBe(0);
      db.exec('INSERT INTO t VALUES (1)');
      // Every second one is left open, as a killed process would leave it.
      if (open % 2 === 0) db.close();
    }
  });

  it('leaves no file under the real name when building it fails', () => {
    const directory = temporaryDirectory();
    const path = join(directory, 'a.db');
    expect(() =>
      createDatabase(path, () => {
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(existsSync(path)).toBe(false);
    createDatabase(path, () => undefined);
    expect(readdirSync(directory)).toEqual(['a.db']);
  });

  it('takes an empty file for damage, and follows no link', () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'empty.db'), '');
    expect(() => openDatabase(join(directory, 'empty.db'))).toThrow(DamagedFileError);
    createDatabase(join(directory, 'real.db'), () => undefined);
    symlinkSync(join(directory, 'real.db'), join(directory, 'link.db'));
    expect(() => openDatabase(join(directory, 'link.db'))).toThrow(/links are not followed/);
  });
});

describe('migrations', () => {
  it('bring an older file up to date once and keep its content', () => {
    const path = join(temporaryDirectory(), 'a.db');
    const db = openFile(path, first, (made) => made.exec("INSERT INTO notes VALUES ('hello')"))!;
    db.close();
    for (let open = 0; open < 2; open += 1) {
      const newer = openFile(path, second)!;
      expect(newer.prepare('SELECT * FROM notes').all()).toEqual([{ text: 'hello', colour: 'white' }]);
      expect(newer.pragma('user_version', { simple: true })).toBe(2);
      newer.close();
    }
  });

  it('refuse a newer file with one line that names file, versions and a way out', () => {
    const path = join(temporaryDirectory(), 'a.db');
    openFile(path, second, () => undefined)!.close();
    const refusal = catchError(() => openFile(path, first));
    expect(refusal).toBeInstanceOf(NewerFileError);
    expect(refusal.message).toBe(
      `${path} is a notebook of version 2, this program knows versions up to 1: start the newer Fermata that wrote it, or restore a backup`,
    );
    openFile(path, second)!.close();
  });

  it('take a file of something else for damage, and one without a version too', () => {
    const directory = temporaryDirectory();
    openFile(join(directory, 'a.db'), { ...first, applicationId: 78 }, () => undefined)!.close();
    expect(() => openFile(join(directory, 'a.db'), first)).toThrow(DamagedFileError);
    createDatabase(join(directory, 'b.db'), (db) => void db.pragma('application_id = 77'));
    expect(() => openFile(join(directory, 'b.db'), first)).toThrow(/impossible version 0/);
    writeFileSync(join(directory, 'c.db-wal'), 'x');
    expect(() => openFile(join(directory, 'c.db'), first, () => undefined)).toThrow(/is missing/);
    expect(openFile(join(directory, 'd.db'), first)).toBeUndefined();
  });
});

describe('a transaction', () => {
  it('undoes everything when the work throws, and says so', () => {
    const path = join(temporaryDirectory(), 'a.db');
    const db = openFile(path, first, () => undefined)!;
    const transaction = new Transaction(db);
    const failure = catchError(() =>
      transaction.run(() => {
        db.exec("INSERT INTO notes VALUES ('lost')");
        throw new Error('changed my mind');
      }),
    );
    expect(failure).toBeInstanceOf(CommitError);
    expect(failure).toMatchObject({ outcome: 'rolled-back' });
    expect(db.prepare('SELECT count(*) FROM notes').pluck().get()).toBe(0);
    db.close();
  });
});

function catchError(work: () => unknown): Error {
  try {
    work();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}
