/** The actors of the naive design: each call reads its actor from memory, runs, and is written by itself. */
import { parentPort, workerData } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { enablePatches, produceWithPatches } from 'immer';
import { z } from 'zod';
import type { NaiveCall, NaiveReply } from './naive.ts';

interface CounterState {
  readonly count: number;
}

enablePatches();
const addInput = z.object({ amount: z.number() });
const db = new Database(workerData as string);
db.pragma('journal_mode = WAL');
db.pragma('synchronous = FULL');
db.exec('CREATE TABLE IF NOT EXISTS actors (actor TEXT, id TEXT, state TEXT NOT NULL, PRIMARY KEY (actor, id)) STRICT');
const write = db.prepare(
  'INSERT INTO actors (actor, id, state) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET state = excluded.state',
);
const commit = db.transaction((actor: string, id: string, state: CounterState) => {
  write.run(actor, id, JSON.stringify(state));
});
const states = new Map<string, CounterState>();

parentPort?.on('message', (call: NaiveCall) => {
  parentPort?.postMessage(answer(call));
});

function answer({ socket, id, actor, actorId, method, input }: NaiveCall): NaiveReply {
  if (method !== 'add') return { socket, id, error: `Unknown method: ${method}` };
  const parsed = addInput.safeParse(input);
  if (!parsed.success) return { socket, id, error: `Validation failed for ${method}` };
  const key = `${actor}/${actorId}`;
  const [state] = produceWithPatches(states.get(key) ?? { count: 0 }, (draft) => {
    draft.count += parsed.data.amount;
  });
  commit(actor, actorId, state);
  states.set(key, state);
  return { socket, id, result: state.count };
}
