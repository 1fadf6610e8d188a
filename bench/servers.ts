/**
 * The servers that are compared, each in its own process: the bare echo, Fermata through its shipped command (with and
 * without backups), the naive design. They live for one scenario; those not under load are idle.
 *
 * Fermata runs with its defaults but for one: the limit of 1,000 messages per second and connection is off, because one
 * connection of the generator stands for a client that may do more.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { mintToken } from '../src/gateway/auth-mint.ts';
import type { AuthConfig } from '../src/host/config.ts';
import { makeFolder, removeFolder } from './children.ts';
import { NatsCluster } from './nats-cluster.ts';
import { ServerProcess } from './server-process.ts';

/**
 * `archiving` is Fermata with a backup interval: what is committed goes to the archived log as well. `nats` is gateway and
 * runtime in processes of their own.
 */
export type ServerName = 'echo' | 'fermata' | 'archiving' | 'naive' | 'nats';

const root = join(import.meta.dirname, '..');
const secret = randomBytes(32).toString('base64url');
const auth: AuthConfig = {
  secret,
  jwksUrl: undefined,
  jwksFile: undefined,
  issuer: 'fermata',
  audience: 'fermata',
  algorithms: ['HS256'],
  tenantClaim: 'tenant',
  queryToken: false,
  revokedFile: undefined,
};
const tokenTtlS = 3600;

export class Servers {
  readonly #dataDir: string;
  readonly #started = new Map<ServerName, ServerProcess>();
  readonly #tokens = new Map<string, string>();
  readonly #nodeOptions: string;
  #cluster: NatsCluster | undefined;

  /**
   * Data goes into a new folder below `dataRoot`, which is removed at the end. `nodeOptions` are for Fermata's Node; they
   * go by the environment, because its threads do not inherit options from the command line.
   */
  constructor(dataRoot: string, nodeOptions = '') {
    this.#dataDir = makeFolder(dataRoot, 'bench-');
    this.#nodeOptions = nodeOptions;
  }

  async start(names: Iterable<ServerName>): Promise<void> {
    for (const name of names) this.#started.set(name, await this.#launch(name));
  }

  get(name: ServerName): ServerProcess {
    const server = this.#started.get(name);
    if (server === undefined) throw new Error(`the server ${name} was not started`);
    return server;
  }

  /** A token for Fermata; the other servers ask for none. */
  async token(name: ServerName, tenant: string): Promise<string | undefined> {
    if (name === 'echo' || name === 'naive') return undefined;
    let token = this.#tokens.get(tenant);
    if (token === undefined) {
      token = await mintToken(auth, secret, { tenant, sub: 'bench', ttlS: tokenTtlS, claims: {} });
      this.#tokens.set(tenant, token);
    }
    return token;
  }

  async stop(): Promise<void> {
    await this.#cluster?.stop();
    await Promise.all([...this.#started.values()].map((server) => server.stop()));
    removeFolder(this.#dataDir);
  }

  async #launch(name: ServerName): Promise<ServerProcess> {
    const env = { AUTH_JWT_SECRET: secret, NODE_OPTIONS: this.#nodeOptions };
    switch (name) {
      case 'nats':
        this.#cluster = await NatsCluster.start(join(this.#dataDir, name), env);
        return this.#cluster.gateway;
      case 'echo':
        return ServerProcess.start({ name, args: [join(root, 'bench/echo.ts')], channel: true });
      case 'naive':
        return ServerProcess.start({
          name,
          args: [join(root, 'bench/naive.ts'), join(this.#dataDir, 'naive.db')],
          channel: true,
        });
      case 'fermata':
      case 'archiving':
        return ServerProcess.start({
          name,
          args: [
            join(root, 'src/cli/main.ts'),
            'serve',
            join(root, 'bench/apps/bench.ts'),
            '--port',
            '0',
            '--data-dir',
            join(this.#dataDir, name),
            '--limit',
            'messagesPerSecond=0',
            ...(name === 'archiving' ? ['--backup-interval', '1h'] : []),
          ],
          env,
          channel: false,
        });
    }
  }
}
