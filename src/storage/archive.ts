/** What the keeper asks of whoever archives committed rows for backups. It stores them in its own time, which is short. */
import type { JournalRow } from './contract.ts';

export interface Archive {
  /** Takes a row over, in the order of its shard. */
  add(shard: number, row: JournalRow): void;
  /** The last row of a shard up to which everything is stored, or was given up; journals may forget them. */
  storedTo(shard: number): number;
  /** Called when `storedTo` has moved. */
  onStored(handler: () => void): void;
  /** Settles when everything that was added by now is stored or given up. Never rejects. */
  flush(): Promise<void>;
  /** The tenant's entries from now on lie in the segment with this number or a later one. */
  begin(tenant: string): Promise<number>;
  /** What comes from now on does not follow from what is stored: the tenant's past is exchanged. Never rejects. */
  breakOff(tenant: string): Promise<void>;
}
