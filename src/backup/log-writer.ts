/**
 * The archived log: committed entries of every tenant, in segments at the backup target, at most `delayMs` behind.
 *
 *   keeper ── add(row) ──▶ waiting, per tenant ── every delayMs, one round ──▶ target.append(segment) ── storedTo moves
 *
 * Invariants: rounds do not overlap · journals keep a row until its round is over, so that a crash costs the log nothing:
 * the row is replayed and archived again, and applying it twice changes nothing · a process never adds to a segment of a
 * former one, whose end may be torn · a target that fails holds up no caller: after `stallMsMax`, or `waitingCharsMax`, its
 * entries are given up; the tenant's next segment says that there is a gap, and `onGap` comes before any journal forgets them.
 */
import type { Clock } from '../host/clock.ts';
import type { Logger } from '../host/log.ts';
import type { Archive } from '../storage/archive.ts';
import type { JournalRow } from '../storage/contract.ts';
import { segmentName, segmentNumber, segmentsOf } from './names.ts';
import { decodeSegment, encodeHeader, encodeRecord, type SegmentHeader } from './segment.ts';
import type { BackupTarget } from './target.ts';

export interface LogWriterOptions {
  readonly target: BackupTarget;
  readonly delayMs: number;
  /** Characters that may wait for the target; past that they are given up. */
  readonly waitingCharsMax: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Since then every entry that was committed in this data directory went to this target. Milliseconds since the epoch. */
  readonly wholeSinceMs: number;
  /** Whether a tenant has data beside what is added from now on. Asked once, before its first entry. */
  readonly hasPast: (tenant: string) => boolean;
  /** Entries are given up. When it returns, no later process takes the log for whole. */
  readonly onGap: (tenant: string, error: unknown) => void;
  /** Every gap since is on record in the log itself: the next process may go on with it. */
  readonly onTold: () => void;
}

/** A segment that has so many bytes is followed by the next. */
const segmentBytesMax = 8 * 1024 * 1024;
const stallMsMax = 10_000;
const retryMs = 500;
/** Tenants that are written at the same time. */
const atOnce = 8;

interface Segment {
  number: number;
  /** There are records in it, not only its header. */
  used: boolean;
  /** 0 until its header is written. */
  offset: number;
  after: SegmentHeader['after'];
}

export class LogWriter implements Archive {
  readonly #options: LogWriterOptions;
  readonly #segments = new Map<string, Segment>();
  readonly #pasts = new Map<string, boolean>();
  /** Tenants whose next segment begins behind a gap. */
  readonly #gaps = new Set<string>();
  /** Tenants whose gap no segment tells of yet. */
  readonly #untold = new Set<string>();
  /** Records that wait, by tenant. */
  #waiting = new Map<string, string[]>();
  #waitingChars = 0;
  /** The last row of each shard that was added, and up to which rounds are over. */
  readonly #added = new Map<number, number>();
  readonly #stored = new Map<number, number>();
  /** Settles when everything that was asked for is done; undefined when that is so. */
  #last: Promise<void> | undefined;
  /** A round that has not begun. */
  #nextRound: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #onStored: () => void = () => undefined;
  #lastStoredMs: number | undefined;

  constructor(options: LogWriterOptions) {
    this.#options = options;
  }

  /** When a round ended last without giving anything up, milliseconds since the epoch. */
  get lastStoredMs(): number | undefined {
    return this.#lastStoredMs;
  }

  add(shard: number, { journalSeq, atMs = this.#options.clock.now(), body }: JournalRow): void {
    this.#added.set(shard, journalSeq);
    for (let at = 0; at < body.length; ) {
      const end = body.indexOf('\n', at);
      const entry = end < 0 ? body.slice(at) : body.slice(at, end);
      at += entry.length + 1;
      const tenant = tenantOf(entry);
      if (!this.#pasts.has(tenant)) this.#pasts.set(tenant, this.#options.hasPast(tenant));
      const records = this.#waiting.get(tenant);
      const record = encodeRecord(atMs, entry);
      if (records === undefined) this.#waiting.set(tenant, [record]);
      else records.push(record);
      this.#waitingChars += record.length;
    }
    this.#timer ??= setTimeout(() => void this.flush(), this.#options.delayMs);
  }

  storedTo(shard: number): number {
    return this.#stored.get(shard) ?? 0;
  }

  onStored(handler: () => void): void {
    this.#onStored = handler;
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#last === undefined) return await this.#inTurn(() => this.#write());
    // One that has not begun yet takes what has come by then.
    this.#nextRound ??= this.#inTurn(() => {
      this.#nextRound = undefined;
      return this.#write();
    });
    await this.#nextRound;
  }

