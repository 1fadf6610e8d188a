import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { directoryTarget } from '../../src/backup/directory-target.ts';
import { LogWriter, type LogWriterOptions } from '../../src/backup/log-writer.ts';
import { segmentName, segmentsOf } from '../../src/backup/names.ts';
import { noteGap, openLog } from '../../src/backup/open-log.ts';
import { decodeSegment } from '../../src/backup/segment.ts';
import type { BackupTarget } from '../../src/backup/target.ts';
import { systemClock } from '../../src/host/clock.ts';
import { encodeEntries } from '../../src/storage/entry.ts';
import { dataPaths, journalPath } from '../../src/storage/paths.ts';
import { recover } from '../../src/storage/recovery.ts';
import { KeeperCore } from '../../src/storage/keeper.ts';
import { Journal } from '../../src/storage/journal.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { address, silentLog, stateEntry, temporaryDirectory } from '../storage/fixtures.ts';

describe('the archived log', () => {
  it('holds each entry in the segment of its tenant, with the time of its commit', async () => {
    const { writer, read } = rig();
    writer.add(0, row(1, [stateEntry(address('a'), 1, 'x'), stateEntry(address('b', 'globex'), 1, 'y')], 1000));
    writer.add(1, row(1, [stateEntry(address('a'), 2, 'z')], 2000));
    expect([writer.storedTo(0), writer.storedTo(1)]).toEqual([0, 0]);
    await writer.flush();
    expect([writer.storedTo(0), writer.storedTo(1)]).toEqual([1, 1]);
    const acme = await read('acme', 1);
    expect(acme.header).toMatchObject({ tenant: 'acme', number: 1, after: 'start' });
    expect(acme.records.map(({ atMs }) => atMs)).toEqual([1000, 2000]);
    expect(acme.records.map(({ entry }) => entry)).toEqual([
      encodeEntries([stateEntry(address('a'), 1, 'x')]),
      encodeEntries([stateEntry(address('a'), 2, 'z')]),
    ]);
    expect((await read('globex', 1)).records).toHaveLength(1);
  });

  it('is written after the delay, by itself', async () => {
    const { writer, names } = rig({ delayMs: 20 });
    writer.add(0, row(1, [stateEntry(address('a'), 1, 'x')]));
    expect(await names('acme')).toEqual([]);
    await vi.waitFor(async () => expect(await names('acme')).toEqual([segmentName('acme', 1)]));
  });

  it('goes on in the next segment after a base began, and in another process', async () => {
    const first = rig();
    expect(await first.writer.begin('acme')).toBe(1);
    first.writer.add(0, row(1, [stateEntry(address('a'), 1, 'x')]));
    expect(await first.writer.begin('acme')).toBe(2);
    expect(await first.writer.begin('acme')).toBe(2);
    first.writer.add(0, row(2, [stateEntry(address('a'), 2, 'x')]));
    await first.writer.flush();
    const second = rig({ target: first.target, wholeSinceMs: 0, hasPast: () => true });
    second.writer.add(0, row(3, [stateEntry(address('a'), 3, 'x')]));
    await second.writer.flush();
    // Asked again, the one that has only its header will do.
    expect(await second.writer.begin('acme')).toBe(4);
    expect(await second.writer.begin('acme')).toBe(4);
    expect((await first.read('acme', 4)).records).toEqual([]);
    const headers = await Promise.all([1, 2, 3].map(async (number) => (await first.read('acme', number)).header.after));
    expect(headers).toEqual(['start', 'previous', 'previous']);
  });

  it.each([
    ['has data that no segment holds', { wholeSinceMs: 0, hasPast: (): boolean => true }, 'gap'],
    ['had nothing before', { wholeSinceMs: Infinity, hasPast: (): boolean => false }, 'start'],
  ] as const)('begins behind a gap only where entries are missing: a tenant that %s', async (_, options, after) => {
    const { writer, read } = rig(options);
    writer.add(0, row(1, [stateEntry(address('a'), 1, 'x')]));
    await writer.flush();
    expect((await read('acme', 1)).header.after).toBe(after);
  });

  it('waits for a target that fails for a while, and loses nothing', async () => {
    const target = new Flaky();
    const { writer, read, gaps } = rig({ target });
    target.failures = 2;
    writer.add(0, row(1, [stateEntry(address('a'), 1, 'x')]));
    const flushed = writer.flush();
    writer.add(0, row(2, [stateEntry(address('a'), 2, 'y')]));
    await flushed;
    expect(writer.storedTo(0)).toBe(1);
    await writer.flush();
    expect(writer.storedTo(0)).toBe(2);
    expect((await read('acme', 1)).records).toHaveLength(2);
    expect(gaps).toEqual([]);
  });

  it('gives up what a dead target does not take, holds up no journal, and says so in its next segment', async () => {
    const target = new Flaky();
    const { writer, read, gaps } = rig({ target, waitingCharsMax: 10 });
    writer.add(0, row(1, [stateEntry(address('a'), 1, 'kept')]));
    await writer.flush();
    target.failures = Infinity;
    writer.add(0, row(2, [stateEntry(address('a'), 2, 'given up')]));
    const flushed = writer.flush();
    // More than may wait.
    writer.add(0, row(3, [stateEntry(address('a'), 3, 'after')]));
    await flushed;
    expect(gaps).toEqual(['acme']);
    expect(writer.storedTo(0)).toBe(2);
    target.failures = 0;
    await writer.flush();
    const second = await read('acme', 2);
    expect(second.header.after).toBe('gap');
    expect(second.records).toHaveLength(1);
  });
});

