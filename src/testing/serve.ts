/**
 * `fermata/testing`: a whole server in the test's own thread, for suites that speak with it over real sockets.
 *
 *     import { serve } from 'fermata/testing';
 *
 *     const server = serve(app);
 *     const client = createClient<typeof app>({ url: server.url });
 *     …
 *     await server.close();
 *
 * The same gateway, shard, journal and keeper as `fermata serve`, one of each, joined by the same ports; only threads,
 * configuration and supervision are missing. It is in development mode: calls without a token belong to tenant `dev`, those
 * with one of `server.token()` to its tenant. Data lies in a temporary directory that `close` removes.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import type { AppDefinition } from '../actor/definition.ts';
import { createVerifier, type Verify } from '../gateway/auth.ts';
import { mintToken } from '../gateway/auth-mint.ts';
import { openGateway } from '../gateway/gateway.ts';
import { systemClock } from '../host/clock.ts';
import type { AuthConfig } from '../host/config.ts';
import { createLog, type LogLevel, type Logger } from '../host/log.ts';
import { Phase } from '../host/phase.ts';
import { Vitals } from '../host/vitals.ts';
import { checkLimits, defaultLimits, type Limits } from '../protocol/limits.ts';
import { Shard } from '../runtime/shard.ts';
import { Journal } from '../storage/journal.ts';
import { KeeperCore } from '../storage/keeper.ts';
import { keeperPort, serveKeeper } from '../storage/keeper-port.ts';
import { DataDirLock } from '../storage/lock.ts';
import { journalPath } from '../storage/paths.ts';
import { recover } from '../storage/recovery.ts';
import { gatewayLink, layCables, shardLink } from '../transport/embedded.ts';

export interface ServeOptions {
  /** Default 0: a free one. */
  readonly port?: number;
  /** A data directory to keep, for tests of what survives a restart. By default a temporary one, removed by `close`. */
  readonly dataDir?: string;
  /** Bounds that differ from the defaults, such as `{ sessionGraceMs: 100 }`. */
  readonly limits?: Partial<Limits>;
  /** What is logged on stdout. Default `silent`. */
  readonly logLevel?: LogLevel;
}

export interface TestServer {
  readonly port: number;
  /** `http://127.0.0.1:<port>`, for `createClient` and `fetch` alike. */
  readonly url: string;
  readonly dataDir: string;
  /** A token that this server accepts, for an hour. Default: tenant `dev`, user `tester`. */
  token(who?: {
    readonly tenant?: string;
    readonly sub?: string;
    readonly claims?: Record<string, unknown>;
  }): Promise<string>;
  /** Ends as SIGTERM would: calls are answered, hooks run, files are closed. Idempotent. */
  close(): Promise<void>;
}

const host = '127.0.0.1';

/** Serves from the moment that it returns. @throws Error when the port is taken, the data directory in use, a limit wrong */
export function serve(app: AppDefinition, options: ServeOptions = {}): TestServer {
  const limits = checkLimits({ ...defaultLimits, ...options.limits });
  const log = createLog({ level: options.logLevel ?? 'silent', pretty: false }, 'test-server');
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'fermata-test-'));
  const opened: Closer[] = [];
  if (options.dataDir === undefined) opened.push(() => rmSync(dataDir, { recursive: true, force: true }));
  try {
    const lock = DataDirLock.acquire(dataDir);
    opened.push(() => lock.release());
    return open(app, options.port ?? 0, { limits, dataDir, log }, opened);
  } catch (error) {
    void closeAll(opened);
    throw error;
  }
}

type Closer = () => unknown;

interface Ground {
  readonly limits: Limits;
  readonly dataDir: string;
  readonly log: Logger;
}

/** `opened` is what closes, last first, what was opened so far. */
function open(app: AppDefinition, port: number, { limits, dataDir, log }: Ground, opened: Closer[]): TestServer {
  const clock = systemClock;
  const boot = clock.id();
  const secret = randomBytes(32).toString('hex');
  const keeper = new KeeperCore({ dataDir, limits, log, clock, boot });
  opened.push(() => keeper.close());
  recover(dataDir, keeper, 1, log);
  const journal = Journal.open(journalPath(dataDir, 0));
  const toKeeper = new MessageChannel();
  opened.push(serveKeeper(keeper, toKeeper.port1, 0, log));
  const { toShards, toGateways } = layCables(1, 1);
  const shard = new Shard({
    app,
    journal,
    keeper: keeperPort(toKeeper.port2),
    link: shardLink(toGateways[0]!),
    limits,
    clock,
    vitals: new Vitals(),
    log,
    restarted: false,
  });
  opened.push(() => shard.stop());
  const phase = new Phase();
  const link = gatewayLink(toShards[0]!);
  opened.push(() => link.close());
  const gateway = openGateway(
    {
      index: 0,
      host,
      port,
      exclusivePort: true,
      gateways: 1,
      boot,
      config: { dev: true, allowedOrigins: [], auth, limits },
      link,
      phase,
      log,
      clock,
    },
    verifier(secret, log),
  );
  phase.set('ready');
  void keeper.closeStale(1);

  let closing: Promise<void> | undefined;
  return {
    port: gateway.port,
    url: `http://${host}:${gateway.port}`,
    dataDir,
    token: ({ tenant = 'dev', sub = 'tester', claims = {} } = {}) =>
      mintToken(auth, secret, { tenant, sub, ttlS: 3600, claims }),
    close: () => (closing ??= close()),
  };

  async function close(): Promise<void> {
    phase.set('draining');
    gateway.stopListening();
    gateway.announceShutdown(0);
    await gateway.settled();
    await shard.drain();
    await gateway.close(flushMsMax);
    await shard.deactivateAll();
    keeper.flush();
    await closeAll(opened);
  }
}

async function closeAll(opened: readonly Closer[]): Promise<void> {
  for (const close of opened.toReversed()) await close();
}

const flushMsMax = 500;

const auth: AuthConfig = {
  secret: undefined,
  jwksUrl: undefined,
  jwksFile: undefined,
  issuer: 'fermata',
  audience: 'fermata',
  algorithms: ['HS256'],
  tenantClaim: 'tenant',
  queryToken: true,
  revokedFile: undefined,
};

/** Keys are read in the background; a secret needs no file and no network. */
function verifier(secret: string, log: Logger): Verify {
  const made = createVerifier(auth, secret, systemClock, log);
  return async (token) => await (await made)(token);
}
