/**
 * The state of one actor as a stock client keeps it: a snapshot replaces it, patches before the first one are dropped,
 * and each listener hears the whole state, the present one at once.
 *
 * It reports what the stock rules would turn into another state than the server's: an item put past the end of a list or
 * into its middle, an item taken from anywhere but the end, a path that leads nowhere.
 */
import { patched, type PatchOp } from './stock-patches.ts';

type Listener = (state: unknown) => void;

export class StockStore {
  readonly #listeners = new Set<Listener>();
  readonly #report: (violation: string) => void;
  #state: unknown;

  constructor(report: (violation: string) => void) {
    this.#report = report;
  }

  get state(): unknown {
    return this.#state;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  set(state: unknown): void {
    this.#state = state;
    this.#tell();
  }

  apply(patches: readonly PatchOp[]): void {
    if (this.#state === undefined) return;
    let next: unknown = this.#state;
    for (const patch of patches) {
      const problem = problemOf(next, patch);
      if (problem !== undefined) {
        this.#report(`${problem}: ${JSON.stringify(patch)}`);
        return;
      }
      // To a stock client the path "/" is the root, not the key "".
      next = patched(next, [patch.path === '/' ? { ...patch, path: '' } : patch]);
    }
    this.#state = next;
    this.#tell();
  }

  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    if (this.#state !== undefined) listener(this.#state);
    return () => this.#listeners.delete(listener);
  }

  clear(): void {
    this.#state = undefined;
    this.#listeners.clear();
  }

  #tell(): void {
    if (this.#state === undefined) return;
    for (const listener of this.#listeners) listener(this.#state);
  }
}

function problemOf(state: unknown, { op, path }: PatchOp): string | undefined {
  if (path === '' || path === '/') return op === 'remove' ? 'the root is removed' : undefined;
  const parts = path
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = parts.pop()!;
  let parent: unknown = state;
  for (const part of parts) {
    if (typeof parent !== 'object' || parent === null || !Object.hasOwn(parent, part)) return 'the path leads nowhere';
    parent = (parent as Record<string, unknown>)[part];
  }
  if (typeof parent !== 'object' || parent === null) return 'the path leads into a plain value';
  if (Array.isArray(parent)) {
    const index = Number(last);
    if (op === 'add') return index === parent.length ? undefined : 'add in a list must be at its end';
    if (op === 'remove') return index === parent.length - 1 ? undefined : 'remove in a list must be from its end';
    return index >= 0 && index < parent.length ? undefined : 'the list has no such item';
  }
  return op === 'add' || Object.hasOwn(parent, last) ? undefined : 'the object has no such key';
}
