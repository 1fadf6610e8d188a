/**
 * Calls by their number: a hash table with open addressing, because a `Map` that is filled and emptied all the time is
 * expensive to collect. V8 gives it a new table every thousand calls or so and links the old one to it; a dead table that
 * has come into the old generation keeps its successors alive by that, and these all their calls. A quarter of what a busy
 * gateway made was copied twice, and half of all pauses came from it. This one has no predecessors.
 */

/** Numbers are whole and above 0. */
export class CallTable<T> {
  #bits = 10;
  /** 0 where there is none. */
  #numbers = zeros(this.#bits);
  #values: (T | undefined)[] = this.#numbers.map(() => undefined);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(number: number): T | undefined {
    return this.#values[this.#placeOf(number)];
  }

  /** The number is new. */
  set(number: number, value: T): void {
    // Half empty, so that a free place is never far.
    if (this.#size * 2 >= this.#numbers.length) this.#grow();
    const place = this.#placeOf(number);
    this.#numbers[place] = number;
    this.#values[place] = value;
    this.#size += 1;
  }

  /** What it held, or undefined. */
  take(number: number): T | undefined {
    const place = this.#placeOf(number);
    const value = this.#values[place];
    if (value === undefined) return undefined;
    this.#clear(place);
    this.#size -= 1;
    return value;
  }

  /** In no order. Nothing may be set or taken meanwhile. */
  *entries(): Iterable<readonly [number: number, value: T]> {
    for (const [place, value] of this.#values.entries()) {
      if (value !== undefined) yield [this.#numbers[place]!, value];
    }
  }

  /** Where the number is, or would be. */
  #placeOf(number: number): number {
    const mask = this.#numbers.length - 1;
    let place = this.#homeOf(number);
    while (this.#numbers[place] !== number && this.#numbers[place] !== 0) place = (place + 1) & mask;
    return place;
  }

  /** Neighbours are scattered, or those that are in flight together would be one long row. */
  #homeOf(number: number): number {
    return Math.imul(number, 0x9e37_79b1) >>> (32 - this.#bits);
  }

  /** Those behind that are not at home move up, so that no search ends at the hole. */
  #clear(place: number): void {
    const mask = this.#numbers.length - 1;
    let hole = place;
    for (let at = (hole + 1) & mask; this.#numbers[at] !== 0; at = (at + 1) & mask) {
      const away = (at - this.#homeOf(this.#numbers[at]!)) & mask;
      if (away < ((at - hole) & mask)) continue;
      this.#numbers[hole] = this.#numbers[at]!;
      this.#values[hole] = this.#values[at];
      hole = at;
    }
    this.#numbers[hole] = 0;
    this.#values[hole] = undefined;
  }

  #grow(): void {
    const entries = [...this.entries()];
    this.#bits += 1;
    this.#numbers = zeros(this.#bits);
    this.#values = this.#numbers.map(() => undefined);
    this.#size = 0;
    for (const [number, value] of entries) this.set(number, value);
  }
}

function zeros(bits: number): number[] {
  return Array.from({ length: 2 ** bits }, () => 0);
}
