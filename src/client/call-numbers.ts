/**
 * The numbers of a client's calls, and the mark up to which all of them have ended. The server keeps the outcomes of the
 * calls above the mark and nothing else, so that a key costs it nothing for longer than it is of use.
 *
 * Invariant: the mark never covers a call that is still wanted, because the server never runs a call at or below it. A
 * call that was given up counts as ended: the server ran it before, or never will.
 */
export class CallNumbers {
  /** 128 bits made up here: nobody else numbers calls under this name. */
  readonly client = randomName();
  readonly #open = new Set<number>();
  #last = 0;
  #ended = 0;

  take(): number {
    this.#last += 1;
    this.#open.add(this.#last);
    return this.#last;
  }

  end(n: number): void {
    this.#open.delete(n);
  }

  /** All calls up to this one have ended. */
  get ack(): number {
    while (this.#ended < this.#last && !this.#open.has(this.#ended + 1)) this.#ended += 1;
    return this.#ended;
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
