import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/host/clock.ts';
import type { Address } from '../../src/protocol/address.ts';
import { applyPatches, type JsonPatchOp } from '../../src/protocol/json-patch.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import type { HistoryItem, JournalEntry, LoadedActor, Trail } from '../../src/storage/contract.ts';
import { Journal } from '../../src/storage/journal.ts';
import { KeeperCore } from '../../src/storage/keeper.ts';
import { journalPath } from '../../src/storage/paths.ts';
import { recover } from '../../src/storage/recovery.ts';
import {
  address,
  callEntry,
  ok,
  okCall,
  patchEntry,
  silentLog,
  stateEntry,
  trailEntry,
  visitorOf,
} from './fixtures.ts';

type Step =
  | { readonly kind: 'commit'; readonly turns: readonly Turn[] }
  | { readonly kind: 'flush' | 'forget' | 'load' | 'stop' | 'kill' };
interface Turn {
  readonly actor: number;
  readonly change: 'state' | 'set' | 'push' | 'none';
  readonly value: unknown;
  readonly key: boolean;
  /** Number of the client that makes the turn. */
  readonly client: number;
  readonly numbered: boolean;
  /** How many of its calls the client has no more interest in. */
  readonly acked: number;
  readonly visit: boolean;
  readonly keepPatches: boolean;
  readonly events: number;
}

const limits = {
  ...defaultLimits,
  keeperDelayMs: 3_600_000,
  tenantFilesOpenMax: 1,
  historyTurnsMax: 5,
  historyBytesMax: 300,
};
const eventsMax = 4;
const clients = ['client-a', 'client-b'];
const actors = [address('c1'), address('c2'), address('ü/1', 'acme', 'chat'), address('c1', 'b-2')];
const turn: fc.Arbitrary<Turn> = fc.record({
  actor: fc.nat({ max: actors.length - 1 }),
  change: fc.constantFrom('state', 'set', 'push', 'push', 'none'),
  // -0 becomes 0 in JSON, with or without storage.
  value: fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown),
  key: fc.boolean(),
  client: fc.nat({ max: clients.length - 1 }),
  numbered: fc.boolean(),
  acked: fc.nat({ max: 3 }),
  visit: fc.boolean(),
  keepPatches: fc.constantFrom(true, true, true, false),
  events: fc.nat({ max: 2 }),
});
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('commit' as const),
        turns: fc.array(turn, { minLength: 1, maxLength: 6 }),
      }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constantFrom('flush' as const, 'forget' as const, 'load' as const, 'stop' as const, 'kill' as const),
      }),
    },
  ),
  { minLength: 1, maxLength: 14 },
);

/** What storage must amount to: plain values in memory. */
class Model {
  readonly states = new Map<number, { seq: number; value: { list: unknown[]; map: Record<string, unknown> } }>();
  readonly outcomes = new Map<string, string>();
  readonly trails = actors.map(() => new TrailModel());
  #keys = 0;

  take(taken: Turn): JournalEntry {
    const entry = this.#change(taken);
    const trail = this.trails[taken.actor]!.take(taken, entry);
    return trail === undefined ? entry : trailEntry(entry.address, entry.seq, trail, entry);
  }

  #change({ actor, change, value, key }: Turn): JournalEntry {
    const at = actors[actor]!;
    const before = this.states.get(actor);
    const call = key ? okCall(`k${(this.#keys += 1)}`, value) : undefined;
    if (call !== undefined)
      this.outcomes.set(`${actor} ${call.key}`, call.outcome.kind === 'ok' ? call.outcome.result : '');
    if (change === 'none') return callEntry(at, before?.seq ?? 0, call ?? okCall('unkeyed', 0));
    const seq = (before?.seq ?? 0) + 1;
    if (before === undefined || change === 'state') {
      const state = { list: [value], map: {} };
      this.states.set(actor, { seq, value: state });
      return stateEntry(at, seq, state, call);
    }
    const patches: JsonPatchOp[] =
      change === 'push'
        ? [{ op: 'add', path: '/list/-', value }]
        : [
            { op: 'add', path: `/map/k~1${seq % 3}`, value },
            { op: 'replace', path: '/list/0', value: seq },
          ];
    this.states.set(actor, { seq, value: applyPatches(before.value, patches) });
    return patchEntry(at, seq, patches, call);
  }
}

/** What one actor leaves beside its state. */
class TrailModel {
  readonly visitors = new Set<string>();
  visitSeq = 0;
  readonly events: HistoryItem[] = [];
  readonly patches: HistoryItem[] = [];
  readonly numbered = clients.map(() => ({ ended: 0, ack: 0 }));

  take(taken: Turn, { seq, change }: JournalEntry): Trail | undefined {
    const { client, value, keepPatches } = taken;
    const events = Array.from({ length: taken.events }, (_, n) => {
      return { seq: this.events.length + n + 1, text: JSON.stringify([value, n]) };
    });
    this.events.push(...events);
    const kept = !keepPatches || change.kind === 'none' ? [] : [{ seq, text: change.text }];
    this.patches.push(...kept);
    return {
      numbered: taken.numbered ? [this.#number(client, taken.acked)] : [],
      visits: taken.visit ? [this.#visit(clients[client]!)] : [],
      patches: change.kind === 'patches' && kept.length > 0 ? 'own' : kept,
      events,
      eventsMax,
    };
  }

  #number(client: number, acked: number): Trail['numbered'][number] {
    const known = this.numbered[client]!;
    known.ended += 1;
    known.ack = Math.min(known.ack + acked, known.ended - 1);
    return {
      client: clients[client]!,
      ack: known.ack,
      calls: [{ n: known.ended, outcome: ok(known.ended), atMs: Date.now() }],
    };
  }

  #visit(clientId: string): Trail['visits'][number] {
    this.visitSeq += 1;
    if (this.visitors.delete(clientId)) return { kind: 'out', n: this.visitSeq, clientId };
    this.visitors.add(clientId);
    return { kind: 'in', n: this.visitSeq, visitor: visitorOf(clientId) };
  }
}

