/**
 * Which web pages may talk to this server. Exact match of scheme, host and port; no patterns.
 *
 * A request without Origin comes from no page (or from one of the same origin) and is judged by its token alone. In
 * development, where no token is needed, pages and the Host header must be of this machine: that keeps other sites'
 * pages, and names that were rebound to 127.0.0.1, out of a developer's server.
 */
export class Origins {
  readonly #allowed: ReadonlySet<string>;
  readonly #anyLoopback: boolean;

  constructor(allowedOrigins: readonly string[], dev: boolean) {
    this.#allowed = new Set(allowedOrigins);
    this.#anyLoopback = dev && allowedOrigins.length === 0;
  }

  /** `origin` is '' when the request had none. */
  allows(origin: string): boolean {
    if (origin === '' || this.#allowed.has(origin)) return true;
    return this.#anyLoopback && URL.canParse(origin) && isLoopback(new URL(origin).hostname);
  }

  allowsHost(host: string): boolean {
    if (!this.#anyLoopback) return true;
    const url = `http://${host}`;
    return host === '' || (URL.canParse(url) && isLoopback(new URL(url).hostname));
  }
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}
