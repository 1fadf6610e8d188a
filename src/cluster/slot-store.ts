/**
 * The bucket of slots: who is there, and who owns which slot. The truth about both.
 *
 * Every write names the revision that it follows and is refused when it is not the last, so that of several that act on the
 * same picture one succeeds. A write without an answer may have happened; whoever repeats it is then refused, looks, and finds
 * its own.
 *
 * Reads and writes go to the stream's leader. What `view` holds comes from a watch and may be behind.
 */
import type { KV, NatsConnection, NatsError } from 'nats';
import type { Logger } from '../host/log.ts';
import { buckets } from '../transport/nats-names.ts';
import { type ConnectionStatus, watchConnection } from '../transport/nats-status.ts';
import { apiCode } from '../transport/nats-streams.ts';
import type { NodeRecord, SlotRecord } from './slot-records.ts';
import { type Entry, SlotView } from './slot-view.ts';
import { SlotWatch } from './slot-watch.ts';

export interface SlotStoreOptions {
  readonly nc: NatsConnection;
  /** Creates or verifies the bucket; called again when it turns out to be lost. */
  readonly ensure: () => Promise<void>;
  /** Of the node that renews a lease here; a mere reader has none. */
  readonly self?: string;
  readonly leaseMs: number;
  readonly monotonic: () => number;
  readonly log: Logger;
}

/** The server's word for a revision that is not the last. */
const wrongLastSequence = 10071;
const leastTimeoutMs = 500;

export class SlotStore {
  readonly view: SlotView;
  readonly #options: SlotStoreOptions;
  readonly #kv: KV;
  readonly #watch: SlotWatch;
  readonly #changed = new Set<() => void>();
  readonly #vanished = new Set<() => void>();
  readonly #connection: ConnectionStatus;
  #repairing: Promise<void> | undefined;

  /** @throws Error of `ensure`, or when NATS does not answer */
  static async open(options: SlotStoreOptions): Promise<SlotStore> {
    await options.ensure();
    const js = options.nc.jetstream({ timeout: Math.max(leastTimeoutMs, options.leaseMs / 3) });
    // Without direct reads: a follower that lags would show a record that was replaced.
    const kv = await js.views.kv(buckets.slots, { bindOnly: true, allow_direct: false });
    const store = new SlotStore(options, kv);
    try {
      await store.#watch.start();
    } catch (error) {
      store.#connection.stop();
      throw error;
    }
    return store;
  }

  private constructor(options: SlotStoreOptions, kv: KV) {
    const { nc, self, leaseMs, monotonic, log } = options;
    this.#options = options;
    this.#kv = kv;
    this.view = new SlotView(monotonic, leaseMs);
    this.#watch = new SlotWatch({
      kv,
      view: this.view,
      self,
      monotonic,
      log,
      onChange: () => call(this.#changed),
      onVanished: () => call(this.#vanished),
    });
    this.#connection = watchConnection(nc, (up) => {
      if (up) this.#watch.restart();
      else this.view.observation.lose();
      call(this.#changed);
    });
  }

  get connected(): boolean {
    return this.#connection.up;
  }

  /** After any change of the view, and when the connection is back. */
  onChange(listener: () => void): void {
    this.#changed.add(listener);
  }

  /** NATS has lost records that were there. */
  onVanished(listener: () => void): void {
    this.#vanished.add(listener);
  }

  /** The new revision; undefined when the one before was not the last. @throws Error when it may have happened or not */
  async write(key: string, record: NodeRecord | SlotRecord, afterRevision: number): Promise<number | undefined> {
    const text = JSON.stringify(record);
    let revision: number;
    try {
      revision = await this.#kv.put(key, text, { previousSeq: afterRevision });
    } catch (error) {
      if (apiCode(error) !== wrongLastSequence) throw await this.#orRepair(error);
      await this.read(key);
      return undefined;
    }
    this.#watch.note(key, { revision, text });
    this.#checkSight();
    return revision;
  }

  /** The truth of the moment, which the view then knows too; undefined when there is none. @throws Error */
  async read(key: string): Promise<Entry | undefined> {
    const found = await this.#kv.get(key);
    const known = this.view.revisionOf(key);
    // Less than was known: the bucket is another one.
    if ((found?.revision ?? 0) < known) await this.repair();
    if (found === null) return undefined;
    const entry = { revision: found.revision, text: found.operation === 'PUT' ? found.string() : undefined };
    this.#watch.note(key, entry);
    return entry;
  }

  /** After signs that the bucket was lost: makes it anew where that is needed, and looks at all of it again. @throws Error of `ensure` */
  repair(): Promise<void> {
    this.#repairing ??= this.#options.ensure().finally(() => {
      this.#repairing = undefined;
      this.#watch.restart();
    });
    return this.#repairing;
  }

  async close(): Promise<void> {
    const { up } = this.#connection;
    this.#connection.stop();
    const stopped = this.#watch.stop();
    // Without a connection it ends when its last question times out.
    if (up) await stopped;
  }

  async #orRepair(error: unknown): Promise<unknown> {
    if (this.connected && (error as NatsError).code === '503') {
      try {
        await this.repair();
      } catch (repairing) {
        return repairing;
      }
    }
    return error;
  }

  /** Own writes come back through the watch; when none does for a lease's length, it is blind. */
  #checkSight(): void {
    const { self, monotonic, leaseMs } = this.#options;
    if (self !== undefined && monotonic() - this.#watch.eventMs > leaseMs) this.#watch.restart();
  }
}

function call(listeners: Iterable<() => void>): void {
  for (const listener of listeners) listener();
}
