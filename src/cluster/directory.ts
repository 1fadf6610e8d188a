/**
 * Who is there, for people: gateways and runtimes write themselves into a bucket whose entries fade after a minute, and write
 * again every half of it. Nothing decides by it; who owns a slot stands elsewhere.
 */
import type { KV, NatsConnection } from 'nats';
import type { Logger } from '../host/log.ts';
import { buckets, idPattern } from '../transport/nats-names.ts';
import { bucketSnapshot } from './bucket-snapshot.ts';

export interface DirectoryEntry {
  readonly kind: 'gateway' | 'runtime';
  /** A node's id for a runtime; for a gateway process one of its own. */
  readonly id: string;
  readonly version: string;
  readonly host: string;
  /** Threads that run actors; 0 for a gateway. */
  readonly shards: number;
  /** Slots that it serves. */
  readonly slots: readonly number[];
  /** Calls under way. */
  readonly load: number;
  /** Wall clock of its start. */
  readonly sinceMs: number;
  readonly state: 'starting' | 'ready' | 'draining';
}

export interface DirectoryListingOptions {
  readonly nc: NatsConnection;
  readonly log: Logger;
  /** Asked before each heartbeat; its kind and id must not change. */
  readonly describe: () => DirectoryEntry | Promise<DirectoryEntry>;
  readonly heartbeatMs?: number;
}

const heartbeatMsDefault = 30_000;
const lifeMs = 60_000;
const timeoutMs = 5000;
const retryMs = 2000;

/** This process's entry. */
export class DirectoryListing {
  readonly #options: DirectoryListingOptions;
  #key = '';
  #timer: NodeJS.Timeout | undefined;
  #beating: Promise<void> = Promise.resolve();

  constructor(options: DirectoryListingOptions) {
    this.#options = options;
  }

  /** Writes itself in, and goes on. An entry that cannot be written is written at a later heartbeat. */
  async start(): Promise<void> {
    this.refresh();
    await this.#beating;
  }

  /** At once: something of it has changed. */
  refresh(): void {
    clearTimeout(this.#timer);
    this.#beating = this.#beating.then(() => this.#beat());
  }

  async stop(): Promise<void> {
    await this.#beating;
    clearTimeout(this.#timer);
    if (this.#key === '') return;
    try {
      await (await openDirectory(this.#options.nc)).delete(this.#key);
    } catch (error) {
      this.#options.log.debug({ err: error }, 'the entry in the directory could not be removed; it fades by itself');
    }
  }

  async #beat(): Promise<void> {
    const { nc, log, describe, heartbeatMs = heartbeatMsDefault } = this.#options;
    clearTimeout(this.#timer);
    let nextMs = heartbeatMs;
    try {
      const entry = await describe();
      this.#key = `${entry.kind}.${entry.id}`;
      await (await openDirectory(nc)).put(this.#key, JSON.stringify(entry));
    } catch (error) {
      log.debug({ err: error }, 'the entry in the directory could not be written; it is tried again');
      nextMs = Math.min(nextMs, retryMs);
    }
    this.#timer = setTimeout(() => this.refresh(), nextMs).unref();
  }
}

/** Everybody who wrote within the last minute. @throws Error when NATS does not answer */
export async function readDirectory(nc: NatsConnection): Promise<DirectoryEntry[]> {
  const texts = await bucketSnapshot(await openDirectory(nc));
  const entries = [...texts].flatMap(([key, text]) => parseEntry(key, text) ?? []);
  return entries.toSorted((a, b) => a.kind.localeCompare(b.kind) || (a.id < b.id ? -1 : 1));
}

async function openDirectory(nc: NatsConnection): Promise<KV> {
  return await nc.jetstream({ timeout: timeoutMs }).views.kv(buckets.directory, { ttl: lifeMs, history: 1 });
}

/** Undefined for what another program put there. */
function parseEntry(key: string, text: string): DirectoryEntry | undefined {
  let value: Partial<Record<keyof DirectoryEntry, unknown>>;
  try {
    value = Object(JSON.parse(text)) as typeof value;
  } catch {
    return undefined;
  }
  const { kind, id, version, host, shards, slots, load, sinceMs, state } = value;
  if ((kind !== 'gateway' && kind !== 'runtime') || !isText(id) || !idPattern.test(id)) return undefined;
  if (key !== `${kind}.${id}` || !isText(version) || !isText(host)) return undefined;
  if (!isCount(shards) || !isCount(load) || !isCount(sinceMs)) return undefined;
  if (!Array.isArray(slots) || !slots.every(isCount)) return undefined;
  if (state !== 'starting' && state !== 'ready' && state !== 'draining') return undefined;
  return { kind, id, version, host, shards, slots, load, sinceMs, state };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= textCharsMax;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

const textCharsMax = 256;
