/** Signs tokens for development and for services that hold the shared secret. */
import { SignJWT } from 'jose';
import type { AuthConfig } from '../host/config.ts';

export interface TokenFacts {
  readonly tenant: string;
  readonly sub: string;
  /** Lifetime in seconds. */
  readonly ttlS: number;
  /** Further claims; those that this function sets win. */
  readonly claims: Readonly<Record<string, unknown>>;
}

/** A token that a server with the same `auth` and secret accepts. */
export async function mintToken(auth: AuthConfig, secret: string, facts: TokenFacts): Promise<string> {
  const algorithm = auth.algorithms.find((name) => name.startsWith('HS')) ?? 'HS256';
  const issuedAtS = Math.floor(Date.now() / 1000);
  return await new SignJWT({ ...facts.claims, [auth.tenantClaim]: facts.tenant })
    .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
    .setIssuer(auth.issuer)
    .setAudience(auth.audience)
    .setSubject(facts.sub)
    .setIssuedAt(issuedAtS)
    .setExpirationTime(issuedAtS + facts.ttlS)
    .sign(new TextEncoder().encode(secret));
}
