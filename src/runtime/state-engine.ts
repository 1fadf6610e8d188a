/**
 * The seam between turns and states: a state goes in, a draft comes out, and at the end there is a next state with RFC
 * 6902 patches, or nothing at all. Immer does it for nested states; no other file knows Immer, so that a faster engine
 * can be put in its place and measured. Small flat states have a draft of their own.
 *
 * A draft ends with the turn, either way: a handler that kept it cannot write afterwards. States are plain JSON of their
 * own; a value that JSON would lose is refused with its path, because memory and disk must never differ.
 */
import { createDraft, enablePatches, finishDraft, type Objectish, type Patch, setAutoFreeze } from 'immer';
import { AppError } from '../protocol/errors.ts';
import { type JsonPatchOp, toPointer } from '../protocol/json-patch.ts';
import type { FinishedDraft } from './change.ts';
import { asFlat, openFlatDraft } from './flat-draft.ts';
import { Measure, ownCopy } from './plain-json.ts';

// Without Immer's own array methods: what those take out of a list, and give to callbacks, is no draft but the state itself.
// An item that was taken out, changed and put back would be in memory and in no patch.
enablePatches();
setAutoFreeze(false);

export interface Draft {
  /** What the handler mutates. */
  readonly root: unknown;
  /**
   * Ends the draft. Without patches, `next` is the state that went in.
   * @throws AppError INTERNAL when something was written that JSON cannot hold
   */
  finish(): FinishedDraft;
  /** Ends the draft, if it has not ended yet, and forgets what was written to it. */
  discard(): void;
}

/** @throws AppError INTERNAL when the state is no object or array */
export function openDraft(state: unknown): Draft {
  if (typeof state !== 'object' || state === null) {
    throw new AppError('INTERNAL', 'state must be an object or an array');
  }
  const flat = asFlat(state);
  return flat === undefined ? openImmerDraft(state) : openFlatDraft(flat);
}

function openImmerDraft(state: object): Draft {
  const root = createDraft(state as Objectish);
  let ended = false;
  return {
    root,
    finish() {
      let found: Patch[] = [];
      ended = true;
      const next: unknown = finishDraft(root, (patches) => {
        found = patches;
      });
      const measure = new Measure();
      const patches = found.length === 0 ? noPatches : toJsonPatches(state, next, found, measure);
      // Immer copies what was touched and put back; without a patch the old state is as good, and known to be on disk.
      return { next: patches.length === 0 ? state : next, patches, addedChars: measure.chars };
    },
    discard() {
      if (!ended) finishDraft(root);
      ended = true;
    },
  };
}

const noPatches: readonly JsonPatchOp[] = [];

type Path = readonly (string | number)[];

function toJsonPatches(base: unknown, next: unknown, patches: readonly Patch[], measure: Measure): JsonPatchOp[] {
  const ops: JsonPatchOp[] = [];
  for (const patch of patches) {
    const last = patch.path.at(-1);
    if (last === undefined) throw new AppError('INTERNAL', 'state must be changed in place, not replaced');
    const path = toPointer(patch.path);
    if (patch.path.includes('__proto__')) throw new AppError('INTERNAL', `state${path} must not use the key __proto__`);
    if (patch.op === 'remove') {
      if (!removesInherited(base, patch.path)) ops.push({ op: 'remove', path });
    } else if (patch.value === undefined && typeof last === 'string') {
      // In JSON a property that is undefined is not there, so it must not be there in memory either.
      delete parentOf(next, patch.path)[last];
      if (patch.op === 'replace') ops.push({ op: 'remove', path });
    } else {
      const value = ownCopy(patch.value, path, measure);
      if (patch.op === 'add' && typeof last === 'string') measure.chars += last.length * 2 + 4;
      if (!Object.is(value, patch.value)) parentOf(next, patch.path)[last] = value;
      ops.push({ op: patch.op, path, value });
    }
  }
  return ops;
}

/** Where the last segment of a path lives; Immer has copied every container on the way. */
function parentOf(root: unknown, path: Path): Record<string | number, unknown> {
  let container = root as Record<string | number, unknown>;
  for (const segment of path.slice(0, -1)) container = container[segment] as Record<string | number, unknown>;
  return container;
}

/** Immer also reports the removal of names that every object inherits, such as `constructor`, when they were not there. */
function removesInherited(base: unknown, path: Path): boolean {
  const last = path.at(-1)!;
  if (typeof last === 'number' || !(last in Object.prototype)) return false;
  let container = base as Record<string | number, unknown> | undefined;
  for (const segment of path.slice(0, -1)) {
    container = container?.[segment] as Record<string | number, unknown> | undefined;
  }
  return container !== undefined && !Object.hasOwn(container, last);
}
