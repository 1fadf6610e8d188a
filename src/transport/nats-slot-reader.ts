/**
 * Pulls frames of one slot: always one long pull is out, so that a frame comes the moment it is stored, and the next one goes
 * out when half of it has come.
 *
 * All slots share one inbox; a pull's number stands in the subject for its answers, so that what the server says of an older
 * one is told apart. A server that gives no sign of life, or says that the consumer is gone, makes `onAway` run.
 */
import { pullBytes, pullFrames, pullMs } from './nats-bounds.ts';
import { consumerName, streams } from './nats-names.ts';

export interface SlotReaderParts {
  readonly slot: number;
  readonly epoch: number;
  /** Answers come to `<inbox>.<slot>-<epoch>-<pull>`. */
  readonly inbox: string;
  /** Does nothing without a connection. */
  readonly publish: (subject: string, payload: string, reply: string) => void;
  /** Is there room for more frames? */
  readonly mayPull: () => boolean;
  readonly frameBytesMax: () => number;
  readonly monotonic: () => number;
  /** The consumer may have vanished. Nothing is pulled until `start`. */
  readonly onAway: (reason: string) => void;
}

export class NatsSlotReader {
  readonly #parts: SlotReaderParts;
  #running = false;
  #pull = 0;
  #left = 0;
  #signMs = 0;
  /** A pull is due: there was no room for it, or the last one ended oddly. */
  #due = false;

  constructor(parts: SlotReaderParts) {
    this.#parts = parts;
  }

  /** Also again, after the connection or the consumer was away. */
  start(): void {
    this.#running = true;
    this.#next();
  }

  stop(): void {
    this.#running = false;
  }

  /** A frame came. */
  took(): void {
    this.#signMs = this.#parts.monotonic();
    this.#left -= 1;
    if (this.#running && this.#left <= pullFrames / 2) this.#next();
  }

  /** The server says something about a pull. */
  status(pull: number, code: number, description: string): void {
    if (!this.#running || pull !== this.#pull) return;
    this.#signMs = this.#parts.monotonic();
    if (code === 503) return this.#away('nobody answers for it');
    if (code === 409 && /consumer (deleted|is push)/i.test(description)) return this.#away('it was deleted');
    // Its time is over, or it brought as many bytes as it may. Anything else could repeat itself at once.
    if (code === 408 || /maxbytes/i.test(description)) this.#next();
    else this.#due = true;
  }

  tick(): void {
    if (!this.#running) return;
    if (this.#due) this.#next();
    else if (this.#parts.monotonic() - this.#signMs > pullMs * 2.5) this.#away('the server gives no sign of it');
  }

  #next(): void {
    this.#due = !this.#parts.mayPull();
    this.#signMs = this.#parts.monotonic();
    if (this.#due) return;
    const { slot, epoch, inbox, frameBytesMax, publish } = this.#parts;
    this.#pull += 1;
    this.#left = pullFrames;
    const request = {
      batch: pullFrames,
      max_bytes: Math.max(pullBytes, frameBytesMax() * 2),
      expires: pullMs * nanosPerMs,
    };
    const subject = `$JS.API.CONSUMER.MSG.NEXT.${streams.calls}.${consumerName(slot, epoch)}`;
    publish(subject, JSON.stringify(request), `${inbox}.${slot}-${epoch}-${this.#pull}`);
  }

  #away(reason: string): void {
    this.#running = false;
    this.#parts.onAway(reason);
  }
}

const nanosPerMs = 1_000_000;
