/**
 * RFC 6902 patches, the three operations that the server emits: add, replace, remove. Pure, immutable, shared by the
 * client's store and by the keeper.
 *
 * Applying costs what the patch touches: untouched branches keep their identity. Arrays keep to the RFC (`add` in the
 * middle inserts). Only own properties are walked and `__proto__` is refused, so that no path reaches a prototype.
 */

export type JsonPatchOp =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

/** Joins path segments to a JSON pointer (RFC 6901). */
export function toPointer(segments: readonly (string | number)[]): string {
  let pointer = '';
  for (const segment of segments) {
    const text = String(segment);
    pointer += `/${text.includes('~') || text.includes('/') ? text.replaceAll('~', '~0').replaceAll('/', '~1') : text}`;
  }
  return pointer;
}

function fromPointer(pointer: string): string[] {
  if (pointer === '') return [];
  if (pointer[0] !== '/') throw new PatchError(`path "${pointer}" must start with "/"`);
  return pointer
    .slice(1)
    .split('/')
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** A patch that does not fit the value: the two have gone apart. */
export class PatchError extends Error {
  override readonly name = 'PatchError';
}

/**
 * The value after all patches; the given one is not changed.
 * Containers made on the way are shared by the whole set, so that 200 patches on one array copy it once.
 * @throws PatchError when a path does not exist, and then nothing was applied
 */
export function applyPatches<T>(value: T, patches: readonly JsonPatchOp[]): T {
  const own = new Set<object>();
  const root: { value: unknown } = { value };
  own.add(root);
  for (const patch of patches) apply(root, ['value', ...fromPointer(patch.path)], patch, own);
  return root.value as T;
}

type Container = Record<string, unknown> | unknown[];

function apply(root: Container | object, segments: string[], patch: JsonPatchOp, own: Set<object>): void {
  let container = root as Container;
  const last = segments.pop()!;
  for (const [depth, segment] of segments.entries()) {
    const child = read(container, segment, patch.path);
    if (typeof child !== 'object' || child === null)
      throw new PatchError(`path "${patch.path}" leads through a plain value`);
    if (own.has(child)) container = child as Container;
    else if (patch.op === 'add' && depth === segments.length - 1 && isEnd(child, last)) {
      // One item longer at once: a copy that grows afterwards is copied twice.
      write(container, segment, owned(child.concat([patch.value]), own));
      return;
    } else container = write(container, segment, owned(copyOf(child as Container), own));
  }
  if (Array.isArray(container)) applyToArray(container, last, patch);
  else applyToObject(container, last, patch);
}

function isEnd(target: object, segment: string): target is unknown[] {
  return Array.isArray(target) && (segment === '-' || segment === String(target.length));
}

function applyToArray(array: unknown[], segment: string, patch: JsonPatchOp): void {
  const index = segment === '-' && patch.op === 'add' ? array.length : indexOf(segment, patch.path);
  const last = patch.op === 'add' ? array.length : array.length - 1;
  if (index > last) throw new PatchError(`path "${patch.path}" is past the end of an array of ${array.length}`);
  if (patch.op === 'remove') array.splice(index, 1);
  else if (patch.op === 'replace') array[index] = patch.value;
  else array.splice(index, 0, patch.value);
}

function applyToObject(object: Record<string, unknown>, key: string, patch: JsonPatchOp): void {
  refusePrototype(key, patch.path);
  if (patch.op === 'add') object[key] = patch.value;
  else if (!Object.hasOwn(object, key)) throw new PatchError(`path "${patch.path}" does not exist`);
  else if (patch.op === 'remove') delete object[key];
  else object[key] = patch.value;
}

function read(container: Container, segment: string, path: string): unknown {
  if (Array.isArray(container)) return container[indexOf(segment, path)];
  refusePrototype(segment, path);
  return Object.hasOwn(container, segment) ? container[segment] : undefined;
}

function write(container: Container, segment: string, child: Container): Container {
  if (Array.isArray(container)) container[Number(segment)] = child;
  else container[segment] = child;
  return child;
}

function copyOf(source: Container): Container {
  return Array.isArray(source) ? source.slice() : { ...source };
}

function owned(made: Container, own: Set<object>): Container {
  own.add(made);
  return made;
}

function indexOf(segment: string, path: string): number {
  if (!/^(0|[1-9]\d*)$/.test(segment))
    throw new PatchError(`path "${path}" needs an array index where it has "${segment}"`);
  return Number(segment);
}

function refusePrototype(key: string, path: string): void {
  if (key === '__proto__') throw new PatchError(`path "${path}" must not name __proto__`);
}