/** One process's storage on a directory: a journal and a keeper, joined as the threads join them. */
class Store {
  readonly #dataDir: string;
  core: KeeperCore;
  journal: Journal;

  constructor(dataDir: string) {
    this.#dataDir = dataDir;
    const core = new KeeperCore({
      dataDir,
      limits,
      log: silentLog,
      clock: systemClock,
      boot: 'boot-1',
    });
    recover(dataDir, core, 1, silentLog);
    this.core = core;
    this.journal = Journal.open(journalPath(dataDir, 0));
    core.attach(0, {
      synced: (journalSeq) => this.journal.forget(journalSeq),
      quarantined: ({ tenant }) => expect.fail(`${tenant} was quarantined`),
    });
  }

  reopen(clean: boolean): Store {
    if (clean) this.core.close();
    if (clean) this.journal.close();
    // Killed: connections stay as they are, nothing is flushed; the next process finds file and WAL.
    return new Store(this.#dataDir);
  }
}

describe('tenant files and journal together', () => {
  it('equal memory after any turns, writes, stops and kills', () => {
    fc.assert(
      fc.property(steps, (taken) => {
        const dataDir = mkdtempSync(join(tmpdir(), 'fermata-model-'));
        try {
          const model = new Model();
          let store = new Store(dataDir);
          for (const step of taken) {
            if (step.kind === 'commit')
              store.core.committed(
                0,
                store.journal.commit(
                  step.turns.map((each) => model.take(each)),
                  'durable',
                ),
              );
            else if (step.kind === 'flush') expect(store.core.flush()).toBe(true);
            else if (step.kind === 'forget') store.journal.flush();
            else if (step.kind === 'load') compare(store, model);
            else store = store.reopen(step.kind === 'stop');
          }
          compare(store, model);
          store = store.reopen(true);
          compare(store, model);
          expect(store.journal.unsyncedBytes).toBe(0);
        } finally {
          rmSync(dataDir, { recursive: true, force: true });
        }
      }),
      { numRuns: 60 },
    );
  });
});

function compare({ core }: Store, model: Model): void {
  for (const [actor, at] of actors.entries()) {
    const { seq, state, ...loaded } = core.load(at);
    expect({ seq, value: state === undefined ? undefined : (JSON.parse(state) as unknown) }).toEqual(
      model.states.get(actor) ?? { seq: 0, value: undefined },
    );
    compareTrail(core, at, model.trails[actor]!, seq, loaded);
  }
  for (const [name, result] of model.outcomes) {
    const [actor, key] = name.split(' ') as [string, string];
    expect(core.outcome(actors[Number(actor)]!, key)).toEqual({
      args: `hash of ${key}`,
      outcome: { kind: 'ok', result },
    });
  }
}

function compareTrail(
  core: KeeperCore,
  at: Address,
  model: TrailModel,
  seq: number,
  loaded: Omit<LoadedActor, 'seq' | 'state'>,
): void {
  expect(loaded).toMatchObject({
    epoch: 'boot-1',
    eventSeq: model.events.length,
    patchSeq: model.patches.at(-1)?.seq ?? 0,
    visitSeq: model.visitSeq,
    hasNumbered: model.numbered.some(({ ended }) => ended > 0),
  });
  expect(loaded.visitors.toSorted((a, b) => (a.clientId < b.clientId ? -1 : 1))).toEqual(
    [...model.visitors].sort().map(visitorOf),
  );
  for (const [n, { ended, ack }] of model.numbered.entries()) {
    const calls = Array.from({ length: ended - ack }, (_, above) => ack + above + 1);
    const stored = core.numbered(at, clients[n]!);
    expect(stored?.ack ?? 0).toBe(ack);
    expect(stored?.calls.map((call) => [call.n, call.outcome]) ?? []).toEqual(calls.map((call) => [call, ok(call)]));
  }
  compareHistory(model.events, eventsMax, model.events.length, (since) => core.history(at, 'event', since));
  compareHistory(model.patches, limits.historyTurnsMax, seq, (since) => core.history(at, 'state', since));
}

/** `all` that ever were, of which the newest are to be there. */
function compareHistory(
  all: readonly HistoryItem[],
  max: number,
  newest: number,
  read: (since: number) => readonly HistoryItem[] | undefined,
): void {
  const kept: HistoryItem[] = [];
  let chars = 0;
  for (const item of all.toReversed()) {
    chars += item.text.length;
    if (item.seq !== newest - kept.length || kept.length === max || chars > limits.historyBytesMax) break;
    kept.unshift(item);
  }
  expect(read(-1)).toEqual(kept);
  for (let since = 0; since <= newest; since += 1) {
    const missed = kept.filter((item) => item.seq > since);
    expect(read(since), `since ${since} of ${newest}`).toEqual(missed.length === newest - since ? missed : undefined);
  }
  expect(read(newest + 1)).toBeUndefined();
}
