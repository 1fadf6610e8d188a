/**
 * Who an actor is: tenant + type + id, and the rules that their names keep.
 *
 * The rules are allow-lists, because these strings become file names (tenant), words of an API (type, method) and keys
 * (id). Ids are free text for people: any well-formed Unicode without control characters.
 */
import { actorIdCharsMax, keyCharsMax } from './limits.ts';

export interface Address {
  readonly tenant: string;
  readonly type: string;
  readonly id: string;
}

const namePattern = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;
const tenantPattern = /^[a-z0-9][a-z0-9_-]{0,62}$/;
// C0, DEL and C1 controls, and the two separators that break lines in logs and scripts.
// oxlint-disable-next-line no-control-regex
const controlPattern = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/** One string per actor, usable as a map key: no part can hold the separator. */
export function addressKey(address: Address): string {
  return `${address.tenant}\n${address.type}\n${address.id}`;
}

/** Is this a legal name of an actor type, a method or an event? */
export function isName(value: unknown): value is string {
  return typeof value === 'string' && namePattern.test(value);
}

export function isTenant(value: unknown): value is string {
  return typeof value === 'string' && tenantPattern.test(value);
}

/** What is wrong with an actor id, as the end of a sentence, or undefined when nothing is. */
export function actorIdProblem(value: unknown): string | undefined {
  return textProblem(value, 'actorId', actorIdCharsMax);
}

/** What is wrong with an idempotency key, or undefined when nothing is. */
export function keyProblem(value: unknown): string | undefined {
  return textProblem(value, 'key', keyCharsMax);
}

const numberedPattern = /^([A-Za-z0-9_-]{8,64}):([1-9]\d{0,14})$/;

/** A key `<client>:<n>` of a client that numbers its calls; undefined for any other key. */
export function parseNumberedKey(key: string): { readonly client: string; readonly n: number } | undefined {
  const parts = numberedPattern.exec(key);
  return parts === null ? undefined : { client: parts[1]!, n: Number(parts[2]) };
}

function textProblem(value: unknown, what: string, charsMax: number): string | undefined {
  if (typeof value !== 'string') return `${what} must be a string`;
  if (value.length === 0) return `${what} must not be empty`;
  if (value.length > charsMax) return `${what} must have at most ${charsMax} characters, this one has ${value.length}`;
  if (!value.isWellFormed()) return `${what} must be well-formed Unicode: it holds half of a surrogate pair`;
  if (controlPattern.test(value)) return `${what} must not hold control characters`;
  return undefined;
}
