/**
 * A tenant's life for the tests of restore: shards that commit, a keeper behind them, a log that is archived late and out
 * of order, bases taken meanwhile, and a model that remembers what was true after every commit.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { directoryTarget } from '../../src/backup/directory-target.ts';
import { encodeManifest, type Manifest } from '../../src/backup/manifest.ts';
import { baseName, segmentName } from '../../src/backup/names.ts';
import { seal } from '../../src/backup/seal.ts';
import { encodeHeader, encodeRecord, type SegmentHeader } from '../../src/backup/segment.ts';
import type { BackupTarget } from '../../src/backup/target.ts';
import { type BaseFacts, verifyBase } from '../../src/backup/verify.ts';
import type { HistoryItem, JournalEntry, Trail } from '../../src/storage/contract.ts';
import { encodeEntry } from '../../src/storage/entry.ts';
import type { KeeperCore } from '../../src/storage/keeper.ts';
import {
  address,
  callEntry,
  clockAt,
  ok,
  okCall,
  openCore,
  patchEntry,
  stateEntry,
  trailEntry,
  visitorOf,
} from '../storage/fixtures.ts';

export const tenant = 'acme';
const shards = 3;
const actors = 7;
const clients = ['client-a', 'client-b'];
const eventsMax = 5;

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'fermata-backup-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Numbers that are the same each time: 0 ≤ x < 1. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Expected {
  seq: number;
  state: { list: number[]; last: number } | undefined;
  readonly outcomes: Map<string, number>;
  readonly numbered: Map<string, { ack: number; ended: number }>;
  readonly visitors: Set<string>;
  visitSeq: number;
  readonly events: HistoryItem[];
}

export type Moment = readonly Expected[];

export class Story {
  readonly directory = temporaryDirectory();
  readonly target: BackupTarget = directoryTarget(join(this.directory, 'backups'));
  readonly clock = clockAt(Date.now() - 3_600_000);
  readonly moments: { readonly atMs: number; readonly moment: Moment }[] = [];
  readonly #random: () => number;
  readonly #dataDir = join(this.directory, 'data');
  #core: KeeperCore;
  #row = Array.from({ length: shards }, () => 0);
  #now: Moment = Array.from({ length: actors }, () => ({
    seq: 0,
    state: undefined,
    outcomes: new Map(),
    numbered: new Map(),
    visitors: new Set(),
    visitSeq: 0,
    events: [],
  }));
  /** Records that are not archived yet, by shard. */
  #waiting: string[][] = Array.from({ length: shards }, () => []);
  #number = 1;
  #offset = 0;
  #lastRound: readonly string[] = [];
  #after: SegmentHeader['after'] = 'start';

  constructor(seed: number) {
    this.#random = randomFrom(seed);
    mkdirSync(this.#dataDir);
    this.#core = openCore(this.#dataDir, {}, this.clock, 'first-epoch');
  }

  get segmentNumber(): number {
    return this.#number;
  }

  /** Some commits of all shards. */
  async live(commits: number): Promise<void> {
    for (let n = 0; n < commits; n += 1) {
      this.commit();
      if (this.#random() < 0.2) await this.archive();
      if (this.#random() < 0.1) this.#core.flush();
      if (this.#random() < 0.05) await this.nextSegment();
    }
  }

  commit(): void {
    this.clock.nowMs += Math.floor(this.#random() * 4);
    const shard = this.#below(shards);
    const turns = Array.from({ length: 1 + this.#below(3) }, () => this.#turn(shard + shards * this.#below(2)));
    this.#row[shard] = this.#row[shard]! + 1;
    const texts = turns.map(encodeEntry);
    this.#core.committed(shard, { journalSeq: this.#row[shard], atMs: this.clock.nowMs, body: texts.join('\n') });
    for (const text of texts) this.#waiting[shard]!.push(encodeRecord(this.clock.nowMs, text));
    this.moments.push({ atMs: this.clock.nowMs, moment: structuredClone(this.#now) });
  }

  /** What waits goes into the segment, shard by shard and so not in the order of time; sometimes what was there comes again. */
  async archive(): Promise<void> {
    const repeated = this.#random() < 0.3 ? this.#lastRound : [];
    this.#lastRound = this.#waiting.toReversed().flat();
    await this.append([...repeated, ...this.#lastRound].join(''));
    this.#waiting = this.#waiting.map(() => []);
  }

  async append(text: string): Promise<void> {
    const { nowMs } = this.clock;
    const began = new Date(nowMs).toISOString();
    const header = { log: 1, tenant, number: this.#number, began, after: this.#after } as const;
    const bytes = Buffer.from(`${this.#offset === 0 ? encodeHeader(header) : ''}${text}`);
    await this.target.append(segmentName(tenant, this.#number), this.#offset, bytes);
    this.#offset += bytes.length;
  }

  /** The one before may be sealed, or end in an append that was cut off. */
  async nextSegment(after: SegmentHeader['after'] = 'previous'): Promise<void> {
    const name = segmentName(tenant, this.#number);
    if (this.#offset === 0) await this.append('');
    const fate = this.#random();
    if (fate < 0.5) await this.#seal(name);
    else if (fate < 0.75) await this.append(encodeRecord(this.clock.nowMs, 'cut off').slice(0, -4));
    this.#number += 1;
    this.#offset = 0;
    this.#after = after;
  }

  /** A base; commits go on while it is made. @returns its name, without ending */
  async base(changed: Partial<Manifest> = {}): Promise<string> {
    await this.archive();
    await this.nextSegment();
    const logFrom = this.#number;
    this.clock.nowMs += 5;
    const beganMs = this.clock.nowMs;
    for (let n = 0; n < 3; n += 1) this.commit();
    const path = this.copy();
    this.clock.nowMs += 5;
    const facts = verifyBase(path, tenant);
    const manifest = { ...manifestOf(facts, tenant, beganMs, this.clock.nowMs), logFrom, ...changed };
    const name = baseName(tenant, beganMs);
    await this.target.put(`${name}.db`, path);
    await this.target.putText(`${name}.json`, encodeManifest(manifest));
    this.clock.nowMs += 1;
    return name;
  }

  /** The tenant's file as it is now, closed, without sidecars. */
  copy(): string {
    expect(this.#core.close()).toBe(true);
    const path = join(this.#dataDir, 'tenants', tenant, 'tenant.db');
    this.#core = openCore(this.#dataDir, {}, this.clock, 'first-epoch');
    this.#row = this.#row.map(() => 0);
    return path;
  }

  /** What was true then. */
  at(atMs: number): Moment | undefined {
    return this.moments.findLast((each) => each.atMs <= atMs)?.moment;
  }

  async #seal(name: string): Promise<void> {
    const path = join(this.directory, 'sealed');
    writeFileSync(path, seal(await this.target.read(name)));
    await this.target.put(`${name}.gz`, path);
    await this.target.remove(name);
  }

  #below(max: number): number {
    return Math.floor(this.#random() * max);
  }

  #turn(wanted: number): JournalEntry {
    const actor = Math.min(wanted, actors - 1);
    const [known, at] = [this.#now[actor]!, addressOf(actor)];
    const value = this.#below(1000);
    const key = this.#random() < 0.4 ? `key-${known.outcomes.size}` : undefined;
    const call = key === undefined ? undefined : okCall(key, value, this.clock.nowMs);
    if (key !== undefined) known.outcomes.set(key, value);
    const entry = this.#change(known, actor, value, call);
    return trailEntry(at, entry.seq, this.#trail(known), entry);
  }

  #change(known: Expected, actor: number, value: number, call: JournalEntry['call']): JournalEntry {
    const at = addressOf(actor);
    if (known.state === undefined || this.#random() < 0.1) {
      known.state = { list: [value], last: value };
      return stateEntry(at, (known.seq += 1), known.state, call);
    }
    if (this.#random() < 0.2)
      return call === undefined ? trailEntry(at, known.seq, {}) : callEntry(at, known.seq, call);
    known.state.list.push(value);
    known.state.last = value;
    const patches = [
      { op: 'add', path: '/list/-', value },
      { op: 'replace', path: '/last', value },
    ];
    return patchEntry(at, (known.seq += 1), patches, call);
  }

  #trail(known: Expected): Partial<Trail> {
    const client = clients[this.#below(clients.length)]!;
    const numbered = this.#random() < 0.4 ? [this.#numbered(known, client)] : [];
    const events = Array.from({ length: this.#below(3) }, (_, n) => {
      return { seq: known.events.length + n + 1, text: JSON.stringify([known.seq, n]) };
    });
    known.events.push(...events);
    if (this.#random() > 0.3) return { numbered, events, eventsMax };
    const n = (known.visitSeq += 1);
    if (known.visitors.delete(client))
      return { numbered, events, eventsMax, visits: [{ kind: 'out', n, clientId: client }] };
    known.visitors.add(client);
    return { numbered, events, eventsMax, visits: [{ kind: 'in', n, visitor: visitorOf(client) }] };
  }

  #numbered(known: Expected, client: string): Trail['numbered'][number] {
    const calls = known.numbered.get(client) ?? { ack: 0, ended: 0 };
    known.numbered.set(client, calls);
    calls.ended += 1;
    calls.ack = Math.min(calls.ended - 1, calls.ack + this.#below(3));
    const call = { n: calls.ended, outcome: ok(calls.ended), atMs: this.clock.nowMs };
    return { client, ack: calls.ack, calls: [call] };
  }
}

export function manifestOf(facts: BaseFacts, owner: string, beganMs: number, finishedMs: number): Manifest {
  const { sha256, bytes, sequence, rows, fileVersion } = facts;
  const [began, finished] = [new Date(beganMs).toISOString(), new Date(finishedMs).toISOString()];
  const versions = { fermata: '0.0.0', sqlite: '3.51.3', file: fileVersion };
  return { format: 1, tenant: owner, began, finished, sequence, sha256, bytes, rows, versions };
}

export function addressOf(actor: number, owner = tenant): ReturnType<typeof address> {
  return address(`actor ${actor}/ü`, owner, actor % 2 === 0 ? 'counter' : 'chat');
}

/** Is this what a keeper says of all actors, in everything that a shard or a client could ask? */
export function compare(core: KeeperCore, moment: Moment, owner = tenant): void {
  for (const [actor, known] of moment.entries()) {
    const at = addressOf(actor, owner);
    const { seq, state, visitors, visitSeq, eventSeq } = core.load(at);
    expect({ seq, state: state === undefined ? undefined : JSON.parse(state), visitSeq, eventSeq }).toEqual({
      seq: known.seq,
      state: known.state,
      visitSeq: known.visitSeq,
      eventSeq: known.events.length,
    });
    expect(visitors.map(({ clientId }) => clientId).sort()).toEqual([...known.visitors].sort());
    for (const [key, value] of known.outcomes)
      expect(core.outcome(at, key)).toEqual({ args: `hash of ${key}`, outcome: ok(value) });
    expect(core.outcome(at, `key-${known.outcomes.size}`)).toBeUndefined();
    for (const client of clients) {
      const { ack, ended } = known.numbered.get(client) ?? { ack: 0, ended: 0 };
      const numbers = Array.from({ length: ended - ack }, (_, above) => ack + above + 1);
      const stored = core.numbered(at, client) ?? { ack: 0, calls: [] };
      expect([stored.ack, stored.calls.map(({ n, outcome }) => [n, outcome])]).toEqual([
        ack,
        numbers.map((n) => [n, ok(n)]),
      ]);
    }
    expect(core.history(at, 'event', -1)).toEqual(known.events.slice(-eventsMax));
  }
}