describe('a base that begins while entries are written', () => {
  it('does not make a gap look like none', async () => {
    const target = new Flaky();
    const { writer, read, gaps } = rig({ target, waitingCharsMax: 10, wholeSinceMs: 0 });
    writer.add(0, row(1, [stateEntry(address('a'), 1, 'kept')]));
    await writer.flush();
    target.failures = 1;
    target.headerMs = 20;
    writer.add(0, row(2, [stateEntry(address('a'), 2, 'given up')]));
    const begun = writer.begin('acme');
    // More than may wait.
    writer.add(0, row(3, [stateEntry(address('a'), 3, 'after')]));
    await Promise.all([begun, writer.flush()]);
    expect(gaps).toEqual(['acme', 'told']);
    expect((await read('acme', 2)).header.after).toBe('gap');
  });
});

describe('a tenant whose past is exchanged', () => {
  it('has a log that begins anew at once, whatever becomes of the process', async () => {
    const { writer, read, names, target } = rig();
    writer.add(0, row(1, [stateEntry(address('a'), 1, 'former')]));
    await writer.breakOff('acme');
    expect(await names('acme')).toHaveLength(2);
    expect((await read('acme', 2)).header.after).toBe('gap');
    writer.add(0, row(2, [stateEntry(address('a'), 1, 'restored')]));
    await writer.flush();
    expect((await read('acme', 2)).records).toHaveLength(1);
    const next = rig({ target, wholeSinceMs: 0, hasPast: () => true });
    next.writer.add(0, row(3, [stateEntry(address('a'), 2, 'x')]));
    await next.writer.flush();
    expect((await read('acme', 3)).header.after).toBe('previous');
  });

  it('is behind a gap also when the target fails at that moment', async () => {
    const target = new Flaky();
    const { writer, read, gaps } = rig({ target });
    target.failures = 1;
    await writer.breakOff('acme');
    expect(gaps).toEqual(['acme']);
    writer.add(0, row(1, [stateEntry(address('a'), 1, 'x')]));
    await writer.flush();
    expect((await read('acme', 1)).header.after).toBe('gap');
  });
});

