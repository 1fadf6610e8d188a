/**
 * The outcomes of one actor's calls with an arbitrary key that ended in this activation's life.
 *
 * `complete` says whether memory alone answers "never seen". It is false while the actor is loading, when its tenant file
 * has outcomes, and after old ones were let go here: then the keeper is asked.
 */
import type { Address } from '../protocol/address.ts';
import type { StoredOutcome } from '../storage/contract.ts';
import type { Session } from './sessions.ts';

/** Someone who gets the answer to a call. */
export interface Waiter {
  readonly session: Session;
  readonly call: number;
  /** Of calls only. */
  readonly address?: Address;
  readonly method?: string;
  readonly trace?: string;
}

export interface EndedCall {
  /** Hash of method and input. */
  readonly args: string;
  readonly outcome: StoredOutcome;
}

export class Outcomes {
  complete = false;
  /** Characters held, roughly. */
  chars = 0;
  /** How often outcomes were let go of. What the keeper said before may lack them. */
  trims = 0;
  readonly #calls = new Map<string, EndedCall & { readonly atMs: number }>();
  readonly #retentionMs: number;
  readonly #inMemoryMax: number;

  constructor(retentionMs: number, inMemoryMax: number) {
    this.#retentionMs = retentionMs;
    this.#inMemoryMax = inMemoryMax;
  }

  get(key: string, nowMs: number): EndedCall | undefined {
    const ended = this.#calls.get(key);
    return ended !== undefined && nowMs - ended.atMs <= this.#retentionMs ? ended : undefined;
  }

  keep(key: string, args: string, outcome: StoredOutcome, atMs: number): void {
    this.#drop(key);
    this.#calls.set(key, { args, outcome, atMs });
    this.chars += charsOf(key, outcome);
  }

  /** Lets go of the oldest, once they are committed: from then on the keeper knows them. */
  trim(): void {
    for (const key of this.#calls.keys()) {
      if (this.#calls.size <= this.#inMemoryMax && this.chars <= charsMax) return;
      this.#drop(key);
      this.complete = false;
      this.trims += 1;
    }
  }

  #drop(key: string): void {
    const ended = this.#calls.get(key);
    if (ended === undefined) return;
    this.#calls.delete(key);
    this.chars -= charsOf(key, ended.outcome);
  }
}

/** Characters of outcomes held for one actor. */
const charsMax = 1024 * 1024;

function charsOf(key: string, outcome: StoredOutcome): number {
  return key.length + (outcome.kind === 'ok' ? outcome.result.length : outcome.error.message.length) + 64;
}
