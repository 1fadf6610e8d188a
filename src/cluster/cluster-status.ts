/**
 * The state of everything, gathered once, for `fermata status`: from the bucket of slots (the truth about nodes and slots), the
 * directory (what they say of themselves) and the streams (what waits). A plain object, which can be printed as JSON.
 */
import type { KV, NatsConnection, StreamState } from 'nats';
import { buckets, slots, streams, subjects } from '../transport/nats-names.ts';
import { apiCode, streamNotFound } from '../transport/nats-streams.ts';
import { bucketSnapshot } from './bucket-snapshot.ts';
import { type DirectoryEntry, readDirectory } from './directory.ts';
import { type NodeRecord, parseKey, parseNode, parseSlot, type SlotRecord } from './slot-records.ts';

export interface ClusterStatus {
  readonly nodes: readonly NodeStatus[];
  /** All of them, by number. */
  readonly slots: readonly SlotStatus[];
  readonly gateways: readonly DirectoryEntry[];
  readonly calls: Backlog;
  readonly dead: Backlog;
}

export interface NodeStatus {
  readonly id: string;
  /** `away`: it should have renewed its lease by now, going by the clocks of its machine and this one. */
  readonly state: NodeRecord['state'] | 'away';
  readonly epoch: number;
  /** For how long it may commit after its record was written. */
  readonly leaseMs: number;
  /** Since its record was written, by the clocks of its machine and this one. */
  readonly silentMs: number;
  readonly slots: number;
  readonly slotsWithData: number;
  /** What it says of itself; absent when it has not done so for a minute. */
  readonly runtime?: DirectoryEntry;
}

export interface SlotStatus {
  readonly slot: number;
  /** Null: nobody yet. */
  readonly owner: string | null;
  readonly epoch: number;
  readonly hasData: boolean;
  /** Frames of calls that wait, or are being worked at. */
  readonly backlog: number;
}

export interface Backlog {
  readonly messages: number;
  readonly bytes: number;
}

const timeoutMs = 5000;

/** @throws Error when NATS does not answer, or no runtime was ever started there */
export async function clusterStatus(nc: NatsConnection, nowMs: number = Date.now()): Promise<ClusterStatus> {
  const [records, entries, calls, dead] = await Promise.all([
    recordsOf(nc),
    readDirectory(nc),
    stateOf(nc, streams.calls, subjects.allCalls),
    stateOf(nc, streams.dead),
  ]);
  const runtimes = new Map(entries.filter(({ kind }) => kind === 'runtime').map((entry) => [entry.id, entry]));
  const owned = [...records.slots.values()];
  const nodes = [...records.nodes].map(([id, record]): NodeStatus => {
    const own = owned.filter(({ owner }) => owner === id);
    const silentMs = Math.max(0, nowMs - record.atMs);
    const runtime = runtimes.get(id);
    return {
      id,
      state: record.state === 'up' && silentMs > record.leaseMs * 1.5 ? 'away' : record.state,
      epoch: record.epoch,
      leaseMs: record.leaseMs,
      silentMs,
      slots: own.length,
      slotsWithData: own.filter(({ hasData }) => hasData).length,
      ...(runtime === undefined ? {} : { runtime }),
    };
  });
  return {
    nodes: nodes.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    slots: Array.from({ length: slots }, (_, slot): SlotStatus => {
      const { owner = null, epoch = 0, hasData = false } = records.slots.get(slot) ?? {};
      return { slot, owner, epoch, hasData, backlog: calls.subjects?.[subjects.calls(slot)] ?? 0 };
    }),
    gateways: entries.filter(({ kind }) => kind === 'gateway'),
    calls: { messages: calls.messages, bytes: calls.bytes },
    dead: { messages: dead.messages, bytes: dead.bytes },
  };
}

interface Records {
  readonly nodes: Map<string, NodeRecord>;
  readonly slots: Map<number, SlotRecord>;
}

async function recordsOf(nc: NatsConnection): Promise<Records> {
  const kv = await nc.jetstream({ timeout: timeoutMs }).views.kv(buckets.slots, { bindOnly: true });
  const records: Records = { nodes: new Map(), slots: new Map() };
  for (const [name, text] of await textsOf(kv)) {
    const key = parseKey(name);
    if (key?.kind === 'node') {
      const record = parseNode(text);
      if (record !== undefined) records.nodes.set(key.id, record);
    } else if (key?.kind === 'slot') {
      const record = parseSlot(text);
      if (record !== undefined) records.slots.set(key.slot, record);
    }
  }
  return records;
}

async function textsOf(kv: KV): Promise<Map<string, string>> {
  try {
    return await bucketSnapshot(kv);
  } catch (error) {
    if (apiCode(error) !== streamNotFound) throw error;
    throw new Error('no runtime of Fermata was ever started with this NATS, or its store was lost since', {
      cause: error,
    });
  }
}

type State = Pick<StreamState, 'messages' | 'bytes' | 'subjects'>;

async function stateOf(nc: NatsConnection, stream: string, filter?: string): Promise<State> {
  const manager = await nc.jetstreamManager({ checkAPI: false, timeout: timeoutMs });
  try {
    return (await manager.streams.info(stream, filter === undefined ? {} : { subjects_filter: filter })).state;
  } catch (error) {
    if (apiCode(error) === streamNotFound) return { messages: 0, bytes: 0 };
    throw error;
  }
}
