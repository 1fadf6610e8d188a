/** What the keeper counts. Owned by `KeeperCore`, told to main when it asks. */
import { Histogram, type Sample, sample } from '../host/meters.ts';

/** What can be looked up when somebody asks. */
export interface KeeperCounts {
  readonly filesOpen: number;
  readonly readOnly: number;
  readonly pendingActors: number;
}

export class KeeperMeters {
  /** Tenants and actors that were closed off. */
  quarantined = 0;
  readonly #writes = new Histogram('fermata_tenant_write_duration_seconds');

  wrote(ms: number): void {
    this.#writes.observe(ms / 1000);
  }

  samples(counts: KeeperCounts): Sample[] {
    return [
      sample('fermata_tenant_files_open', counts.filesOpen),
      sample('fermata_tenants_read_only', counts.readOnly),
      sample('fermata_keeper_pending_actors', counts.pendingActors),
      sample('fermata_quarantined', this.quarantined),
      this.#writes.sample(),
    ];
  }
}
