/**
 * The numbers of a client's calls, and per actor the mark up to which all of them have ended. The server keeps the outcomes
 * of the calls above the mark and nothing else, so that a key costs it nothing for longer than it is of use. Per actor,
 * because a slow call to one must not keep the outcomes of another.
 *
 * Invariant: the mark never covers a call that is still wanted, because the server never runs a call at or below it. A
 * call that was given up counts as ended: the server ran it before, or never will.
 */
export class CallNumbers {
  /** 128 bits made up here: nobody else numbers calls under this name. */
  readonly client = randomName();
  /** Calls without an end, by actor; numbers rise, so that the lowest comes first. */
  readonly #open = new Map<string, Set<number>>();
  #last = 0;

  take(actor: string): number {
    this.#last += 1;
    const open = this.#open.get(actor) ?? new Set();
    this.#open.set(actor, open.add(this.#last));
    return this.#last;
  }

  end(actor: string, n: number): void {
    const open = this.#open.get(actor);
    open?.delete(n);
    if (open?.size === 0) this.#open.delete(actor);
  }

  /** All calls to this actor up to here have ended. Asked for a call that has not. */
  ack(actor: string): number {
    const [lowest = this.#last + 1] = this.#open.get(actor) ?? [];
    return lowest - 1;
  }
}

/** base64url of 16 random bytes. Not of the clock's randomness: two clients must never meet. */
function randomName(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}
