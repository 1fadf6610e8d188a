/**
 * The life of the keeper thread: recover, then serve the shards' ports, flush, stop. Main asks for each by name.
 *
 * Ports are served only after recovery: until then their messages wait, so that no shard is ever answered from a file
 * that a journal is ahead of.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { MessagePort } from 'node:worker_threads';
import { systemClock } from '../host/clock.ts';
import { createLog, type Logger, type LogOptions } from '../host/log.ts';
import { LoopDelay } from '../host/loop-delay.ts';
import { Progress } from '../host/progress.ts';
import type { Limits } from '../protocol/limits.ts';
import type { SessionRecord } from './contract.ts';
import type { Archive } from './archive.ts';
import { KeeperCore } from './keeper.ts';
import { serveKeeper } from './keeper-port.ts';
import { listTenants } from './inspect.ts';
import { recover, recoverShard } from './recovery.ts';
import type { GiveAwayRequest, WelcomeRequest } from './slot-transfer.ts';
import type { CopyRequest } from './tenant-copies.ts';
import type { ExchangeRequest } from './tenant-exchange.ts';

/** A stop waits so long for the backup target. What it has not taken by then is archived after the next start. */
const archiveMsMax = 1000;

export interface KeeperThreadData {
  readonly dataDir: string;
  readonly limits: Limits;
  readonly log: LogOptions;
  /** Id of this run of the process. */
  readonly boot: string;
  /** Memory of `Progress`: main looks at it while a replay runs. */
  readonly progress: SharedArrayBuffer;
  /** One per shard, by number. */
  readonly ports: readonly MessagePort[];
}

/**
 * The answers to main's questions:
 * - `recover` {shards} → Recovered; then the ports are served
 * - `connect` {shard, port} for a shard started anew after its thread died → {rows} that its journal held beyond
 * - `putSessions` SessionRecord[] → taken over; they are written with the next round
 * - `closeStale` {shards, only, tenants} → at once; in the background every tenant is searched for what a former process left, and
 *   the shards hear of it. `only`: the number of one shard whose thread was started anew; undefined for all.
 *   `tenants`: only these
 * - `flush` → whether everything is in tenant files; `synced` is on its way to the shards when it answers
 * - `stop` → the same, and all files are closed
 * - `tenants` → names of all tenants with data
 * - `copy` CopyRequest and `progress`, memory of `Progress` → Copied: tenant-copies.ts
 * - `stopCopies` → those under way end with an error
 * - `giveAway` GiveAwayRequest → the tenants that lie in the folder now; `welcome` WelcomeRequest → Welcomed: slot-transfer.ts
 * - `metrics` → Sample[]
 * - `exchange` ExchangeRequest → Exchanged: tenant-exchange.ts
 */
export function keeperThread(
  { dataDir, limits, log: logOptions, boot, ports, progress: progressMemory }: KeeperThreadData,
  openArchive: (log: Logger) => Archive | undefined,
): Record<string, (argument: unknown) => unknown> {
  const log = createLog(logOptions, 'keeper');
  const archive = openArchive(log);
  const loopDelay = new LoopDelay('keeper');
  const core = new KeeperCore({
    dataDir,
    limits,
    log,
    clock: systemClock,
    boot,
    ...(archive === undefined ? {} : { archive }),
  });
  const archived = (): Promise<unknown> =>
    Promise.race([archive?.flush(), sleep(archiveMsMax, undefined, { ref: false })]);
  const disconnect = new Map<number, () => void>();
  const progress = new Progress(progressMemory);
  return {
    recover(argument) {
      const { shards } = argument as { shards: number };
      const recovered = recover(dataDir, core, shards, log, (done, total) => progress.set(done, total));
      if (recovered.pending)
        log.warn(
          recovered,
          'a part of the journals is not in tenant files yet; it is answered from memory and written in the background',
        );
      for (const [shard, port] of ports.entries()) disconnect.set(shard, serveKeeper(core, port, shard, log));
      return recovered;
    },
    connect(argument) {
      const { shard, port } = argument as { shard: number; port: MessagePort };
      disconnect.get(shard)?.();
      const recovered = recoverShard(dataDir, core, shard, log);
      disconnect.set(shard, serveKeeper(core, port, shard, log));
      return recovered;
    },
    putSessions: (argument) => core.putSessions(argument as SessionRecord[]),
    closeStale(argument) {
      const { shards, only, tenants } = argument as { shards: number; only?: number; tenants?: readonly string[] };
      core.closeStale(shards, only, tenants).then(
        (found) => {
          if (found.tenants > 0)
            log.info(found, 'what a former process left was closed: sessions, and visitors of actors');
        },
        (error: unknown) => log.error({ err: error }, 'the search for what a former process left ended early'),
      );
    },
    tenants: () => listTenants(dataDir).map(({ tenant }) => tenant),
    copy(argument) {
      const { progress: memory, ...request } = argument as CopyRequest & { progress?: SharedArrayBuffer };
      const copied = memory === undefined ? undefined : new Progress(memory);
      return core.copies.copy(request, (pages, total) => copied?.set(pages, total));
    },
    stopCopies: () => core.copies.stop(),
    exchange: (argument) => core.exchange.exchange(argument as ExchangeRequest),
    giveAway: (argument) => core.transfer.giveAway(argument as GiveAwayRequest),
    welcome: (argument) => core.transfer.welcome(argument as WelcomeRequest),
    metrics: () => [...core.meters.samples(core.counts), loopDelay.sample()],
    async flush() {
      await archived();
      return core.flush();
    },
    async stop() {
      await archived();
      const clean = core.close();
      if (!clean)
        log.warn(
          'stopped with entries that tenant files could not take; they are safe beside them and replayed at the next start',
        );
      for (const end of disconnect.values()) end();
      return clean;
    },
  };
}
