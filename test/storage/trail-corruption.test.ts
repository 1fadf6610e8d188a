import Database from 'better-sqlite3';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { encodeEntries } from '../../src/storage/entry.ts';
import type { KeeperCore } from '../../src/storage/keeper.ts';
import {
  address,
  codeOf,
  ok,
  openCore,
  patchEntry,
  stateEntry,
  temporaryDirectory,
  trailEntry,
  visitorOf,
} from './fixtures.ts';

const c1 = address('c1');
const c2 = address('c2');
const client = 'abcdefgh';

describe('damage in what an actor leaves beside its state', () => {
  it.each([
    ['a visitor', "UPDATE visitors SET session_id = 'another'", load],
    ['the claims of a visitor', "UPDATE visitors SET claims = '{}'", load],
    [
      'a visitor of somebody else',
      "UPDATE visitors SET id = 'c1' WHERE id = 'c2'; DELETE FROM visitors WHERE id = 'c2'",
      load,
    ],
    ['the place of its visits', 'UPDATE places SET visit_seq = 0', load],
    ['the place of its events', 'UPDATE places SET event_seq = event_seq + 1', load],
    ['a place that is gone', 'DELETE FROM places', load],
    ['an outcome', "UPDATE numbered SET outcome = replace(outcome, '7', '8')", numbered],
    ['the number of an outcome', 'UPDATE numbered SET n = n + 1', numbered],
    ['an ack', 'UPDATE acks SET ack = ack - 1', numbered],
  ])('closes it off, and no other: %s', (_, sql, ask) => {
    const dataDir = fixture();
    change(dataDir, sql.includes('WHERE') ? sql : `${sql} WHERE id = 'c1'`);
    const core = openCore(dataDir);
    expect(codeOf(() => ask(core))).toBe('QUARANTINED');
    core.flush();
    const again = openCore(dataDir);
    expect(codeOf(() => again.load(c1))).toBe('QUARANTINED');
    if (!sql.includes('c2')) expect(again.load(c2)).toMatchObject({ seq: 3, eventSeq: 2 });
  });

  it('closes it off at a write, too, and holds what was to be written', () => {
    const dataDir = fixture();
    change(dataDir, "UPDATE places SET event_seq = 0 WHERE id = 'c1'");
    const core = openCore(dataDir);
    const told: string[] = [];
    core.attach(0, { quarantined: ({ id }) => told.push(id) });
    give(core, [trailEntry(c1, 3, { events: [{ seq: 3, text: '"late"' }], eventsMax: 5 })], 9);
    expect(core.flush()).toBe(true);
    expect(told).toEqual(['c1']);
    const db = new Database(join(dataDir, 'quarantine/held-entries.db'), { readonly: true });
    expect(db.prepare('SELECT entry FROM held').pluck().all().join()).toContain('late');
    db.close();
  });

  it('in kept history ends what can be resumed, and nothing else', () => {
    const dataDir = fixture();
    const sound = openCore(dataDir);
    for (const stream of ['state', 'event'] as const)
      expect(sound.history(c1, stream, 1)).toHaveLength(stream === 'state' ? 2 : 1);
    sound.close();
    change(dataDir, "UPDATE history SET text = replace(text, 'x', 'y') WHERE id = 'c1'");
    const core = openCore(dataDir);
    for (const stream of ['state', 'event'] as const) {
      expect(core.history(c1, stream, 1)).toBeUndefined();
      expect(core.history(c1, stream, -1)).toEqual([]);
      expect(core.history(c2, stream, 1)).toBeDefined();
    }
    expect(core.load(c1)).toMatchObject({ seq: 3, eventSeq: 2, visitors: [visitorOf('a')] });
    // What comes after it can be resumed again.
    give(core, [trailEntry(c1, 3, { events: [{ seq: 3, text: '"x"' }], eventsMax: 5 })], 9);
    core.flush();
    expect(core.history(c1, 'event', -1)?.map(({ seq }) => seq)).toEqual([3]);
    expect(core.history(c1, 'event', 1)).toBeUndefined();
  });

  it('of its epoch is another epoch', () => {
    const dataDir = fixture();
    change(dataDir, "UPDATE meta SET value = 'no \"frame\"' WHERE key = 'epoch'");
    expect(openCore(dataDir, {}, undefined, 'boot-2').load(c1).epoch).toBe('boot-2');
  });
});

function load(core: KeeperCore): unknown {
  return core.load(c1);
}

function numbered(core: KeeperCore): unknown {
  return core.numbered(c1, client);
}

/** Two actors, alike. */
function fixture(): string {
  const dataDir = temporaryDirectory();
  const core = openCore(dataDir);
  for (const [at, actor] of [c1, c2].entries()) {
    const events = [1, 2].map((seq) => ({ seq, text: `"x${seq}"` }));
    const calls = [{ n: 7, outcome: ok(7), atMs: Date.now() }];
    const visits = [{ kind: 'in', n: 1, visitor: visitorOf(at === 0 ? 'a' : 'b') } as const];
    const entries = [
      stateEntry(actor, 1, {}),
      ...[2, 3].map((seq) =>
        trailEntry(actor, seq, { patches: 'own' }, patchEntry(actor, seq, [{ op: 'add', path: '/x', value: seq }])),
      ),
      trailEntry(actor, 3, { events, eventsMax: 5, visits, numbered: [{ client, ack: 4, calls }] }),
    ];
    give(core, entries, at + 1);
  }
  core.close();
  return dataDir;
}

function give(core: KeeperCore, entries: Parameters<typeof encodeEntries>[0], journalSeq: number): void {
  core.committed(0, { journalSeq, body: encodeEntries(entries) });
}

function change(dataDir: string, sql: string): void {
  new Database(join(dataDir, 'tenants/acme/tenant.db')).exec(sql).close();
}
