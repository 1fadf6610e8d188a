/**
 * Where the keys that verify tokens come from: one secret, a JWKS file, or a JWKS address.
 *
 * A file is read again, and an address fetched again, when a token names a key that is not there; at most once per 30 s,
 * so that a flood of such tokens costs nothing. Both are read again when the keys are ten minutes old, so that a key that was
 * taken out is out. When the address fails, keys that were good less than an hour ago go on working; after that every
 * token is refused. A file that cannot be read leaves the keys that it had.
 */
import { createSecretKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
} from 'jose';
import type { Clock } from '../host/clock.ts';
import type { AuthConfig } from '../host/config.ts';
import type { Logger } from '../host/log.ts';

export interface KeySource {
  readonly algorithms: readonly string[];
  readonly key: JWTVerifyGetKey;
}

/** A secret never verifies with a public-key algorithm, nor the other way round; that mix is an attack. */
const secretAlgorithms = ['HS256', 'HS384', 'HS512'];
const publicKeyAlgorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'];
const secretBytesMin = 32;
const rsaBitsMin = 2048;
const cooldownMs = 30_000;
/** What is older is read again, asked for or not. */
const freshMs = 10 * 60_000;
/** As long as no keys were ever fetched. */
const firstRetryMs = 1_000;
const fetchMsMax = 5_000;
const fetchBytesMax = 1024 * 1024;
const staleMsMax = 60 * 60 * 1000;

export async function openKeySource(
  auth: AuthConfig,
  devSecret: string | undefined,
  clock: Clock,
  log: Logger,
): Promise<KeySource> {
  const given = [auth.secret, auth.jwksUrl, auth.jwksFile].filter((source) => source !== undefined).length;
  if (given > 1) throw new Error('set only one of AUTH_JWT_SECRET, AUTH_JWKS_URL and AUTH_JWKS_FILE');
  const secret = given === 0 ? devSecret : auth.secret;
  if (secret !== undefined) return secretSource(secret, auth.algorithms);
  const algorithms = choose(auth.algorithms, publicKeyAlgorithms, publicKeyAlgorithms);
  if (auth.jwksFile !== undefined) return { algorithms, key: await fileKeys(auth.jwksFile, clock, log) };
  if (auth.jwksUrl !== undefined) return { algorithms, key: addressKeys(auth.jwksUrl, clock, log) };
  throw new Error('no key to verify tokens with: set AUTH_JWT_SECRET, AUTH_JWKS_URL or AUTH_JWKS_FILE, or use --dev');
}

function secretSource(secret: string, wanted: readonly string[]): KeySource {
  const bytes = Buffer.from(secret, 'utf8');
  if (bytes.length < secretBytesMin) {
    throw new Error(`AUTH_JWT_SECRET has ${bytes.length} bytes; it needs at least ${secretBytesMin} random ones`);
  }
  const key = createSecretKey(bytes);
  return { algorithms: choose(wanted, secretAlgorithms, ['HS256']), key: () => key };
}

function choose(wanted: readonly string[], legal: readonly string[], usual: readonly string[]): readonly string[] {
  const illegal = wanted.find((algorithm) => !legal.includes(algorithm));
  if (illegal === undefined) return wanted.length === 0 ? usual : wanted;
  throw new Error(`AUTH_ALGORITHMS: "${illegal}" does not go with this kind of key; choose of ${legal.join(', ')}`);
}

async function fileKeys(path: string, clock: Clock, log: Logger): Promise<JWTVerifyGetKey> {
  let keys = await readKeys(path);
  let readMs = clock.monotonic();
  let reading: Promise<void> | undefined;
  const readAgain = async (): Promise<void> => {
    readMs = clock.monotonic();
    try {
      keys = await readKeys(path);
    } catch (error) {
      log.error({ err: error }, 'cannot read the keys in AUTH_JWKS_FILE; the last ones stay');
    }
    reading = undefined;
  };
  return async (header, token) => {
    if (clock.monotonic() - readMs >= freshMs) await (reading ??= readAgain());
    try {
      return await keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      if (reading === undefined && clock.monotonic() - readMs < cooldownMs) throw error;
      await (reading ??= readAgain());
      return keys(header, token);
    }
  };
}

async function readKeys(path: string): Promise<JWTVerifyGetKey> {
  try {
    const set = JSON.parse(await readFile(path, 'utf8')) as JSONWebKeySet;
    for (const { kty, n } of set.keys) {
      const bits = kty === 'RSA' ? Buffer.from(n ?? '', 'base64url').length * 8 : rsaBitsMin;
      if (bits < rsaBitsMin) throw new Error(`an RSA key has ${bits} bits; it needs at least ${rsaBitsMin}`);
    }
    return createLocalJWKSet(set);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`AUTH_JWKS_FILE: cannot use the keys in ${path}: ${why}`, { cause: error });
  }
}

function addressKeys(address: string, clock: Clock, log: Logger): JWTVerifyGetKey {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const loopback = url?.hostname === 'localhost' || url?.hostname === '127.0.0.1' || url?.hostname === '[::1]';
  if (url === undefined || !(url.protocol === 'https:' || (url.protocol === 'http:' && loopback))) {
    throw new Error(`AUTH_JWKS_URL must be an https address, not "${address}"`);
  }
  let goodMs = -Infinity;
  let failedMs = -Infinity;
  const remote = createRemoteJWKSet(url, {
    timeoutDuration: fetchMsMax,
    cooldownDuration: cooldownMs,
    cacheMaxAge: freshMs,
    [customFetch]: async (target, options) => {
      try {
        return await fetchKeys(target, options);
      } catch (error) {
        failedMs = clock.monotonic();
        log.error({ err: error }, 'cannot fetch the keys at AUTH_JWKS_URL');
        throw error;
      }
    },
  });
  /** The last keys, while they are young enough. */
  const lastKeys = (): JWTVerifyGetKey => {
    const set = clock.monotonic() - goodMs < staleMsMax ? remote.jwks() : undefined;
    if (set === undefined) throw new Error('the keys at AUTH_JWKS_URL cannot be fetched');
    return createLocalJWKSet(set);
  };
  return async (header, token) => {
    const waitMs = remote.jwks() === undefined ? firstRetryMs : cooldownMs;
    if (clock.monotonic() - failedMs < waitMs) return lastKeys()(header, token);
    const failedBeforeMs = failedMs;
    try {
      const key = await remote(header, token);
      if (remote.fresh) goodMs = clock.monotonic();
      return key;
    } catch (error) {
      if (failedMs === failedBeforeMs) throw error;
      return lastKeys()(header, token);
    }
  };
}

/** A key set is small; whatever answers with more, or with anything but a set, is not one. */
async function fetchKeys(url: string, options: RequestInit): Promise<Response> {
  const response = await fetch(url, options);
  if (response.status !== 200) throw new Error(`the answer was ${response.status}`);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > fetchBytesMax) throw new Error(`the key set has more than ${fetchBytesMax} bytes`);
    chunks.push(chunk);
  }
  return Response.json(JSON.parse(Buffer.concat(chunks).toString('utf8')));
}
