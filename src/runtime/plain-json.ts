/**
 * New values on their way into a state: copied, measured, and refused when JSON would lose or change them.
 *
 * The copy is what makes a state the actor's own: an object that an author's module keeps, or that came in with the
 * input, can be changed later by others, and memory would no longer be what is on disk.
 */
import { AppError } from '../protocol/errors.ts';

/** Levels that a state may nest: deep values die in recursive code, and a circle has no end. */
const stateDepthMax = 200;

/** Sums up, while values are copied, the characters that they take as JSON: at least the truth. */
export class Measure {
  chars = 0;
}

/**
 * A copy without properties that are undefined.
 * @throws AppError INTERNAL that names the path of the first value that JSON cannot hold
 */
export function ownCopy(value: unknown, path: string, measure: Measure): unknown {
  return copy(value, path, 0, measure);
}

function copy(value: unknown, path: string, depth: number, measure: Measure): unknown {
  if (typeof value === 'string') {
    // Every character may need an escape of six; most need none. Twice the length is right for all ordinary text, and
    // what is past a bound by this measure is looked at again.
    measure.chars += value.length * 2 + 3;
    return value;
  }
  if (value === null || typeof value === 'boolean') {
    measure.chars += 6;
    return value;
  }
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw refused(path, `is ${value}`);
    measure.chars += 25;
    // JSON knows one zero.
    return value === 0 ? 0 : value;
  }
  if (value === undefined) throw refused(path, 'is undefined inside an array');
  if (typeof value !== 'object') throw refused(path, `is a ${typeof value}`);
  if (depth > stateDepthMax) throw refused(path, `nests deeper than ${stateDepthMax} levels, or in a circle`);
  return Array.isArray(value) ? copyArray(value, path, depth, measure) : copyObject(value, path, depth, measure);
}

function copyArray(array: readonly unknown[], path: string, depth: number, measure: Measure): unknown[] {
  const own: unknown[] = [];
  for (let index = 0; index < array.length; index += 1) {
    if (!(index in array)) throw refused(path, 'is an array with holes');
    own.push(copy(array[index], `${path}/${index}`, depth + 1, measure));
  }
  measure.chars += 3;
  return own;
}

function copyObject(object: object, path: string, depth: number, measure: Measure): Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype !== Object.prototype && prototype !== null) {
    throw refused(path, `is a ${object.constructor?.name ?? 'class instance'}`);
  }
  const own: Record<string, unknown> = {};
  for (const [key, child] of Object.entries(object)) {
    if (key === '__proto__') throw refused(path, 'has the key __proto__');
    if (child === undefined) continue;
    measure.chars += key.length * 2 + 4;
    own[key] = copy(child, `${path}/${key}`, depth + 1, measure);
  }
  measure.chars += 3;
  return own;
}

function refused(path: string, why: string): AppError {
  return new AppError('INTERNAL', `state${path} ${why}; a state holds plain JSON only`);
}
