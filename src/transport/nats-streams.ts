/**
 * The streams that this system lives on: made when they are missing, verified when they are there.
 *
 * What would lose or reorder calls if it were otherwise (retention, storage, subjects, what happens when a stream is full) must be
 * as it is made here, or the start fails with a sentence. Sizes are the operator's: what exists keeps them. Copies are
 * raised to what the configuration says and never lowered. Anybody may call this at any time; who is second finds it done.
 */
import { setTimeout as delay } from 'node:timers/promises';
import {
  DiscardPolicy,
  type JetStreamManager,
  type NatsConnection,
  nanos,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from 'nats';
import { requestMs } from './nats-bounds.ts';
import { buckets, streams, subjects } from './nats-names.ts';

export interface StreamSettings {
  /** Copies in a NATS cluster. */
  readonly replicas: number;
  /**
   * Bytes of calls that may wait, for a stream that is made anew. By default 1 GiB, or the half, or the half of that, whatever
   * the server has room for.
   */
  readonly callsBytesMax?: number;
}

export class StreamMismatchError extends Error {
  override readonly name = 'StreamMismatchError';
  readonly stream: string;
  readonly field: string;
  readonly found: string;
  readonly wanted: string;
  readonly hint: string;

  constructor(stream: string, field: string, found: string, wanted: string) {
    const hint =
      `If it is no stream of Fermata's, give Fermata an account of its own; if it is, and holds nothing that you need, ` +
      `delete it (nats stream rm ${stream}) and it is made anew`;
    super(`the stream ${stream} has ${field} ${found}, wanted is ${wanted}. ${hint}`);
    this.stream = stream;
    this.field = field;
    this.found = found;
    this.wanted = wanted;
    this.hint = hint;
  }
}

/** @throws StreamMismatchError, or Error when JetStream does not answer */
export async function ensureStreams(nc: NatsConnection, settings: StreamSettings): Promise<void> {
  const manager = await nc.jetstreamManager({ checkAPI: false, timeout: requestMs });
  // The largest comes last, and takes less where there is less room.
  for (const wanted of [slotsBucket(settings), deadStream(settings), callsStream(settings)]) {
    await ensure(manager, wanted);
  }
}

type Wanted = Partial<StreamConfig> & Pick<StreamConfig, 'name' | 'subjects' | 'num_replicas'>;

function callsStream({ replicas, callsBytesMax = 1024 * 1024 * 1024 }: StreamSettings): Wanted {
  return {
    name: streams.calls,
    subjects: [subjects.allCalls],
    retention: RetentionPolicy.Workqueue,
    storage: StorageType.File,
    // A full stream refuses what is new, and says so to the gateway: nothing that was accepted is thrown away.
    discard: DiscardPolicy.New,
    discard_new_per_subject: true,
    max_msgs_per_subject: 20_000,
    max_bytes: callsBytesMax,
    // Nothing expires: somebody waits for each of these calls, and the bounds above are enough.
    max_age: 0,
    max_msg_size: -1,
    max_consumers: -1,
    num_replicas: replicas,
  };
}

function deadStream({ replicas }: StreamSettings): Wanted {
  return {
    name: streams.dead,
    subjects: [subjects.allDead],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.Old,
    max_age: nanos(7 * 24 * 60 * 60 * 1000),
    max_bytes: 256 * 1024 * 1024,
    max_msg_size: -1,
    num_replicas: replicas,
  };
}

/** A bucket is a stream by another name; made here so that it is verified as the others are. */
function slotsBucket({ replicas }: StreamSettings): Wanted {
  return {
    name: `KV_${buckets.slots}`,
    subjects: [`$KV.${buckets.slots}.>`],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    max_msgs_per_subject: 1,
    max_msg_size: -1,
    max_age: 0,
    allow_rollup_hdrs: true,
    deny_delete: true,
    allow_direct: true,
    num_replicas: replicas,
  };
}

/** Fields that must be as they are wanted. */
const fixed = [
  'retention',
  'storage',
  'subjects',
  'discard',
  'discard_new_per_subject',
  'max_msg_size',
  'max_consumers',
] as const satisfies readonly (keyof StreamConfig)[];

async function ensure(manager: JetStreamManager, wanted: Wanted): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const found = await find(manager, wanted.name);
    if (found !== undefined) return verify(manager, wanted, found);
    try {
      return await add(manager, wanted);
    } catch (error) {
      // Somebody else makes it at this moment, perhaps with other copies, or takes its room: it is looked at again.
      if (attempt === attemptsMax || !atOnce.has(apiCode(error))) throw error;
      await delay(againMs);
    }
  }
}

/** JetStream sets aside at once what a stream may grow to. Where there is less room, less may wait. */
async function add(manager: JetStreamManager, wanted: Wanted): Promise<void> {
  const { max_bytes: bytesMax = -1 } = wanted;
  for (let bytes = bytesMax; ; bytes = Math.floor(bytes / 2)) {
    try {
      await manager.streams.add({ ...wanted, max_bytes: bytes });
      return;
    } catch (error) {
      if (apiCode(error) !== noRoom || bytes < bytesMin * 2) throw error;
    }
  }
}

async function verify(manager: JetStreamManager, wanted: Wanted, found: StreamConfig): Promise<void> {
  for (const field of fixed) {
    const [is, ought] = [JSON.stringify(found[field] ?? false), JSON.stringify(wanted[field])];
    if (ought !== undefined && is !== ought) throw new StreamMismatchError(wanted.name, field, is, ought);
  }
  const { max_age: ageMax = 0 } = wanted;
  if (ageMax === 0 && (found.max_age ?? 0) !== 0)
    throw new StreamMismatchError(wanted.name, 'max_age', `${found.max_age / 1e6} ms`, 'none');
  if (found.num_replicas < wanted.num_replicas)
    await manager.streams.update(wanted.name, { ...found, num_replicas: wanted.num_replicas });
}

async function find(manager: JetStreamManager, name: string): Promise<StreamConfig | undefined> {
  try {
    return (await manager.streams.info(name)).config;
  } catch (error) {
    if (apiCode(error) === streamNotFound) return undefined;
    throw error;
  }
}

/** JetStream's number of what went wrong, 0 for everything else. */
export function apiCode(error: unknown): number {
  if (typeof error !== 'object' || error === null || !('api_error' in error)) return 0;
  const { api_error: api } = error as { api_error?: { err_code?: number } };
  return api?.err_code ?? 0;
}

export const streamNotFound = 10059;
export const consumerNotFound = 10014;
/** insufficient storage resources available */
const noRoom = 10047;
/** What several makers at once hear: the name is in use, its subjects are, or there is no room. */
const atOnce: ReadonlySet<number> = new Set([10058, 10065, noRoom]);
const attemptsMax = 5;
const againMs = 50;
const bytesMin = 16 * 1024 * 1024;
