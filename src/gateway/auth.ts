/**
 * From a token to a principal, or nothing. The only place that decides who somebody is; tenant and user come from the
 * verified token and from nowhere else.
 *
 * What the client hears is always the same UNAUTHORIZED; the reason goes to the log, a few lines at most,
 * and never the token. Algorithms are fixed by configuration, so nothing in a token's header chooses how it is checked.
 */
import { jwtVerify, type JWTHeaderParameters, type JWTPayload } from 'jose';
import type { Clock } from '../host/clock.ts';
import type { AuthConfig } from '../host/config.ts';
import type { Logger } from '../host/log.ts';
import { LogGate } from '../host/log-gate.ts';
import { isTenant } from '../protocol/address.ts';
import { AppError } from '../protocol/errors.ts';
import { defaultLimits } from '../protocol/limits.ts';
import { parseJson } from '../protocol/safe-json.ts';
import { type KeySource, openKeySource } from './auth-keys.ts';
import type { Revocations } from './auth-revocation.ts';

export interface Principal {
  readonly tenant: string;
  /** The token's subject; null for development without a token. */
  readonly userId: string | null;
  /** The token's `jti`, when it has one. */
  readonly tokenId: string | undefined;
  readonly claims: Readonly<Record<string, unknown>>;
  /** Wall clock. Infinity without a token. */
  readonly expiresMs: number;
}

/** @throws AppError UNAUTHORIZED */
export type Verify = (token: string) => Promise<Principal>;

/** Whoever comes without a token in development. */
export const developer: Principal = {
  tenant: 'dev',
  userId: null,
  tokenId: undefined,
  claims: {},
  expiresMs: Infinity,
};

/** Clocks of two machines may differ by this much. */
const toleranceS = 30;
const tokenBytesMax = 4096;
const lifetimeSMax = 24 * 60 * 60;
/** The largest moment that a Date can hold. */
const momentSMax = 8_640_000_000_000;
const subjectCharsMax = 256;

/**
 * Reads and checks the keys once, so that a wrong setting stops the start and not the first client.
 * @param devSecret signs tokens of `fermata token` in development, when no secret is configured
 * @param revocations tokens and subjects on this list are refused; its owner keeps it up to date
 * @param depthMax levels that claims may nest
 * @throws Error naming the setting and what to do
 */
export async function createVerifier(
  auth: AuthConfig,
  devSecret: string | undefined,
  clock: Clock,
  log: Logger,
  revocations?: Revocations,
  depthMax = defaultLimits.depthMax,
): Promise<Verify> {
  const keys = await openKeySource(auth, devSecret, clock, log);
  const lines = new LogGate(log, clock.monotonic);
  return async (token) => {
    try {
      const principal = await verify(token, auth, keys, clock);
      checkClaims(principal.claims, depthMax);
      if (revocations?.has(principal)) throw new Error('the token or its subject is revoked');
      return principal;
    } catch (error) {
      lines.write('refused a token', 'warn', { reason: reasonOf(error) }, 'refused a token');
      throw new AppError('UNAUTHORIZED', 'Unauthorized', { cause: error });
    }
  };
}

async function verify(token: string, auth: AuthConfig, keys: KeySource, clock: Clock): Promise<Principal> {
  // Characters of a token are ASCII; anything else fails below.
  if (token.length > tokenBytesMax) throw new Error(`token is over ${tokenBytesMax} bytes`);
  const nowS = clock.now() / 1000;
  const { payload, protectedHeader } = await jwtVerify(token, keys.key, {
    algorithms: [...keys.algorithms],
    issuer: auth.issuer,
    audience: auth.audience,
    requiredClaims: ['exp', 'iss', 'aud', 'sub', auth.tenantClaim],
    clockTolerance: toleranceS,
    currentDate: new Date(clock.now()),
  });
  checkHeader(protectedHeader);
  checkLifetime(payload, nowS);
  const { sub } = payload;
  if (typeof sub !== 'string' || sub === '' || sub.length > subjectCharsMax || !sub.isWellFormed()) {
    throw new Error(`"sub" must be text of 1 to ${subjectCharsMax} characters`);
  }
  // What bytes that are no UTF-8 are read as: two subjects would become one.
  if (sub.includes('\ufffd')) throw new Error('"sub" must be UTF-8');
  // A list of revoked tokens holds text; what could not stand there could not be revoked.
  const { jti } = payload;
  if (jti !== undefined && typeof jti !== 'string') throw new Error('"jti" must be text');
  const tenant: unknown = Object.hasOwn(payload, auth.tenantClaim) ? payload[auth.tenantClaim] : undefined;
  if (!isTenant(tenant)) throw new Error(`claim "${auth.tenantClaim}" is no legal tenant`);
  const expiresS = payload.exp!;
  // A token that is accepted although it has just expired, because clocks differ, lives for the difference.
  return {
    tenant,
    userId: sub,
    tokenId: jti,
    claims: payload,
    expiresMs: 1000 * (expiresS > nowS ? expiresS : expiresS + toleranceS),
  };
}

/** They go on as any JSON of a client does, to shards of this process or another, and are held to the same. Tokens bound their size. */
function checkClaims(claims: Principal['claims'], depthMax: number): void {
  const parsed = parseJson(JSON.stringify(claims), depthMax);
  if (parsed.kind === 'refused') throw new Error(`the claims cannot be used: ${parsed.message}`);
}

function checkHeader(header: JWTHeaderParameters): void {
  if (header.crit !== undefined) throw new Error('"crit" is not supported');
  const { typ } = header;
  if (typ === undefined) return;
  const type = typ.toLowerCase();
  if (type !== 'jwt' && type !== 'at+jwt') throw new Error('"typ" must be JWT or at+jwt');
}

function checkLifetime({ exp, iat }: JWTPayload, nowS: number): void {
  if (typeof exp !== 'number' || !(exp > 0 && exp <= momentSMax)) throw new Error('"exp" must be a moment in seconds');
  if (iat !== undefined && (typeof iat !== 'number' || !Number.isFinite(iat)))
    throw new Error('"iat" must be a number');
  // One that does not say when it was made is as old as it must be.
  const madeS = iat ?? nowS;
  if (madeS > nowS + toleranceS) throw new Error('"iat" lies in the future');
  if (exp - madeS > lifetimeSMax) throw new Error(`token lives for more than ${lifetimeSMax} s`);
}

/** jose's messages name claims and rules, never their values. */
function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown';
}
