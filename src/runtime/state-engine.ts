/**
 * The seam around Immer: a state goes in, a draft comes out, and at the end there is a next state with RFC 6902 patches,
 * or nothing at all. No other file knows Immer, so that a faster engine can be put in its place and measured.
 *
 * A draft is revoked when it ends, either way: a handler that kept it cannot write afterwards. States are plain JSON; a
 * value that JSON would lose or change is refused with its path, because memory and disk must never differ.
 *
 * Prices (2 cores): 800 k turns/s on a counter with patches; shift + push on 200 items makes 200 patches and 1.5 k turns/s.
 */
import {
  createDraft,
  enableArrayMethods,
  enablePatches,
  finishDraft,
  type Objectish,
  type Patch,
  setAutoFreeze,
} from 'immer';
import { AppError } from '../protocol/errors.ts';
import { type JsonPatchOp, toPointer } from '../protocol/json-patch.ts';

enablePatches();
enableArrayMethods();
setAutoFreeze(false);

export interface Draft {
  /** What the handler mutates. */
  readonly root: unknown;
  /** Ends the draft. `patches` is empty when nothing changed, and then `next` is the state that went in. */
  finish(): { readonly next: unknown; readonly patches: readonly JsonPatchOp[] };
  /** Ends the draft, if it has not ended yet, and forgets what was written to it. */
  discard(): void;
}

/** @throws AppError INTERNAL when the state is no object or array */
export function openDraft(state: unknown): Draft {
  if (typeof state !== 'object' || state === null)
    throw new AppError('INTERNAL', 'state must be an object or an array');
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
      const patches = found.length === 0 ? noPatches : toJsonPatches(state, next, found);
      // Immer copies what was touched and put back; without a patch the old state is as good, and known to be on disk.
      return { next: patches.length === 0 ? state : next, patches };
    },
    discard() {
      if (!ended) finishDraft(root);
      ended = true;
    },
  };
}

const noPatches: readonly JsonPatchOp[] = [];

/** Levels that a state may nest: deep values die in recursive code, and a circle has no end. */
const stateDepthMax = 200;

function toJsonPatches(base: unknown, next: unknown, patches: readonly Patch[]): JsonPatchOp[] {
  const ops: JsonPatchOp[] = [];
  for (const patch of patches) {
    if (patch.path.length === 0) throw new AppError('INTERNAL', 'state must be changed in place, not replaced');
    const path = toPointer(patch.path);
    if (patch.path.includes('__proto__')) throw new AppError('INTERNAL', `state${path} must not use the key __proto__`);
    if (patch.op !== 'remove' && patch.value === undefined && typeof patch.path.at(-1) === 'string') {
      // In JSON a property that is undefined is not there, so it must not be there in memory either.
      removeProperty(next, patch.path);
      if (patch.op === 'replace') ops.push({ op: 'remove', path });
      continue;
    }
    if (patch.op === 'remove') {
      if (!removesInherited(base, patch.path)) ops.push({ op: 'remove', path });
      continue;
    }
    refuseNonJson(patch.value, path);
    ops.push({ op: patch.op, path, value: patch.value as unknown });
  }
  return ops;
}

function removeProperty(root: unknown, path: readonly (string | number)[]): void {
  let container = root as Record<string | number, unknown>;
  for (const segment of path.slice(0, -1)) container = container[segment] as Record<string | number, unknown>;
  delete container[path.at(-1)!];
}

/** Immer also reports the removal of names that every object inherits, such as `constructor`, when they were not there. */
function removesInherited(base: unknown, path: readonly (string | number)[]): boolean {
  const last = path.at(-1)!;
  if (typeof last === 'number' || !(last in Object.prototype)) return false;
  let container = base as Record<string | number, unknown> | undefined;
  for (const segment of path.slice(0, -1))
    container = container?.[segment] as Record<string | number, unknown> | undefined;
  return container !== undefined && !Object.hasOwn(container, last);
}

/**
 * Takes properties that are undefined out of a new value, and refuses what JSON cannot hold.
 * @throws AppError INTERNAL that names the path of the first such value
 */
export function refuseNonJson(value: unknown, path: string): void {
  const problem = nonJson(value, path, 0);
  if (problem !== undefined) throw new AppError('INTERNAL', `state${problem}; a state holds plain JSON only`);
}

function nonJson(value: unknown, path: string, depth: number): string | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return undefined;
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : `${path} is ${value}`;
  if (value === undefined) return `${path} is undefined inside an array`;
  if (typeof value !== 'object') return `${path} is a ${typeof value}`;
  if (depth > stateDepthMax) return `${path} nests deeper than ${stateDepthMax} levels, or in a circle`;
  const prototype: unknown = Object.getPrototypeOf(value);
  const isArray = Array.isArray(value);
  if (!isArray && prototype !== Object.prototype && prototype !== null) {
    return `${path} is a ${value.constructor?.name ?? 'class instance'}`;
  }
  const object = value as Record<string, unknown>;
  for (const key of Object.keys(object)) {
    const child = object[key];
    if (child === undefined && !isArray) delete object[key];
    else {
      const problem = nonJson(child, `${path}/${key}`, depth + 1);
      if (problem !== undefined) return problem;
    }
  }
  return isArray && Object.keys(object).length !== value.length ? `${path} is an array with holes` : undefined;
}
