/**
 * Renews the token of one open connection before it expires: fetches a new one and sends it in an `auth` frame. What
 * fails is tried again with growing delays until the server closes the connection (4401); the rest is the reconnect's.
 *
 * Of a token only `exp` is read, unverified: a wrong time costs a renewal at the wrong moment and nothing else. A token that
 * cannot be read, or that has expired by this machine's clock and was accepted all the same, is left alone.
 *
 * Invariants: one timer or one request at a time · at least 1 s between two requests.
 */
import { Backoff } from './backoff.ts';
import type { Cancel, Clock } from './clock.ts';

export interface TokenRefreshOptions {
  readonly clock: Clock;
  readonly fetchToken: () => Promise<string>;
  readonly send: (text: string) => unknown;
  readonly report: (error: unknown) => void;
}

const pauseMsMin = 1000;
/** Renewal comes at most this long before the expiry, and at most a fifth of the life that is left. */
const marginMsMax = 60_000;
const marginShareMax = 0.2;

export class TokenRefresh {
  readonly #options: TokenRefreshOptions;
  readonly #backoff: Backoff;
  /** Sent, and not confirmed. */
  #sent: string | undefined;
  #cancel: Cancel = () => {};
  #over = false;

  constructor(token: string, options: TokenRefreshOptions) {
    this.#options = options;
    this.#backoff = new Backoff({ baseMs: 1000, capMs: 30_000 }, () => options.clock.random());
    this.#plan(token);
  }

  /** The server took the new token. */
  confirm(): void {
    if (this.#sent === undefined) return;
    this.#backoff.reset();
    this.#plan(this.#sent);
  }

  /** The server did not. */
  refuse(error: unknown): void {
    this.#options.report(error);
    this.#planAgain();
  }

  stop(): void {
    this.#over = true;
    this.#cancel();
  }

  #plan(token: string): void {
    this.#sent = undefined;
    const { clock } = this.#options;
    const lifeMs = (expiryOf(token) ?? 0) * 1000 - clock.wallMs();
    if (lifeMs <= 0) return;
    const marginMs = Math.min(marginMsMax, lifeMs * marginShareMax);
    // Between half of the margin and all of it, so that clients which came together do not renew together.
    this.#after(lifeMs - marginMs * (1 - clock.random() / 2));
  }

  #planAgain(): void {
    this.#sent = undefined;
    this.#after(pauseMsMin + this.#backoff.nextDelayMs());
  }

  #after(delayMs: number): void {
    this.#cancel();
    this.#cancel = this.#options.clock.after(Math.max(delayMs, pauseMsMin), () => void this.#renew());
  }

  async #renew(): Promise<void> {
    try {
      const token = await this.#options.fetchToken();
      if (this.#over) return;
      this.#sent = token;
      this.#options.send(JSON.stringify({ type: 'auth', token }));
    } catch (error) {
      if (!this.#over) this.refuse(error);
    }
  }
}

/** Seconds since 1970, or undefined when the token is no JWT that says when it expires. */
function expiryOf(token: string): number | undefined {
  try {
    const text = atob((token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/'));
    const { exp } = JSON.parse(text) as { exp?: unknown };
    return typeof exp === 'number' ? exp : undefined;
  } catch {
    return undefined;
  }
}
