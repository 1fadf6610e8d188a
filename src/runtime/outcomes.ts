/**
 * The outcomes of one actor's calls with a key: running ones, and ended ones kept in memory for the activation's life.
 *
 * `complete` says whether memory alone answers "never seen". It is false while the actor is loading, when its tenant file
 * has outcomes, and after old ones were let go here: then the keeper is asked.
 */
import type { StoredOutcome } from '../storage/contract.ts';
import type { Session } from './sessions.ts';

/** Someone who waits for a running call to end. */
export interface Waiter {
  readonly session: Session;
  readonly call: number;
}

export type KnownCall =
  | { readonly kind: 'running'; readonly args: string; readonly waiters: Waiter[] }
  | { readonly kind: 'ended'; readonly args: string; readonly outcome: StoredOutcome; readonly atMs: number };

export class Outcomes {
  complete = false;
  /** Characters held, roughly. */
  chars = 0;
  readonly #calls = new Map<string, KnownCall>();
  readonly #retentionMs: number;
  readonly #inMemoryMax: number;

  constructor(retentionMs: number, inMemoryMax: number) {
    this.#retentionMs = retentionMs;
    this.#inMemoryMax = inMemoryMax;
  }

  get(key: string, nowMs: number): KnownCall | undefined {
    const known = this.#calls.get(key);
    if (known?.kind === 'ended' && nowMs - known.atMs > this.#retentionMs) return undefined;
    return known;
  }

  start(key: string, args: string): void {
    this.#calls.set(key, { kind: 'running', args, waiters: [] });
  }

  /** Ends a running call and returns those who waited for it. */
  end(key: string, outcome: StoredOutcome, atMs: number): readonly Waiter[] {
    const running = this.#calls.get(key);
    if (running?.kind !== 'running') return [];
    this.#calls.delete(key);
    this.#calls.set(key, { kind: 'ended', args: running.args, outcome, atMs });
    this.chars += charsOf(key, outcome);
    return running.waiters;
  }

  /** A call that left no outcome (refused before it started): forgets it and returns those who waited. */
  forget(key: string): readonly Waiter[] {
    const running = this.#calls.get(key);
    if (running?.kind !== 'running') return [];
    this.#calls.delete(key);
    return running.waiters;
  }

  /** Takes over a call that has not begun yet, with those who wait for it. */
  adopt(key: string, from: Outcomes): void {
    const known = from.#calls.get(key);
    if (known?.kind === 'running') this.#calls.set(key, known);
  }

  /** Lets go of the oldest, once they are committed: from then on the keeper knows them. */
  trim(): void {
    for (const [key, known] of this.#calls) {
      if (this.#calls.size <= this.#inMemoryMax && this.chars <= charsMax) return;
      if (known.kind === 'running') continue;
      this.#calls.delete(key);
      this.chars -= charsOf(key, known.outcome);
      this.complete = false;
    }
  }
}

/** Characters of outcomes held for one actor. */
const charsMax = 1024 * 1024;

function charsOf(key: string, outcome: StoredOutcome): number {
  return key.length + (outcome.kind === 'ok' ? outcome.result.length : outcome.error.message.length) + 64;
}
