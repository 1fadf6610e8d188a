/**
 * The state of one actor as the server last told it. A snapshot replaces it, patches change it with structural sharing:
 * branches that a patch did not touch keep their identity, so that comparing by reference tells what changed.
 *
 * After a lost connection the old state stays readable, but patches count only after the next snapshot.
 */
import { applyPatches, type JsonPatchOp } from '../protocol/json-patch.ts';
import { Listeners } from './listeners.ts';

export class Store {
  readonly #listeners: Listeners<unknown>;
  #state: unknown;
  #known = false;
  /** False until a snapshot arrived that patches can build on. */
  #current = false;

  constructor(report: (error: unknown) => void) {
    this.#listeners = new Listeners(report);
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }

  get(): unknown {
    return this.#state;
  }

  /** Calls the listener at once when a state is known, then on each change. */
  subscribe(listener: (state: unknown) => void): () => boolean {
    const remove = this.#listeners.add(listener);
    if (this.#known) this.#listeners.tellOne(listener, this.#state);
    return remove;
  }

  replace(state: unknown): void {
    this.#known = true;
    this.#current = true;
    this.#change(state);
  }

  /** @throws PatchError when the patches do not fit; nothing was applied, and no patch will be until the next snapshot */
  patch(patches: readonly JsonPatchOp[]): void {
    if (!this.#current) return;
    let next: unknown;
    try {
      next = applyPatches(this.#state, patches);
    } catch (error) {
      this.#current = false;
      throw error;
    }
    if (next !== this.#state) this.#change(next);
  }

  /** What is here is no longer what the server's patches build on. */
  awaitSnapshot(): void {
    this.#current = false;
  }

  /** Removes every listener. */
  clear(): void {
    this.#listeners.clear();
  }

  #change(state: unknown): void {
    this.#state = state;
    this.#listeners.tell(state);
  }
}
