/**
 * A mistake in what an author wrote, found while the app is defined and before anything is served. The message says
 * which name or option, what is wrong with it, and what would be right.
 */
import { suggestion } from '../protocol/suggestion.ts';

export class DefinitionError extends Error {
  override readonly name = 'DefinitionError';
}

/** A value as the end of a sentence: what was given where something else was expected. */
export function describeValue(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'string')
    return `the string ${JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)}`;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (value instanceof Promise) return 'a promise';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** A plain object's own entries; class instances and arrays are no plain objects. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/**
 * Refuses options that nobody reads, because most of them are typing errors.
 * @throws DefinitionError that names the nearest known option
 */
export function refuseUnknownOptions(where: string, options: Record<string, unknown>, known: readonly string[]): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const near = suggestion(name, known);
    const hint = near === undefined ? `known are ${known.join(', ')}` : `did you mean "${near}"?`;
    throw new DefinitionError(`${where}: unknown option "${name}"; ${hint}`);
  }
}
