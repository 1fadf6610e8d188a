/**
 * The state of one actor as the server last told it, or why it tells none. A snapshot replaces it, patches change it with structural sharing:
 * branches that a patch did not touch keep their identity, so that comparing by reference tells what changed.
 *
 * Invariants: with a position, a patch counts only when it is the very next one of the same epoch; what was seen before is
 * ignored, and anything else is a gap, told once until something fits again · without one (servers that number nothing),
 * patches count only after a snapshot of the same connection · the old state stays readable meanwhile · a refusal stands
 * until a state arrives or the server is asked anew.
 */
import { applyPatches, type JsonPatchOp } from '../protocol/json-patch.ts';
import type { StreamPosition } from '../protocol/messages.ts';
import type { FermataError } from './error.ts';
import { Listeners } from './listeners.ts';

export class Store {
  readonly #listeners: Listeners<unknown>;
  readonly #errorListeners: Listeners<FermataError | undefined>;
  #state: unknown;
  #known = false;
  /** False until a snapshot arrived that patches can build on. */
  #current = false;
  #position: StreamPosition | undefined;
  /** What is missing was asked for, and has not arrived. */
  #healing = false;
  #error: FermataError | undefined;

  constructor(report: (error: unknown) => void) {
    this.#listeners = new Listeners(report);
    this.#errorListeners = new Listeners(report);
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }

  /** Where a subscription goes on; undefined when it has to start with a snapshot. */
  get position(): StreamPosition | undefined {
    return this.#position;
  }

  /** Why the server tells no state, when it refused for good. */
  get error(): FermataError | undefined {
    return this.#error;
  }

  get(): unknown {
    return this.#state;
  }

  /** Calls the listener at once when a state is known, then on each change; `onError` on each change of `error`. */
  subscribe(listener: (state: unknown) => void, onError?: (error: FermataError | undefined) => void): () => boolean {
    const remove = this.#listeners.add(listener);
    const removeOnError = onError === undefined ? undefined : this.#errorListeners.add(onError);
    if (this.#known) this.#listeners.tellOne(listener, this.#state);
    return () => {
      removeOnError?.();
      return remove();
    };
  }

  /** Returns false when no listener wants to hear of it. */
  refuse(error: FermataError): boolean {
    // Asked first: a listener may go when it hears.
    const heard = this.#errorListeners.size > 0;
    this.#changeError(error);
    return heard;
  }

  replace(state: unknown, position: StreamPosition | undefined): void {
    this.#known = true;
    this.#current = true;
    this.#healing = false;
    this.#position = position;
    this.#change(state);
  }

  /**
   * Returns false when patches are missing that nobody has asked for yet.
   * @throws PatchError when the patches do not fit; nothing was applied, and no patch will be until the next snapshot
   */
  patch(patches: readonly JsonPatchOp[], position: StreamPosition | undefined): boolean {
    if (!this.#current) return true;
    if (this.#position !== undefined && position !== undefined) {
      const ahead = position.epoch === this.#position.epoch ? position.seq - this.#position.seq : Number.NaN;
      if (ahead <= 0) return true;
      if (ahead !== 1) {
        const asked = this.#healing;
        this.#healing = true;
        return asked;
      }
    }
    let next: unknown;
    try {
      next = applyPatches(this.#state, patches);
    } catch (error) {
      this.#current = false;
      this.#position = undefined;
      throw error;
    }
    this.#healing = false;
    this.#position = position;
    if (next !== this.#state) this.#change(next);
    return true;
  }

  /** A new subscription begins, at `position`. Without one, what is here is not what the server's patches build on. */
  restart(): void {
    this.#healing = false;
    if (this.#position === undefined) this.#current = false;
    this.#changeError(undefined);
  }

  /** Removes every listener. */
  clear(): void {
    this.#listeners.clear();
    this.#errorListeners.clear();
  }

  #change(state: unknown): void {
    this.#state = state;
    this.#changeError(undefined);
    this.#listeners.tell(state);
  }

  #changeError(error: FermataError | undefined): void {
    if (error === this.#error) return;
    this.#error = error;
    this.#errorListeners.tell(error);
  }
}
