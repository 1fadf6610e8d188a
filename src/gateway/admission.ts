/**
 * Who may come in: the token that a request carries, or development's licence to come without one.
 */
import { AppError } from '../protocol/errors.ts';
import { bearerProtocolPrefix } from '../protocol/messages.ts';
import { developer, type Principal, type Verify } from './auth.ts';

export class Admission {
  readonly #verify: Verify;
  readonly #dev: boolean;

  constructor(verify: Verify, dev: boolean) {
    this.#verify = verify;
    this.#dev = dev;
  }

  /** A principal at once, or a promise of one. @throws AppError UNAUTHORIZED */
  admit(token: string | undefined): Principal | Promise<Principal> {
    if (token !== undefined) return this.#verify(token);
    if (this.#dev) return developer;
    throw new AppError('UNAUTHORIZED', 'Unauthorized');
  }
}

/** The token of `Authorization: Bearer`; a header of any other kind counts as a wrong token, not as none. */
export function bearerToken(authorization: string): string | undefined {
  if (authorization === '') return undefined;
  return /^bearer (.+)$/i.exec(authorization)?.[1] ?? '';
}

/** The token among the offered subprotocols. */
export function protocolToken(offered: readonly string[]): string | undefined {
  return offered.find((protocol) => protocol.startsWith(bearerProtocolPrefix))?.slice(bearerProtocolPrefix.length);
}
