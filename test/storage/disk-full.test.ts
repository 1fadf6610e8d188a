import { execFileSync } from 'node:child_process';
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { encodeEntries } from '../../src/storage/entry.ts';
import { CommitError, type Journal } from '../../src/storage/journal.ts';
import { recover } from '../../src/storage/recovery.ts';
import {
  address,
  okCall,
  openCore,
  openJournal,
  silentLog,
  stateEntry,
  stateOf,
  temporaryDirectory,
} from './fixtures.ts';

// A disk of its own needs root, as the test command does.
describe('on a full disk', () => {
  it('the keeper loses nothing, answers from memory, and catches up when there is space again', () => {
    const { dataDir, fill, free } = smallDisk();
    const core = openCore(dataDir);
    const at = Array.from({ length: 40 }, (_, n) => address(`c${n}`));
    core.committed(0, bodyOf(at, 1, 'x'));
    expect(core.flush()).toBe(true);
    fill();
    core.committed(0, bodyOf(at, 2, 'y'.repeat(20_000)));
    expect(core.flush()).toBe(false);
    expect(core.synced(0)).toBe(1);
    for (const each of at) expect(stateOf(core, each)).toBe('y'.repeat(20_000));
    free();
    expect(core.flush()).toBe(true);
    expect(core.synced(0)).toBe(2);
    core.close();
    for (const each of at) expect(stateOf(openCore(dataDir), each)).toBe('y'.repeat(20_000));
  });

  it('the journal calls no commit done that a restart does not find, and works again when there is space', () => {
    const { dataDir, fill, free } = smallDisk();
    const journal = openJournal(dataDir);
    const c1 = address('c1');
    const acknowledged: number[] = [];
    const commit = (): boolean => {
      const seq = acknowledged.length + 1;
      const done = attempt(journal, [stateEntry(c1, seq, 'z'.repeat(50_000), okCall(`k${seq}`, seq))]);
      if (done) acknowledged.push(seq);
      return done;
    };
    for (let n = 0; n < 3; n += 1) expect(commit()).toBe(true);
    fill();
    let refused = 0;
    for (let n = 0; n < 200 && refused < 3; n += 1) if (!commit()) refused += 1;
    expect(refused).toBe(3);
    free();
    expect(journal.reopen()).toEqual([]);
    journal.probe();
    expect(commit()).toBe(true);
    journal.abandon();
    const core = openCore(dataDir);
    recover(dataDir, core, 1, silentLog);
    expect(core.load(c1).seq).toBe(acknowledged.length);
    for (const seq of acknowledged)
      expect(core.outcome(c1, `k${seq}`)).toMatchObject({ outcome: { result: String(seq) } });
  });

  it('a start goes on with what it cannot write yet', () => {
    const { dataDir, fill, free } = smallDisk();
    const journal = openJournal(dataDir);
    journal.commit(
      Array.from({ length: 20 }, (_, n) => stateEntry(address(`c${n}`), 1, 'w'.repeat(10_000))),
      'durable',
    );
    journal.close();
    // Space for a new tenant file without its content, and for the small files that reading a journal takes.
    fill(200_000);
    const core = openCore(dataDir);
    expect(recover(dataDir, core, 1, silentLog)).toMatchObject({ rows: 1, pending: true });
    expect(stateOf(core, address('c7'))).toBe('w'.repeat(10_000));
    expect(openJournal(dataDir).unsyncedBytes).toBeGreaterThan(0);
    free();
    expect(core.flush()).toBe(true);
    expect(stateOf(core, address('c7'))).toBe('w'.repeat(10_000));
  });
});

/** Did it happen? After an unknown end the disk says. */
function attempt(journal: Journal, entries: Parameters<Journal['commit']>[0]): boolean {
  try {
    journal.commit(entries, 'durable');
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(CommitError);
    return adopted(journal);
  }
}

function adopted(journal: Journal): boolean {
  try {
    return journal.reopen().length > 0;
  } catch (error) {
    // Still too full to open it; commits are refused until it works.
    expect((error as { code?: string }).code).toMatch(/^SQLITE_|^ENOSPC/);
    return false;
  }
}

function bodyOf(
  at: readonly ReturnType<typeof address>[],
  seq: number,
  state: string,
): { journalSeq: number; body: string } {
  return { journalSeq: seq, body: encodeEntries(at.map((each) => stateEntry(each, seq, state))) };
}

/** Four MiB. `fill` leaves that many bytes free. */
function smallDisk(): { dataDir: string; fill: (bytesFree?: number) => void; free: () => void } {
  const disk = mount(temporaryDirectory());
  onTestFinished(() => unmount(disk));
  const ballast = join(disk, 'ballast');
  return {
    dataDir: join(disk, 'data'),
    fill(bytesFree = 0) {
      const { bavail, bsize } = statfsSync(disk);
      writeFileSync(ballast, Buffer.alloc(bavail * bsize - bytesFree));
    },
    free: () => rmSync(ballast),
  };
}

function mount(directory: string): string {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', directory], { stdio: 'pipe' });
  return directory;
}

function unmount(directory: string): void {
  // Lazily: connections of a test that failed may still be open.
  execFileSync('umount', ['--lazy', directory]);
}
