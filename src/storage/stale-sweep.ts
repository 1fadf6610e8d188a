/**
 * After a start: looks into every tenant for what a former process left, and wakes the actors that still have its
 * visitors on their list, so that their `onDisconnect` can run.
 *
 *   tenants ── 4 per pause ──▶ opened, which ends their sessions ── 100 actors per pause ──▶ their shards load them
 *
 * It works beside everything else and slowly, because each step costs a file or a load that calls would wait for. An
 * actor that is woken for nothing is loaded and idle again, no more; so it may also run once more for a shard whose thread
 * was started anew.
 */
import { readdirSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import type { Clock } from '../host/clock.ts';
import type { Logger } from '../host/log.ts';
import { isTenant } from '../protocol/address.ts';
import { shardOf } from '../protocol/placement.ts';
import { dataPaths, look } from './paths.ts';
import { actorKey, type Pending } from './pending.ts';
import type { Quarantine } from './quarantine.ts';
import { hasVisitors } from './questions.ts';
import type { ShardListeners } from './shard-listeners.ts';
import type { TenantFiles } from './tenant-files.ts';
import type { TenantSessions } from './tenant-sessions.ts';

export interface StaleSweepParts {
  readonly dataDir: string;
  readonly files: TenantFiles;
  readonly pending: Pending;
  readonly quarantine: Quarantine;
  readonly listeners: ShardListeners;
  readonly sessions: TenantSessions;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What a former process left: tenants with any of it, their sessions that were not closed, actors that were told of. */
export interface StaleFound {
  readonly tenants: number;
  readonly sessions: number;
  readonly actors: number;
}

interface ActorName {
  readonly type: string;
  readonly id: string;
}

const pauseMs = 20;
const tenantsPerPause = 4;
const actorsPerPause = 100;

export class StaleSweep {
  readonly #parts: StaleSweepParts;
  #stopped = false;

  constructor(parts: StaleSweepParts) {
    this.#parts = parts;
  }

  /** Never touches a file again. */
  stop(): void {
    this.#stopped = true;
  }

  /** Tells the shards, of which there are `shards`; `only` one of them, and of some `tenants`, when they are given. */
  async run(shards: number, only?: number, tenants: Iterable<string> = this.#tenants()): Promise<StaleFound> {
    const told = new Map<string, number>();
    let tenantsLeft = tenantsPerPause;
    let actorsLeft = actorsPerPause;
    const pause = async (): Promise<void> => {
      await wait(pauseMs);
      tenantsLeft = tenantsPerPause;
      actorsLeft = actorsPerPause;
    };
    for (const tenant of tenants) {
      if (tenantsLeft === 0) await pause();
      if (this.#stopped) break;
      tenantsLeft -= 1;
      for (const { type, id } of this.#actors(tenant)) {
        const shard = shardOf(tenant, type, id, shards);
        if (only !== undefined && shard !== only) continue;
        if (actorsLeft === 0) await pause();
        // A shard whose thread just died has nobody who listens.
        while (!this.#stopped && !this.#parts.listeners.stale(shard, { tenant, type, id })) await pause();
        if (this.#stopped) break;
        told.set(tenant, (told.get(tenant) ?? 0) + 1);
        actorsLeft -= 1;
      }
    }
    const { stale } = this.#parts.sessions;
    return { tenants: new Set([...told.keys(), ...stale.keys()]).size, sessions: sum(stale), actors: sum(told) };
  }

  #tenants(): Set<string> {
    const { tenants } = dataPaths(this.#parts.dataDir);
    const names = look(tenants) === undefined ? [] : readdirSync(tenants).filter(isTenant);
    return new Set([...names, ...this.#parts.pending.tenants.keys()]);
  }

  /** Its actors with visitors. Where the file cannot be read it ends early: whoever loads an actor will hear of that. */
  *#actors(tenant: string): Generator<ActorName> {
    const { files, pending, quarantine, log } = this.#parts;
    try {
      if (quarantine.reason(tenant) !== undefined) return;
      const wasOpen = files.isOpen(tenant);
      const waiting = new Map(
        [...(pending.tenants.get(tenant)?.actors ?? [])].filter(([, { trail }]) => trail !== undefined),
      );
      for (const actor of waiting.values()) {
        const file = this.#open(tenant);
        if (hasVisitors(actor, { file, pending: actor })) yield actor;
      }
      for (let after: ActorName | undefined = { type: '', id: '' }; after !== undefined; ) {
        const page: readonly ActorName[] = this.#open(tenant)?.visitors.actorsAfter(after, actorsPerPause) ?? [];
        for (const actor of page) if (!waiting.has(actorKey(actor.type, actor.id))) yield actor;
        after = page.length < actorsPerPause ? undefined : page.at(-1);
      }
      // A copy that began meanwhile needs it open.
      if (!wasOpen && !files.isPinned(tenant)) files.giveUp(tenant);
    } catch (error) {
      log.warn({ tenant, err: error }, 'a tenant could not be searched for visitors that a former process left');
      files.giveUp(tenant);
    }
  }

  #open(tenant: string) {
    return this.#parts.files.open(tenant, { create: false, nowMs: this.#parts.clock.now() });
  }
}

function sum(counts: ReadonlyMap<string, number>): number {
  let total = 0;
  for (const count of counts.values()) total += count;
  return total;
}
