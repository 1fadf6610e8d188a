/**
 * Tokens, good and forged, made by hand so that nothing keeps a test from making a wrong one.
 */
import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

export const secret = 'a test secret of more than thirty-two bytes';
export const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
export const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
export const ed = generateKeyPairSync('ed25519');

export type Json = Record<string, unknown>;

export function claims(more: Json = {}): Json {
  const nowS = Math.floor(Date.now() / 1000);
  return {
    iss: 'https://issuer.test',
    aud: 'fermata',
    sub: 'user-1',
    tenant: 'acme',
    iat: nowS,
    exp: nowS + 600,
    ...more,
  };
}

export function encode(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
}

/** Signed with the shared secret, whatever the header says. */
export function token(payload: Json = claims(), header: Json = {}, key: string | Buffer = secret): string {
  const head = `${encode({ alg: 'HS256', typ: 'JWT', ...header })}.${encode(payload)}`;
  return `${head}.${createHmac('sha256', key).update(head).digest('base64url')}`;
}

/** Signed with a private key: RS256, PS256, ES256, EdDSA. */
export function signed(alg: string, key: KeyObject, header: Json = {}, payload: Json = claims()): string {
  const head = `${encode({ alg, typ: 'JWT', ...header })}.${encode(payload)}`;
  const data = Buffer.from(head);
  const signature =
    alg === 'EdDSA'
      ? sign(null, data, key)
      : alg === 'ES256'
        ? sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' })
        : sign('sha256', data, alg === 'PS256' ? { key, padding: 6, saltLength: 32 } : { key });
  return `${head}.${signature.toString('base64url')}`;
}

/** A claim set without one of its claims. */
export function without(name: string): Json {
  const { [name]: _gone, ...rest } = claims();
  return rest;
}
