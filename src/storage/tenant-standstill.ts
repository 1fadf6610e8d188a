/**
 * Brings tenants to a stand: shards drop their actors, and everything that was committed of them is in their files alone.
 *
 *   drop ─▶ fence: everything that was committed is here ─▶ all of it is written, archived
 *        ─▶ fence: the shards delete those rows from their journals
 *
 * A row that stayed in a journal would be replayed at the next start, into whatever file lies there then; hence the second
 * fence, and hence an error when any step before it fails.
 */
import type { Archive } from './archive.ts';
import type { FailingTenants } from './failing-tenants.ts';
import { OperationError } from './operation-error.ts';
import type { Pending } from './pending.ts';
import type { ShardListeners } from './shard-listeners.ts';

export interface TenantStandstillParts {
  readonly pending: Pending;
  readonly listeners: ShardListeners;
  readonly failing: FailingTenants;
  readonly archive: Archive | undefined;
  /** Writes everything that is here. @returns false when a journal is still needed for some of it */
  readonly catchUp: () => Promise<boolean>;
}

export interface Standstill {
  readonly concerns: (tenant: string) => boolean;
  /** All of them must be in service. */
  readonly shards: number;
  /** Tells the shards what to drop. */
  readonly drop: () => void;
}

export class TenantStandstill {
  readonly #parts: TenantStandstillParts;

  constructor(parts: TenantStandstillParts) {
    this.#parts = parts;
  }

  /** When it settles, no actor of the tenants is in memory, and no journal holds a row of them. @throws OperationError */
  async reach({ concerns, shards, drop }: Standstill): Promise<void> {
    const { listeners, pending, failing, catchUp } = this.#parts;
    drop();
    await listeners.fence(shards, false);
    const received = Array.from({ length: shards }, (_, shard) => pending.received(shard));
    const caughtUp = await catchUp();
    const waits = [...pending.tenants.keys()].some(concerns);
    const isBehind = waits || received.some((seq, shard) => pending.synced(shard) < seq);
    const hasSpilled = [...failing.names].some((tenant) => concerns(tenant) && failing.hasSpilled(tenant));
    if ((!caughtUp && isBehind) || waits || hasSpilled)
      throw new OperationError(
        'not everything that was committed could be written',
        'The log says why; try again then.',
      );
    const forgotten = await listeners.fence(shards, true);
    if (forgotten.some((seq, shard) => seq < received[shard]!))
      throw new OperationError('a journal could not be written', 'The log says why; try again then.');
  }

  /** What is archived of the tenant from now on does not follow from what was. */
  async breakOff(tenant: string): Promise<void> {
    await this.#parts.archive?.breakOff(tenant);
  }
}
