/**
 * Keeps a view of the bucket up to date for as long as it lives, whatever becomes of the connection and of the bucket.
 *
 *   watch begins ──▶ all records, gathered ──▶ view.replace ──▶ each change ──▶ view.note
 *        ▲                                                          │
 *        └── the connection was away · NATS ended it · it is blind ─┘
 *
 * A watch is a consumer on the server, which may be gone after the server was away. So it is begun anew after each
 * reconnection, when it ends, and when `restart` is called because own writes do not come back through it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { KV, KvEntry, QueuedIterator } from 'nats';
import type { Logger } from '../host/log.ts';
import { LogGate } from '../host/log-gate.ts';
import { buckets } from '../transport/nats-names.ts';
import { nodeKey } from './slot-records.ts';
import type { Entry, SlotView } from './slot-view.ts';

export interface SlotWatchParts {
  readonly kv: KV;
  readonly view: SlotView;
  /** The node whose renewals prove that the watch sees; none for a mere reader. */
  readonly self: string | undefined;
  readonly monotonic: () => number;
  readonly log: Logger;
  readonly onChange: () => void;
  /** Records are gone that were there. */
  readonly onVanished: () => void;
}

const pauseMs = 200;
const startMsMax = 10_000;

export class SlotWatch {
  readonly #parts: SlotWatchParts;
  readonly #ownKey: string;
  readonly #lines: LogGate;
  #watch: QueuedIterator<KvEntry> | undefined;
  /** What a watch that began has shown so far, until it has shown all. */
  #gathered: Map<string, Entry> | undefined;
  #wanted = true;
  #eventMs: number;
  #began: () => void = () => undefined;
  #ended: Promise<void> = Promise.resolve();
  /** Why it could not be watched the last time. */
  #failure: string | undefined;

  constructor(parts: SlotWatchParts) {
    this.#parts = parts;
    this.#ownKey = parts.self === undefined ? '' : nodeKey(parts.self);
    this.#lines = new LogGate(parts.log, parts.monotonic);
    this.#eventMs = parts.monotonic();
  }

  /** When it last showed something. */
  get eventMs(): number {
    return this.#eventMs;
  }

  /** Settles when the view is whole for the first time. @throws Error when that takes too long */
  async start(): Promise<void> {
    const whole = new Promise<true>((resolve) => {
      this.#began = () => resolve(true);
    });
    this.#ended = this.#run();
    if (await Promise.race([whole, delay(startMsMax, false, { ref: false })])) return;
    await this.stop();
    throw new Error(
      `the bucket ${buckets.slots} in NATS cannot be watched: ${this.#failure ?? `no answer in ${startMsMax} ms`}; its user needs the right to use JetStream consumers`,
    );
  }

  /** Begins anew, with all records. */
  restart(): void {
    this.#eventMs = this.#parts.monotonic();
    this.#watch?.stop();
    this.#watch = undefined;
  }

  /** An own write: known before the watch shows it. */
  note(name: string, entry: Entry): void {
    this.#parts.view.note(name, entry);
    const gathered = this.#gathered;
    if (gathered !== undefined && entry.revision > (gathered.get(name)?.revision ?? 0)) gathered.set(name, entry);
  }

  async stop(): Promise<void> {
    this.#wanted = false;
    this.#watch?.stop();
    this.#lines.close();
    await this.#ended;
  }

  async #run(): Promise<void> {
    while (this.#wanted) {
      try {
        await this.#follow();
      } catch (error) {
        this.#failure = error instanceof Error ? error.message : String(error);
        if (this.#wanted)
          this.#lines.write('watch', 'warn', { err: error }, 'the records of slots cannot be watched; trying again');
      }
      if (this.#wanted) await delay(pauseMs, undefined, { ref: false });
    }
    this.#began();
  }

  async #follow(): Promise<void> {
    let isInitial = false;
    const watch = await this.#parts.kv.watch({
      initializedFn: () => {
        isInitial = true;
      },
    });
    if (!this.#wanted) return watch.stop();
    this.#watch = watch;
    this.#parts.view.observation.lose();
    this.#gathered = new Map();
    // It says so as soon as all were received; those may still wait to be read here.
    if (isInitial && watch.getReceived() === 0) this.#finishGathering();
    for await (const entry of watch) {
      if (this.#watch !== watch) break;
      this.#eventMs = this.#parts.monotonic();
      this.#take(entry);
    }
    if (this.#watch === watch) this.#watch = undefined;
    this.#gathered = undefined;
  }

  #take(change: KvEntry): void {
    const { view, monotonic, onChange } = this.#parts;
    const { key, revision, operation, delta } = change;
    const entry = { revision, text: operation === 'PUT' ? change.string() : undefined };
    if (this.#gathered !== undefined) {
      if (revision > (this.#gathered.get(key)?.revision ?? 0)) this.#gathered.set(key, entry);
      if (delta === 0) this.#finishGathering();
      return;
    }
    if (key === this.#ownKey) view.observation.see(monotonic());
    view.note(key, entry);
    onChange();
  }

  #finishGathering(): void {
    const { view, onChange, onVanished } = this.#parts;
    const isLess = view.replace(this.#gathered ?? new Map());
    this.#gathered = undefined;
    this.#began();
    if (isLess) onVanished();
    onChange();
  }
}
