/**
 * Who waits for which call, and how many do: per connection, per tenant, per shard. The counts are the bounds of P10.
 *
 * Invariant: each entry raises three counts and lowers the same three when its answer comes, whether or not anybody
 * still listens; so all of them are 0 when nothing is pending.
 */
import type { ErrorBody } from '../protocol/errors.ts';
import { CallTable } from './call-table.ts';
import type { Session } from './session.ts';

/** Gets the one answer to a call. */
export interface Waiter {
  /** `result` is JSON text, '' for undefined; `seq` is the number of the state, for reads. */
  ok(result: string, durable: boolean, seq: number): void;
  failed(error: ErrorBody): void;
}

/** What is remembered of a call while it is under way. */
export interface CallFacts {
  readonly actor: string;
  readonly actorId: string;
  readonly method: string;
  readonly key: string;
  readonly input: unknown;
  /** Text of `trace.ts`, for lines in the log; '' for most. */
  readonly trace: string;
  /** Milliseconds from its arrival for which its client cares; 0 or absent without. */
  readonly deadlineMs?: number;
}

export interface Call extends CallFacts {
  /** -1 when the client does not number its calls. */
  readonly ack: number;
  readonly deadlineMs: number;
  /** Length of the text that the call came in, to bound the frame that it goes on in. */
  readonly chars: number;
}

export interface Entry {
  readonly waiter: Waiter;
  readonly session: Session;
  readonly shard: number;
  /** Undefined for reads of the state. */
  readonly facts: CallFacts | undefined;
  /** When it came, monotonic. */
  readonly arrivedMs: number;
}

export class Pending {
  readonly shardCalls: number[];
  readonly #entries = new CallTable<Entry>();
  #nextCall: number;
  #idle: (() => void)[] = [];

  /** Calls are numbered from `first`. */
  constructor(shards: number, first = 1) {
    this.#nextCall = first;
    this.shardCalls = Array.from({ length: shards }, () => 0);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The call's number, unique for the gateway's life. */
  add(waiter: Waiter, session: Session, shard: number, arrivedMs: number, facts?: CallFacts): number {
    const call = this.#nextCall++;
    this.#entries.set(call, { waiter, session, shard, facts, arrivedMs });
    session.inFlight.calls += 1;
    session.load.calls += 1;
    this.shardCalls[shard]! += 1;
    return call;
  }

  get(call: number): Entry | undefined {
    return this.#entries.get(call);
  }

  /** Numbers of the calls that wait for this shard, the oldest first. */
  ofShard(shard: number): number[] {
    const calls: number[] = [];
    for (const [call, entry] of this.#entries.entries()) if (entry.shard === shard) calls.push(call);
    return inOrder(calls);
  }

  /**
   * Numbers of the calls that should have been answered by now: each has its own deadline or else `msMax`, and `graceMs` more.
   * The oldest first.
   */
  overdue(nowMs: number, msMax: number, graceMs: number): number[] {
    const calls: number[] = [];
    for (const [call, { arrivedMs, facts }] of this.#entries.entries()) {
      const ageMs = nowMs - arrivedMs;
      if (ageMs >= Math.min(facts?.deadlineMs || msMax, msMax) + graceMs) calls.push(call);
    }
    return inOrder(calls);
  }

  /** Sessions with a call that waits for this shard. */
  sessionsOf(shard: number): Set<Session> {
    const sessions = new Set<Session>();
    for (const [, entry] of this.#entries.entries()) if (entry.shard === shard) sessions.add(entry.session);
    return sessions;
  }

  /** The entry of an answered call, or undefined when it was answered before. */
  take(call: number): Entry | undefined {
    const entry = this.#entries.take(call);
    if (entry === undefined) return undefined;
    entry.session.inFlight.calls -= 1;
    entry.session.load.calls -= 1;
    this.shardCalls[entry.shard]! -= 1;
    return entry;
  }

  /** Settles when no call is pending. */
  settled(): Promise<void> {
    if (this.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Called after the answers of a frame were handed on. */
  wakeIfIdle(): void {
    if (this.size > 0 || this.#idle.length === 0) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }
}

/** Calls are numbered as they come. */
function inOrder(calls: number[]): number[] {
  return calls.sort((a, b) => a - b);
}
