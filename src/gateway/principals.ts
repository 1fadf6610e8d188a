/**
 * Callers over HTTP: one session per token, so that a service's thousandth call costs no verification and no `open`.
 *
 * A bounded cache, least recently used out first, each entry until its token expires or is revoked. A session that leaves while it has
 * calls in flight is ended when the last of them is answered.
 */
import type { Clock } from '../host/clock.ts';
import type { Admission } from './admission.ts';
import type { Principal } from './auth.ts';
import type { Revocations } from './auth-revocation.ts';
import type { Intake } from './intake.ts';
import type { Session } from './session.ts';

interface Entry {
  readonly session: Session;
  readonly principal: Principal;
}

export class Principals {
  readonly #admission: Admission;
  readonly #intake: Intake;
  readonly #clock: Clock;
  readonly #entriesMax: number;
  /** By token, in order of use; undefined is the developer without one, and '' a header that holds none. */
  readonly #entries = new Map<string | undefined, Entry>();

  constructor(admission: Admission, intake: Intake, clock: Clock, entriesMax: number) {
    this.#admission = admission;
    this.#intake = intake;
    this.#clock = clock;
    this.#entriesMax = entriesMax;
  }

  get size(): number {
    return this.#entries.size;
  }

  /**
   * Calls `use` with the token's session, at once when the token is known. A session may leave the cache as soon as
   * `use` returns, so nobody keeps it without a call in flight.
   * @throws AppError UNAUTHORIZED, also as a rejection
   */
  withSession(token: string | undefined, use: (session: Session) => void): Promise<void> | undefined {
    const known = this.#find(token);
    if (known !== undefined) {
      use(known);
      return undefined;
    }
    const admitted = this.#admission.admit(token);
    if (admitted instanceof Promise) return admitted.then((principal) => use(this.#remember(token, principal)));
    use(this.#remember(token, admitted));
    return undefined;
  }

  /** Lets go of tokens that expired or were revoked: the next request with one is verified anew. */
  sweep(nowMs: number, revocations?: Revocations): void {
    for (const [token, entry] of this.#entries) {
      const { principal } = entry;
      if (principal.expiresMs <= nowMs || revocations?.has(principal)) this.#drop(token, entry);
    }
  }

  #find(token: string | undefined): Session | undefined {
    const entry = this.#entries.get(token);
    if (entry === undefined) return undefined;
    if (entry.principal.expiresMs <= this.#clock.now()) {
      this.#drop(token, entry);
      return undefined;
    }
    this.#entries.delete(token);
    this.#entries.set(token, entry);
    return entry.session;
  }

  #remember(token: string | undefined, principal: Principal): Session {
    // Another request with the same token may have been verified meanwhile.
    const known = this.#find(token);
    if (known !== undefined) return known;
    for (const [oldest, entry] of this.#entries) {
      if (this.#entries.size < this.#entriesMax) break;
      this.#drop(oldest, entry);
    }
    const session = this.#intake.openSession(principal, 'http', false);
    this.#entries.set(token, { session, principal });
    return session;
  }

  #drop(token: string | undefined, { session }: Entry): void {
    this.#entries.delete(token);
    this.#intake.retireSession(session);
  }
}
