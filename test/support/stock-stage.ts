/**
 * What a test of the base protocol has running: in-process servers and stock clients. At its end every client must have
 * heard nothing but the base set.
 */
import type { AppDefinition } from '../../src/actor/definition.ts';
import { serve, type ServeOptions, type TestServer } from '../../src/testing/serve.ts';
import { StockClient, type StockOptions } from './stock-client.ts';
import type { StockHandle } from './stock-handle.ts';
import { eventually } from './wait.ts';

export class StockStage {
  readonly #servers: TestServer[] = [];
  readonly #clients: StockClient[] = [];

  serve(app: AppDefinition, options: ServeOptions = {}): TestServer {
    const server = serve(app, options);
    this.#servers.push(server);
    return server;
  }

  /** Not connected yet. */
  client(
    address: string,
    { token, ...options }: Omit<StockOptions, 'url'> & { readonly token?: string } = {},
  ): StockClient {
    const query = token === undefined ? '' : `?token=${token}`;
    const client = new StockClient({ ...options, url: `${address.replace(/^http/, 'ws')}/ws${query}` });
    this.#clients.push(client);
    return client;
  }

  /** Settles when the client knows its id. */
  async connect(address: string, options: { readonly token?: string } & Omit<StockOptions, 'url'> = {}) {
    const client = this.client(address, options);
    await eventually('welcome', () => client.clientId !== null);
    return client;
  }

  /** @throws Error naming what clients heard and should not have */
  async end(): Promise<void> {
    const clients = this.#clients.splice(0);
    for (const client of clients) client.close();
    await Promise.all(this.#servers.splice(0).map((server) => server.close()));
    const violations = clients.flatMap((client) => client.violations);
    if (violations.length > 0) throw new Error(`not of the base set:\n${violations.join('\n')}`);
  }
}

/**
 * Everything that the server had to say about this actor before now has come: what it answers a call with comes after it.
 * The actor needs a method `nothing`.
 */
export async function settled(handle: StockHandle): Promise<void> {
  await handle.call('nothing');
}
