/**
 * A set of listeners for one kind of news. A listener that throws is reported and does not keep the news from the others;
 * one that was removed hears nothing more, not even of the news being told.
 */
export class Listeners<T> {
  readonly #report: (error: unknown) => void;
  /** Wrapped, so that one function added twice counts twice and is removed once. */
  readonly #entries = new Set<{ readonly listener: (news: T) => void }>();

  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Returns a function that removes the listener; true when it was still there. */
  add(listener: (news: T) => void): () => boolean {
    const entry = { listener };
    this.#entries.add(entry);
    return () => this.#entries.delete(entry);
  }

  tell(news: T): void {
    // A copy: a listener added meanwhile must not hear news that it was already given.
    const entries = [...this.#entries];
    for (const entry of entries) {
      if (this.#entries.has(entry)) this.tellOne(entry.listener, news);
    }
  }

  tellOne(listener: (news: T) => void, news: T): void {
    try {
      listener(news);
    } catch (error) {
      this.#report(error);
    }
  }

  clear(): void {
    this.#entries.clear();
  }
}
