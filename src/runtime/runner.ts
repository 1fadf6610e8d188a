/**
 * Drives turns: keeps the list of actors with work, takes one item of each in rotation, and commits what has ended.
 *
 *   message arrives ─▶ ready(activation) ─▶ [setImmediate] drain: turns … ─▶ batch.commit()
 *
 * The drain takes what is there, up to a bound, and never waits for more: under load batches grow by themselves, and a
 * single call is committed at once. A turn that waits for a promise holds only its own actor; when the promise settles,
 * the turn goes on and its end joins the next batch.
 */
import { AppError } from '../protocol/errors.ts';
import type { Activation } from './activation.ts';
import type { Batch } from './batch.ts';
import type { MailboxItem } from './mailbox.ts';
import type { ShardMeters } from './meters.ts';
import type { Refusals } from './refusals.ts';
import type { Vitals } from '../host/vitals.ts';
import type { Step, Turns } from './turn.ts';

export interface RunnerParts {
  readonly turns: Turns;
  readonly batch: Batch;
  readonly refusals: Refusals;
  /** Told which call's code runs, for whoever has to say what killed the thread. */
  readonly vitals: Vitals;
  readonly meters: ShardMeters;
  readonly turnMs: number;
  readonly batchTurnsMax: number;
  readonly batchCharsMax: number;
  readonly monotonic: () => number;
  /** Actors that are being loaded: they have work that is not in the queue yet. */
  readonly loading: () => number;
  /** Called after the `deactivate` turn of an actor was committed. */
  readonly onDeactivated: (activation: Activation) => void;
}

interface Turn {
  readonly item: MailboxItem;
  readonly steps: Step<void>;
}

interface Waiting {
  readonly turn: Turn;
  readonly timer: NodeJS.Timeout;
}

export class Runner {
  readonly #parts: RunnerParts;
  #queue: Activation[] = [];
  #scheduled = false;
  /** Turns that wait for a promise, by actor: at most one each. */
  readonly #waiting = new Map<Activation, Waiting>();
  #deactivated: Activation[] = [];
  #onQuiet: (() => void)[] = [];

  constructor(parts: RunnerParts) {
    this.#parts = parts;
  }

  /** The actor may have something to do. */
  ready(activation: Activation): void {
    if (activation.queued || activation.busy || activation.mailbox.size === 0 || !takesTurns(activation)) return;
    activation.queued = true;
    this.#queue.push(activation);
    this.schedule();
  }

  /** Something was staged or refused and must be sent soon. */
  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#drain();
    });
  }

  /** Ends the turn that this actor is waiting in, if any, as if its promise had been rejected with `reason`. */
  interrupt(activation: Activation, reason: AppError): void {
    const waiting = this.#waiting.get(activation);
    if (waiting !== undefined) this.#advance(activation, waiting.turn, { error: reason });
  }

  /** Settles when no turn runs, none waits to run, and all that ended is committed. */
  quiet(): Promise<void> {
    return new Promise((resolve) => {
      this.#onQuiet.push(resolve);
      this.schedule();
    });
  }

  #drain(): void {
    const { batch, refusals, meters, monotonic, batchTurnsMax, batchCharsMax } = this.#parts;
    let turns = 0;
    // One look at the clock per turn: the end of one is the start of the next.
    let nowMs = monotonic();
    for (let chars = 0; turns < batchTurnsMax && chars < batchCharsMax; turns += 1) {
      const activation = this.#queue[turns];
      if (activation === undefined) break;
      activation.queued = false;
      const ended = this.#runNext(activation, nowMs);
      const beganMs = nowMs;
      nowMs = monotonic();
      if (ended) meters.turnEnded(nowMs - beganMs);
      chars = batch.chars + refusals.outputs.chars;
    }
    this.#queue = this.#queue.length > turns ? this.#queue.slice(turns) : [];
    refusals.outputs.flush();
    batch.commit();
    // A commit that failed may have said something more.
    refusals.outputs.flush();
    const deactivated = this.#deactivated;
    this.#deactivated = [];
    for (const activation of deactivated) this.#parts.onDeactivated(activation);
    if (this.#queue.length > 0) this.schedule();
    else if (this.#waiting.size === 0 && this.#parts.loading() === 0 && batch.empty && !this.#scheduled) {
      for (const tell of this.#onQuiet.splice(0)) tell();
    }
  }

  /** True when a turn was begun and has ended; one that waits for a promise is counted when it goes on. */
  #runNext(activation: Activation, nowMs: number): boolean {
    if (activation.busy || !takesTurns(activation)) return false;
    const item: MailboxItem | undefined = activation.mailbox.shift();
    if (item === undefined) return false;
    activation.lastUsedMs = nowMs;
    activation.busy = true;
    activation.closing = item.kind === 'deactivate';
    this.#advance(activation, { item, steps: this.#parts.turns.run(activation, item) }, { value: undefined });
    return !activation.busy;
  }

  /** Runs the turn to its end or to the next promise. */
  #advance(activation: Activation, turn: Turn, settled: { value: unknown } | { error: unknown }): void {
    const before = this.#waiting.get(activation);
    if (before !== undefined) {
      clearTimeout(before.timer);
      this.#waiting.delete(activation);
    }
    const { item, steps } = turn;
    const { vitals } = this.#parts;
    if (item.kind === 'call') vitals.begin(item.session.gateway, item.call);
    const step = 'error' in settled ? steps.throw(settled.error) : steps.next(settled.value);
    vitals.end();
    if (step.done !== true) {
      this.#wait(activation, turn, step.value);
      return;
    }
    activation.busy = false;
    if (before !== undefined) this.#parts.meters.turnEnded(this.#parts.monotonic() - activation.lastUsedMs);
    if (activation.closing) this.#deactivated.push(activation);
    this.ready(activation);
    this.schedule();
  }

  #wait(activation: Activation, turn: Turn, promise: PromiseLike<unknown>): void {
    const { turnMs, monotonic } = this.#parts;
    const leftMs = Math.max(0, turnMs - (monotonic() - activation.lastUsedMs));
    const waiting: Waiting = { turn, timer: setTimeout(() => this.interrupt(activation, this.#timeout()), leftMs) };
    this.#waiting.set(activation, waiting);
    const go = (settled: { value: unknown } | { error: unknown }): void => {
      // A turn that was interrupted has moved on; what its old promise says no longer matters.
      if (this.#waiting.get(activation) === waiting) this.#advance(activation, turn, settled);
    };
    try {
      promise.then(
        (value) => go({ value }),
        (error: unknown) => go({ error }),
      );
    } catch (error) {
      // Not a promise but something of the author's that only looks like one. Later, as a promise would: the turn is in the middle of its step.
      queueMicrotask(() => go({ error }));
    }
  }

  #timeout(): AppError {
    return new AppError('TURN_TIMEOUT', `The turn took longer than ${this.#parts.turnMs} ms; nothing changed`);
  }
}

/** From its `deactivate` turn on an actor takes nothing more: what comes is for its successor. */
function takesTurns(activation: Activation): boolean {
  return activation.status === 'active' && !activation.closing;
}