describe('the log of a data directory', () => {
  it('is whole over a crash: what only a journal had is archived by the next process', async () => {
    const dataDir = temporaryDirectory();
    const journal = Journal.open(journalPath(dataDir, 0));
    journal.commit([stateEntry(address('a'), 1, 'x')], 'durable');
    journal.commit([stateEntry(address('a'), 2, 'y')], 'durable');
    journal.abandon();
    const dir = join(dataDir, 'backups');
    const open = (): { core: KeeperCore; archive: LogWriter } => {
      const archive = openLog({ dataDir, dir, delayMs: 60_000, waitingCharsMax: 1e6 }, systemClock, silentLog);
      const parts = { dataDir, limits: defaultLimits, log: silentLog, clock: systemClock, boot: systemClock.id() };
      const core = new KeeperCore({ ...parts, archive });
      onTestFinished(() => void core.close());
      recover(dataDir, core, 1, silentLog);
      return { core, archive };
    };
    const killed = open();
    // In its tenant's file, not in the log: the journal keeps it.
    expect(killed.core.load(address('a')).seq).toBe(2);
    expect(unsynced(dataDir)).toBe(2);
    killed.core.close();
    const { archive, core } = open();
    await archive.flush();
    recover(dataDir, core, 1, silentLog);
    expect(unsynced(dataDir)).toBe(0);
    const target = directoryTarget(dir);
    const { header, records } = decodeSegment(await target.read(segmentName('acme', 1)), 'segment');
    expect(records).toHaveLength(2);
    // The file was there by then, though all of it came from the journal.
    expect(header.after).toBe('gap');
    expect(dataPaths(dataDir).journal).toContain('journal');
  });

  it('has a gap also when only a later process than the next one hears of the tenant again', async () => {
    const dataDir = temporaryDirectory();
    const options = { dataDir, dir: join(dataDir, 'backups'), delayMs: 60_000, waitingCharsMax: 1e6 };
    const archived = async (seq: number): Promise<void> => {
      const archive = openLog(options, systemClock, silentLog);
      archive.add(0, row(seq, [stateEntry(address('a'), seq, 'x')]));
      await archive.flush();
    };
    await archived(1);
    await new Promise((resolve) => setTimeout(resolve, 5));
    // One that archives nothing, then one to which nobody calls the tenant.
    noteGap(dataDir);
    openLog(options, systemClock, silentLog);
    await archived(3);
    await archived(4);
    const target = directoryTarget(options.dir);
    const names = (await target.list(segmentsOf('acme'))).map(({ name }) => name);
    const headers = names.map(async (name) => decodeSegment(await target.read(name), name).header.after);
    expect(await Promise.all(headers)).toEqual(['start', 'gap', 'previous']);
  });

  it('has a gap after a process that archived nothing, or elsewhere', async () => {
    const dataDir = temporaryDirectory();
    const after = async (dir: string, seq: number): Promise<string> => {
      const options = { dataDir, dir: join(dataDir, dir), delayMs: 60_000, waitingCharsMax: 1e6 };
      const archive = openLog(options, systemClock, silentLog);
      archive.add(0, row(seq, [stateEntry(address('a'), seq, 'x')]));
      await archive.flush();
      const target = directoryTarget(options.dir);
      const name = (await target.list(segmentsOf('acme'))).at(-1)!.name;
      return decodeSegment(await target.read(name), name).header.after;
    };
    expect(await after('one', 1)).toBe('start');
    expect(await after('one', 2)).toBe('previous');
    expect(await after('other', 3)).toBe('start');
    expect(await after('one', 4)).toBe('gap');
  });
});

function unsynced(dataDir: string): number {
  const journal = Journal.open(journalPath(dataDir, 0));
  journal.abandon();
  return journal.unsyncedRows;
}

function rig(options: Partial<LogWriterOptions> = {}) {
  const target = options.target ?? directoryTarget(temporaryDirectory());
  const gaps: string[] = [];
  const writer = new LogWriter({
    delayMs: 60_000,
    waitingCharsMax: 1e6,
    clock: systemClock,
    log: silentLog,
    wholeSinceMs: Infinity,
    hasPast: () => false,
    onGap: (tenant) => void gaps.push(tenant),
    onTold: () => void gaps.push('told'),
    ...options,
    target,
  });
  onTestFinished(() => writer.flush());
  return {
    writer,
    target,
    gaps,
    names: async (tenant: string) => (await target.list(segmentsOf(tenant))).map(({ name }) => name),
    async read(tenant: string, number: number) {
      const name = segmentName(tenant, number);
      return decodeSegment(await target.read(name), name);
    },
  };
}

function row(journalSeq: number, entries: Parameters<typeof encodeEntries>[0], atMs = Date.now()) {
  return { journalSeq, atMs, body: encodeEntries(entries) };
}

/** A directory whose appends fail so many times, or take their time. */
class Flaky implements BackupTarget {
  failures = 0;
  /** Before a header alone is written. */
  headerMs = 0;
  readonly #target = directoryTarget(temporaryDirectory());
  readonly name = this.#target.name;
  readonly put = this.#target.put.bind(this.#target);
  readonly putText = this.#target.putText.bind(this.#target);
  readonly get = this.#target.get.bind(this.#target);
  readonly read = this.#target.read.bind(this.#target);
  readonly list = this.#target.list.bind(this.#target);
  readonly remove = this.#target.remove.bind(this.#target);

  async append(name: string, offset: number, bytes: Buffer): Promise<void> {
    if (this.failures > 0) {
      this.failures -= 1;
      throw new Error('the target does not answer');
    }
    if (bytes.indexOf('\n') === bytes.length - 1) await sleep(this.headerMs);
    await this.#target.append(name, offset, bytes);
  }
}
