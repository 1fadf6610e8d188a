import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/host/clock.ts';
import { applyPatches, type JsonPatchOp } from '../../src/protocol/json-patch.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import type { JournalEntry } from '../../src/storage/contract.ts';
import { Journal } from '../../src/storage/journal.ts';
import { KeeperCore } from '../../src/storage/keeper.ts';
import { journalPath } from '../../src/storage/paths.ts';
import { recover } from '../../src/storage/recovery.ts';
import { address, callEntry, okCall, patchEntry, silentLog, stateEntry } from './fixtures.ts';

type Step =
  | { readonly kind: 'commit'; readonly turns: readonly Turn[] }
  | { readonly kind: 'flush' | 'forget' | 'load' | 'stop' | 'kill' };
interface Turn {
  readonly actor: number;
  readonly change: 'state' | 'set' | 'push' | 'none';
  readonly value: unknown;
  readonly key: boolean;
}

const actors = [address('c1'), address('c2'), address('ü/1', 'acme', 'chat'), address('c1', 'b-2')];
const turn: fc.Arbitrary<Turn> = fc.record({
  actor: fc.nat({ max: actors.length - 1 }),
  change: fc.constantFrom('state', 'set', 'push', 'push', 'none'),
  // -0 becomes 0 in JSON, with or without storage.
  value: fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown),
  key: fc.boolean(),
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
  #keys = 0;

  take({ actor, change, value, key }: Turn): JournalEntry {
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

/** One process's storage on a directory: a journal and a keeper, joined as the threads join them. */
class Store {
  readonly #dataDir: string;
  core: KeeperCore;
  journal: Journal;

  constructor(dataDir: string) {
    this.#dataDir = dataDir;
    const core = new KeeperCore({
      dataDir,
      limits: { ...defaultLimits, keeperDelayMs: 3_600_000, tenantFilesOpenMax: 1 },
      log: silentLog,
      clock: systemClock,
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
    const { seq, state } = core.load(at);
    expect({ seq, value: state === undefined ? undefined : (JSON.parse(state) as unknown) }).toEqual(
      model.states.get(actor) ?? { seq: 0, value: undefined },
    );
  }
  for (const [name, result] of model.outcomes) {
    const [actor, key] = name.split(' ') as [string, string];
    expect(core.outcome(actors[Number(actor)]!, key)).toEqual({
      args: `hash of ${key}`,
      outcome: { kind: 'ok', result },
    });
  }
}
