/** Tokens as an identity provider would sign them: made here with jose and the secret that test servers are given. */
import { SignJWT } from 'jose';

export const secret = 'a secret for tests only, long enough to sign with';

export interface TokenOptions {
  readonly tenant?: string;
  readonly sub?: string;
  readonly claims?: Readonly<Record<string, unknown>>;
}

export async function mint({ tenant = 'acme', sub = 'ada', claims = {} }: TokenOptions = {}): Promise<string> {
  return await new SignJWT({ ...claims, tenant })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuer('fermata')
    .setAudience('fermata')
    .setSubject(sub)
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(secret));
}
