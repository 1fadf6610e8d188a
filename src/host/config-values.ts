/**
 * What the texts of flags and variables may say. Each parser answers with the value, or with what is wrong and what would
 * be right. None of them repeats a secret.
 */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { Parsed } from './config-reader.ts';
import { parseRevoked } from './config-revoked.ts';
import { suggestion } from '../protocol/suggestion.ts';

export function wholeNumber(min: number, max: number, remark = ''): (text: string) => Parsed<number> {
  return (text) => {
    const value = /^\d{1,15}$/.test(text.trim()) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return { value };
    return { problem: `"${text}" is no whole number from ${min} to ${max}${remark}` };
  };
}

export function oneOf<T extends string>(words: readonly T[]): (text: string) => Parsed<T> {
  return (text) => {
    const value = words.find((word) => word === text.trim());
    return value === undefined
      ? { problem: `"${text}" is none of ${words.join(', ')}${didYouMean(text, words)}` }
      : { value };
  };
}

export function yesOrNo(text: string): Parsed<boolean> {
  const word = text.trim().toLowerCase();
  if (['true', '1', 'yes', 'on'].includes(word)) return { value: true };
  if (['false', '0', 'no', 'off'].includes(word)) return { value: false };
  return { problem: `"${text}" is neither true nor false` };
}

export function anyText(text: string): Parsed<string> {
  return text.trim() === '' ? { problem: 'must not be empty' } : { value: text.trim() };
}

export function hostAddress(text: string): Parsed<string> {
  const value = text.trim();
  const named = /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/.test(
    value,
  );
  if (isIP(value) !== 0 || (named && !/^[\d.]+$/.test(value))) return { value };
  return { problem: `"${text}" is no address; use one such as 127.0.0.1, 0.0.0.0 or ::, without scheme and port` };
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

export function origins(text: string): Parsed<readonly string[]> {
  const value = listOf(text);
  for (const origin of value) {
    if (origin === '*')
      return { problem: '"*" is refused: name each origin that may connect, such as https://app.example.com' };
    const url = URL.canParse(origin) ? new URL(origin) : undefined;
    const web = url?.protocol === 'https:' || url?.protocol === 'http:';
    if (!web)
      return { problem: `"${origin}" is no origin; write scheme, host and port, such as https://app.example.com` };
    if (url?.origin !== origin)
      return { problem: `"${origin}" never equals what a browser sends; write "${url?.origin}"` };
  }
  return { value };
}

/** A shared secret signs with HS…; of the public-key signatures one per family is enough. */
export const signatures = ['HS256', 'HS384', 'HS512', 'RS256', 'PS256', 'ES256', 'EdDSA'] as const;

export function algorithms(text: string): Parsed<readonly string[]> {
  const value = listOf(text);
  if (value.length === 0) return { problem: 'names no algorithm; HS256 for a secret, or RS256,ES256,EdDSA for keys' };
  const unknown = value.find((word) => !signatures.some((signature) => signature === word));
  if (unknown === undefined) return { value };
  return {
    problem: `"${unknown}" is no signature that can be accepted${didYouMean(unknown, signatures)}; known: ${signatures.join(', ')}`,
  };
}

export function keysUrl(text: string): Parsed<string> {
  const url = URL.canParse(text.trim()) ? new URL(text.trim()) : undefined;
  const here = ['localhost', '127.0.0.1', '[::1]'].includes(url?.hostname ?? '');
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && here)) return { value: url.href };
  if (url?.protocol === 'http:')
    return { problem: 'keys fetched over http can be swapped on the way; use an https URL (http only to loopback)' };
  return { problem: 'is no https URL, such as https://login.example.com/.well-known/jwks.json' };
}

export function keysFile(text: string): Parsed<string> {
  const file = readText(text.trim());
  if ('problem' in file) return file;
  try {
    const keys: unknown = JSON.parse(file.value);
    if (typeof keys === 'object' && keys !== null && 'keys' in keys && Array.isArray(keys.keys))
      return { value: text.trim() };
  } catch {
    // Told below, the same for any content that is no key set.
  }
  return { problem: `"${text}" holds no JSON of the form {"keys":[…]} (a JWKS)` };
}

export function revokedFile(text: string): Parsed<string> {
  const file = readText(text.trim());
  if ('problem' in file) return file;
  const list = parseRevoked(file.value);
  return 'problem' in list ? { problem: `"${text}" ${list.problem}` } : { value: text.trim() };
}

export function readableFile(text: string): Parsed<string> {
  const file = readText(text.trim());
  return 'problem' in file ? file : { value: text.trim() };
}

export function secretFile(text: string): Parsed<string> {
  const file = readText(text.trim());
  if ('problem' in file) return file;
  // Editors and `echo` end a file with a line break that nobody counts as part of the secret.
  return { value: file.value.replace(/\r?\n$/, '') };
}

/** The parts of a comma-separated list, without blanks and empty parts. */
export function listOf(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

export function didYouMean(word: string, candidates: Iterable<string>): string {
  const closest = suggestion(word, candidates);
  return closest === undefined ? '' : `; did you mean ${closest}?`;
}

function readText(path: string): Parsed<string> {
  try {
    return { value: readFileSync(path, 'utf8') };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    const reasons: Record<string, string> = {
      ENOENT: 'does not exist',
      EACCES: 'may not be read by this user',
      EISDIR: 'is a folder',
    };
    return { problem: `the file "${path}" ${reasons[code] ?? `cannot be read (${code})`}` };
  }
}
