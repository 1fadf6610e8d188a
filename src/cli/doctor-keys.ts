/**
 * Are the keys that verify tokens good ones? A secret is judged by what it looks like, a key set by what is in it; the set
 * is fetched as the server would, so that an identity provider that cannot be reached is known before the first client is.
 */
import { readFileSync } from 'node:fs';
import type { AuthConfig } from '../host/config.ts';
import { fail, ok, reason, warn, type Finding } from './doctor-finding.ts';

export type KeySet = { readonly keys: readonly unknown[] } | { readonly problem: string };

/** Where the secret came from. */
export interface SecretOrigin {
  readonly byFlag: boolean;
  /** Permissions of its file; undefined when it is in no file. */
  readonly fileMode: number | undefined;
  readonly inContainer: boolean;
}

const fetchMsMax = 5000;
const fetchBytesMax = 1024 * 1024;
const distinctMin = 8;
const rsaBitsMin = 2048;

/** Undefined when tokens are verified otherwise. */
export async function readKeySet(auth: AuthConfig): Promise<KeySet | undefined> {
  try {
    if (auth.jwksFile !== undefined) return keysIn(readFileSync(auth.jwksFile, 'utf8'));
    return auth.jwksUrl === undefined ? undefined : keysIn(await fetched(auth.jwksUrl));
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? ` (${reason(error.cause)})` : '';
    return { problem: `${reason(error)}${cause}` };
  }
}

async function fetched(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(fetchMsMax), redirect: 'manual' });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`the answer was ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > fetchBytesMax) throw new Error(`the answer has more than ${fetchBytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function keysIn(text: string): KeySet {
  const set: unknown = JSON.parse(text);
  const keys = isRecord(set) ? set['keys'] : undefined;
  return Array.isArray(keys) ? { keys } : { problem: 'it holds no {"keys":[…]}' };
}

export function judgeSecret(secret: string, { byFlag, fileMode, inContainer }: SecretOrigin): Finding {
  const check = 'keys';
  const renew = 'Make one with: openssl rand -base64 48';
  const bytes = Buffer.byteLength(secret);
  if (new Set(secret).size < distinctMin || /^(.{1,16})\1+$/s.test(secret))
    return fail(check, `the secret has ${bytes} bytes, but they repeat themselves`, renew);
  if (/secret|passwor[dt]|change.?me|example|123456|qwerty/i.test(secret))
    return fail(check, 'the secret has words in it that others guess first', renew);
  if (byFlag)
    return warn(
      check,
      'the secret is a flag, which every user of this machine can read',
      'Use AUTH_JWT_SECRET_FILE, or AUTH_JWT_SECRET in the environment.',
    );
  // In a container files of secrets are often readable for everybody in it, which is the server alone.
  if (fileMode !== undefined && (fileMode & 0o007) !== 0 && !inContainer)
    return warn(check, `everybody may read the file of the secret (${octal(fileMode)})`, 'chmod 0400 it.');
  return ok(check, `a secret of ${bytes} bytes; whoever verifies with it can also sign`);
}

export function judgeKeySet(set: KeySet, algorithms: readonly string[]): Finding {
  const check = 'keys';
  if ('problem' in set)
    return fail(check, `they cannot be read: ${set.problem}`, 'Without them every token is refused: mend this first.');
  const keys = set.keys.filter(isRecord);
  if (keys.some((key) => 'd' in key || 'k' in key))
    return fail(check, 'the set holds private keys', 'Whoever reads it can sign: publish the public parts only.');
  const weak = keys.find((key) => key['kty'] === 'RSA' && rsaBits(key) < rsaBitsMin);
  if (weak !== undefined)
    return fail(
      check,
      `an RSA key has ${rsaBits(weak)} bits`,
      `Such a key is refused: have one of ${rsaBitsMin} or more.`,
    );
  const fitting = keys.filter((key) => key['use'] !== 'enc' && algorithms.some((name) => fits(key, name)));
  if (fitting.length === 0)
    return fail(
      check,
      `none of ${keys.length} is for ${algorithms.join(', ')}`,
      'Set AUTH_ALGORITHMS to what it signs with.',
    );
  return ok(check, fitting.map(keyName).join(', '));
}

function fits(key: Record<string, unknown>, algorithm: string): boolean {
  if (key['alg'] !== undefined && key['alg'] !== algorithm && !(algorithm === 'EdDSA' && key['alg'] === 'Ed25519'))
    return false;
  if (algorithm === 'ES256') return key['kty'] === 'EC' && key['crv'] === 'P-256';
  if (algorithm === 'EdDSA') return key['kty'] === 'OKP' && key['crv'] === 'Ed25519';
  return key['kty'] === 'RSA';
}

function keyName(key: Record<string, unknown>): string {
  return key['kty'] === 'RSA' ? `RSA of ${rsaBits(key)} bits` : String(key['crv']);
}

function rsaBits(key: Record<string, unknown>): number {
  return Buffer.from(typeof key['n'] === 'string' ? key['n'] : '', 'base64url').length * 8;
}

function octal(mode: number): string {
  return (mode & 0o777).toString(8).padStart(4, '0');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