  begin(tenant: string): Promise<number> {
    return this.#inTurn(async () => {
      await this.#write();
      const segment = await this.#segment(tenant);
      if (segment.used) next(segment);
      // Its header alone says where the log begins, also when nothing more comes.
      await this.#writeHeader(tenant, segment);
      return segment.number;
    });
  }

  breakOff(tenant: string): Promise<void> {
    return this.#inTurn(async () => {
      await this.#write();
      this.#segments.delete(tenant);
      this.#gaps.add(tenant);
      try {
        // At once, because a successor of this process must know it too.
        await this.#writeHeader(tenant, await this.#segment(tenant));
      } catch (error) {
        this.#giveUp(tenant, error);
      }
    });
  }

  /**
   * One after the other, in the order in which they were asked for: two that write at once would each make the tenant's
   * next segment, or write over the other's.
   */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last === undefined ? work() : this.#last.then(work);
    const end = (): void => {
      if (this.#last === last) this.#last = undefined;
    };
    const last: Promise<void> = done.then(end, end);
    this.#last = last;
    return done;
  }

  async #write(): Promise<void> {
    const waiting = this.#waiting;
    const upTo = new Map(this.#added);
    this.#waiting = new Map();
    this.#waitingChars = 0;
    const startedMs = this.#options.clock.monotonic();
    const tenants = [...waiting];
    const work = async (): Promise<void> => {
      for (let each = tenants.shift(); each !== undefined; each = tenants.shift())
        await this.#writeTenant(each[0], each[1], startedMs);
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    for (const [shard, journalSeq] of upTo) this.#stored.set(shard, journalSeq);
    this.#onStored();
  }

  /** Tries until it works, or until what waits is too much or too old. Never rejects. */
  async #writeTenant(tenant: string, records: readonly string[], startedMs: number): Promise<void> {
    const { target, clock, log, waitingCharsMax } = this.#options;
    for (let tries = 0; ; tries += 1) {
      try {
        const segment = await this.#segment(tenant);
        if (segment.offset >= segmentBytesMax) next(segment);
        const { number, offset } = segment;
        const head = offset === 0 ? this.#header(tenant, segment) : '';
        const bytes = Buffer.from(head + records.join(''));
        await target.append(segmentName(tenant, number), offset, bytes);
        segment.offset += bytes.length;
        segment.used = true;
        if (offset === 0) this.#tell(tenant, segment);
        this.#lastStoredMs = clock.now();
        return;
      } catch (error) {
        if (tries === 0)
          log.error({ tenant, err: error }, 'the backup target does not take the log; it is tried again');
        const isLate = clock.monotonic() - startedMs > stallMsMax || this.#waitingChars > waitingCharsMax;
        if (isLate) return this.#giveUp(tenant, error);
        await new Promise((resolve) => setTimeout(resolve, retryMs));
      }
    }
  }

  #giveUp(tenant: string, error: unknown): void {
    this.#untold.add(tenant);
    this.#options.onGap(tenant, error);
    // Whatever number it had: a segment that cannot be written to is left as it is.
    this.#segments.delete(tenant);
    this.#gaps.add(tenant);
  }

  async #writeHeader(tenant: string, segment: Segment): Promise<void> {
    if (segment.offset > 0) return;
    const header = Buffer.from(this.#header(tenant, segment));
    await this.#options.target.append(segmentName(tenant, segment.number), 0, header);
    segment.offset = header.length;
    this.#tell(tenant, segment);
  }

  /** Its header is written. */
  #tell(tenant: string, { after }: Segment): void {
    if (after === 'gap' && this.#untold.delete(tenant) && this.#untold.size === 0) this.#options.onTold();
  }

  #header(tenant: string, { number, after }: Segment): string {
    const began = new Date(this.#options.clock.now()).toISOString();
    return encodeHeader({ log: 1, tenant, number, began, after });
  }

  /** Where the tenant's records go now. @throws what the target throws */
  async #segment(tenant: string): Promise<Segment> {
    const known = this.#segments.get(tenant);
    if (known !== undefined) return known;
    const { target, hasPast } = this.#options;
    const past = this.#pasts.get(tenant) ?? hasPast(tenant);
    const last = (await target.list(segmentsOf(tenant))).at(-1)?.name;
    const after = this.#gaps.has(tenant) ? 'gap' : last === undefined ? firstAfter(past) : await this.#after(last);
    const number = last === undefined ? 1 : segmentNumber(last) + 1;
    const segment: Segment = { number, used: false, offset: 0, after };
    this.#segments.set(tenant, segment);
    this.#gaps.delete(tenant);
    return segment;
  }

  /** Between a segment that is older than the whole log and now there may have been anything. */
  async #after(last: string): Promise<Segment['after']> {
    const bytes = await this.#options.target.read(last);
    try {
      const { header } = decodeSegment(bytes, last);
      return Date.parse(header.began) >= this.#options.wholeSinceMs ? 'previous' : 'gap';
    } catch {
      return 'gap';
    }
  }
}

function firstAfter(hasPast: boolean): Segment['after'] {
  return hasPast ? 'gap' : 'start';
}

function next(segment: Segment): void {
  segment.number += 1;
  segment.offset = 0;
  segment.used = false;
  segment.after = 'previous';
}

/** An entry's header begins with its tenant: entry.ts. */
function tenantOf(entry: string): string {
  const from = entry.indexOf('["') + 2;
  return entry.slice(from, entry.indexOf('"', from));
}
