/**
 * The batch: every turn that ended since the last commit, and everything that they want to say to the world.
 *
 *   turns ── stage entry, replies, patches, events ──▶ Batch ── commit: one fsync ──▶ journal
 *                                                        │ only then
 *                                                        ├──▶ gateways (frames, in the order of the turns)
 *                                                        └──▶ keeper (the row as committed)
 *
 * This is the output gate: nothing staged here leaves before the commit of all that it could have seen, the replies of
 * reads included. If the commit fails, nothing of it leaves at all: callers get `unknown` (or `rejected` when the store
 * is certain that nothing was kept) and the shard drops every actor involved, to load it again from disk.
 */
import type { Logger } from '../host/log.ts';
import { AppError, type ErrorBody } from '../protocol/errors.ts';
import type { JournalEntry, JournalRow, Keeper } from '../storage/contract.ts';
import type { Journal } from '../storage/journal.ts';
import { CommitError } from '../storage/transaction.ts';
import type { ShardLink } from '../transport/contract.ts';
import type { Activation } from './activation.ts';
import { Frames } from './frames.ts';
import type { Waiter } from './outcomes.ts';
import type { Session } from './sessions.ts';

export interface BatchParts {
  readonly journal: Journal;
  readonly keeper: Keeper;
  readonly link: ShardLink;
  readonly log: Logger;
  /** Called after a failed commit with every actor that had a part in the batch, and the sessions that had just connected. */
  readonly onLost: (activations: ReadonlySet<Activation>, connected: readonly Connection[]) => void;
  /** Called when a commit that had been given up turned out to be on disk: what is in memory may be older. */
  readonly onAdopted: () => void;
}

export interface Connection {
  readonly activation: Activation;
  readonly session: Session;
}

export class Batch {
  readonly #parts: BatchParts;
  readonly #frames: Frames;
  #entries: JournalEntry[] = [];
  #durable = false;
  #activations = new Set<Activation>();
  #answered: Waiter[] = [];
  #connected: Connection[] = [];
  #turns = 0;
  #writable = true;

  constructor(parts: BatchParts) {
    this.#parts = parts;
    this.#frames = new Frames(parts.link);
  }

  /** False after the store failed, until `probe` finds it working: turns that change something are refused meanwhile. */
  get writable(): boolean {
    return this.#writable;
  }

  get empty(): boolean {
    return this.#turns === 0;
  }

  involves(activation: Activation): boolean {
    return this.#activations.has(activation);
  }

  /** Every turn is staged, also one that changed nothing: its reply must wait for what it saw. */
  stage(activation: Activation, entry: JournalEntry | undefined): void {
    this.#turns += 1;
    this.#activations.add(activation);
    if (entry === undefined) return;
    this.#entries.push(entry);
    if (activation.definition.durability === 'durable') this.#durable = true;
  }

  stageConnected(activation: Activation, session: Session): void {
    this.#connected.push({ activation, session });
  }

  /** `result` is JSON text or ''; `seq` is told to readers of the state. */
  reply(to: Waiter, result: string, durable: boolean, seq = 0): void {
    this.#answered.push(to);
    this.#frames.of(to.session.gateway).add('K', to.call, durable ? 1 : 0, seq, result);
  }

  replyError(to: Waiter, error: ErrorBody): void {
    this.#answered.push(to);
    this.#frames.of(to.session.gateway).add('E', to.call, 0, 0, JSON.stringify(error));
  }

  send(session: Session, text: string, additionsOnly = false): void {
    if (!session.ended) this.#frames.of(session.gateway).add('M', session.number, additionsOnly ? 1 : 0, 0, text);
  }

  join(session: Session, topic: number): void {
    this.#frames.of(session.gateway).add('S', session.number, topic, 0, '');
  }

  leave(session: Session, topic: number): void {
    this.#frames.of(session.gateway).add('U', session.number, topic, 0, '');
  }

  publish(gateways: Iterable<number>, topic: number, text: string): void {
    for (const gateway of gateways) this.#frames.of(gateway).add('P', topic, 0, 0, text);
  }

  /** One transaction for everything staged; then, and only then, it all leaves. */
  commit(): void {
    if (this.#turns === 0) return;
    if (this.#entries.length > 0) {
      try {
        this.#parts.keeper.committed(this.#parts.journal.commit(this.#entries, this.#durable ? 'durable' : 'process'));
      } catch (error) {
        this.#lose(error);
        return;
      }
    }
    this.#frames.send();
    this.#reset();
  }

  /** For quiet moments: the journal deletes what the keeper holds, and syncs what was committed without fsync. */
  flush(): void {
    try {
      this.#parts.journal.flush();
    } catch (error) {
      this.#writable = false;
      this.#parts.log.error(
        { err: error },
        'the journal cannot be written; calls that change state are refused until it can',
      );
    }
  }

  /** Tries a store that failed; true when it works again. */
  probe(): boolean {
    try {
      if (this.#adoptUnknownRows()) this.#parts.onAdopted();
      this.#parts.journal.probe();
      this.#writable = true;
      this.#parts.log.info('the journal can be written again; calls that change state are accepted');
    } catch (error) {
      this.#parts.log.debug({ err: error }, 'the journal still cannot be written');
    }
    return this.#writable;
  }

  #lose(error: unknown): void {
    const certain = error instanceof CommitError && error.outcome === 'rolled-back';
    const answer = certain
      ? new AppError('READ_ONLY', 'The store refused the write; nothing changed', { retryAfterMs: 1000 })
      : new AppError('UNKNOWN', 'The store failed while the call was being committed; repeat it with the same key', {
          retryAfterMs: 1000,
        });
    this.#parts.log.error(
      { err: error, turns: this.#turns, outcome: certain ? 'rejected' : 'unknown' },
      'a commit failed; its actors are loaded again from disk. Hint: check free space and health of the disk under the data directory',
    );
    this.#writable = false;
    const activations = this.#activations;
    const connected = this.#connected;
    const answered = this.#answered;
    this.#frames.drop();
    this.#reset();
    try {
      this.#adoptUnknownRows();
    } catch (reopening) {
      this.#parts.log.error({ err: reopening }, 'the journal cannot be opened again yet; it is tried every second');
    }
    for (const { session, call } of answered)
      this.#frames.of(session.gateway).add('E', call, 0, 0, JSON.stringify(answer.toBody()));
    this.#frames.send();
    this.#parts.onLost(activations, connected);
  }

  /** A commit that failed may still lie on disk; then the keeper must know it, or memory and disk would differ. */
  #adoptUnknownRows(): boolean {
    const rows: JournalRow[] = this.#parts.journal.reopen();
    for (const row of rows) this.#parts.keeper.committed(row);
    return rows.length > 0;
  }

  #reset(): void {
    this.#entries = [];
    this.#durable = false;
    this.#activations = new Set();
    this.#answered = [];
    this.#connected = [];
    this.#turns = 0;
  }
}
