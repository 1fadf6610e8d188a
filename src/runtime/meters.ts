/** What a shard counts. Owned by `Shard`, told to main when it asks. */
import { Histogram, type Sample, sample, samples } from '../host/meters.ts';

/** What can be looked up when somebody asks. */
export interface ShardState {
  readonly actors: number;
  /** Characters of states and what goes with them. */
  readonly stateChars: number;
  readonly journalRows: number;
  readonly journalBytes: number;
  readonly writable: boolean;
}

export class ShardMeters {
  activations = 0;
  evictions = 0;
  patches = 0;
  commitFailures = 0;
  /** What waits in mailboxes; each mailbox adds and takes off its own. */
  mailboxItems = 0;
  readonly #turns = new Histogram('fermata_turn_duration_seconds');
  readonly #commits = new Histogram('fermata_commit_duration_seconds');
  readonly #commitCalls = new Histogram('fermata_commit_calls');

  turnEnded(ms: number): void {
    this.#turns.observe(ms / 1000);
  }

  /** `calls`: answers that waited for it. */
  committed(ms: number, calls: number): void {
    this.#commits.observe(ms / 1000);
    this.#commitCalls.observe(calls);
  }

  samples(shard: string, state: ShardState): Sample[] {
    return [
      sample('fermata_actors', state.actors),
      sample('fermata_actor_state_bytes', state.stateChars),
      sample('fermata_activations_total', this.activations),
      sample('fermata_evictions_total', this.evictions),
      sample('fermata_mailbox_items', this.mailboxItems),
      this.#turns.sample(),
      this.#commits.sample(),
      this.#commitCalls.sample(),
      sample('fermata_commit_failures_total', this.commitFailures),
      sample('fermata_patches_total', this.patches),
      sample('fermata_journal_rows', state.journalRows),
      sample('fermata_journal_bytes', state.journalBytes),
      samples('fermata_journal_writable', 'shard', [[shard, state.writable ? 1 : 0]]),
    ];
  }
}
