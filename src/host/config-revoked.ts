/**
 * The list of revoked tokens and subjects, as its file has it:
 *
 *     { "jti": ["…"], "sub": ["tenant/subject"] }
 *
 * Read strictly: a list that is half understood would let in whom it was meant to keep out. Messages name fields and
 * places, never what stands there.
 */
import { isTenant } from '../protocol/address.ts';
import type { Parsed } from './config-reader.ts';

export interface RevokedList {
  /** Ids of tokens. */
  readonly jti: readonly string[];
  /** `tenant/subject`: a tenant holds no `/`, so the first one ends it. */
  readonly sub: readonly string[];
}

/** Bytes of the file: about 80,000 random ids. Each gateway thread reads it in one go, and stands still for that. */
export const revokedBytesMax = 4 * 1024 * 1024;

export function parseRevoked(text: string): Parsed<RevokedList> {
  if (Buffer.byteLength(text) > revokedBytesMax) return { problem: `has more than ${revokedBytesMax} bytes` };
  let list: unknown;
  try {
    list = JSON.parse(text.replace(/^\ufeff/, ''));
  } catch {
    return { problem: `is no JSON${shape}` };
  }
  if (typeof list !== 'object' || list === null || Array.isArray(list)) return { problem: `is no JSON object${shape}` };
  const { jti = [], sub = [], ...others } = list as Record<string, unknown>;
  // A misspelt field would revoke nothing.
  if (Object.keys(others).length > 0) return { problem: `has other fields than "jti" and "sub"${shape}` };
  const wrongId = indexOfOther(jti, (id) => id !== '');
  if (wrongId !== undefined) return { problem: `"jti"${wrongId} is no token id${shape}` };
  const wrongSubject = indexOfOther(sub, isTenantAndSubject);
  if (wrongSubject !== undefined) return { problem: `"sub"${wrongSubject} is no tenant/subject${shape}` };
  return { value: { jti: jti as string[], sub: sub as string[] } };
}

const shape = '; it must be of the form {"jti":["…"],"sub":["tenant/subject"]}';

/** Where `list` is not as it should be: `[2]`, or nothing to add when it is no list; undefined when all is well. */
function indexOfOther(list: unknown, isGood: (text: string) => boolean): string | undefined {
  if (!Array.isArray(list)) return '';
  const index = list.findIndex((entry: unknown) => typeof entry !== 'string' || !isGood(entry));
  return index < 0 ? undefined : `[${index}]`;
}

function isTenantAndSubject(text: string): boolean {
  const end = text.indexOf('/');
  return end > 0 && end < text.length - 1 && isTenant(text.slice(0, end));
}
