/**
 * The batch: every turn that ended since the last commit, and everything that they want to say to the world.
 *
 *   turns ── stage change, outcome, outputs ──▶ Batch ── commit: one fsync ──▶ journal
 *                                                 │ only then
 *                                                 ├──▶ gateways (frames, in the order of the turns)
 *                                                 └──▶ keeper (the row as committed)
 *
 * This is the output gate: nothing staged here leaves before the commit of all that it could have seen, the replies of
 * reads included. If the commit fails, nothing of it leaves at all: callers get `unknown` (or `rejected` when the store
 * is certain that nothing was kept) and the shard drops every actor involved, to load it again from disk. Actors that
 * live in memory only take no part: they have nothing to commit and cannot see what others have not committed yet.
 */
import type { Logger } from '../host/log.ts';
import { AppError, type ErrorBody } from '../protocol/errors.ts';
import { noTrace, traceFields } from '../protocol/trace.ts';
import type { JournalEntry, JournalRow, Keeper } from '../storage/contract.ts';
import type { Journal } from '../storage/journal.ts';
import { LostRowsError } from '../storage/lost-rows-error.ts';
import { CommitError } from '../storage/transaction.ts';
import type { ShardLink } from '../transport/contract.ts';
import type { Activation } from './activation.ts';
import type { SubscribeItem } from './mailbox.ts';
import type { ShardMeters } from './meters.ts';
import { Outputs } from './outputs.ts';
import type { Waiter } from './outcomes.ts';
import type { Session } from './sessions.ts';
import { Staged } from './staged.ts';

export interface BatchParts {
  readonly journal: Journal;
  readonly keeper: Keeper;
  readonly link: ShardLink;
  readonly log: Logger;
  readonly meters: ShardMeters;
  readonly monotonic: () => number;
  readonly onLost: (lost: LostBatch) => void;
  /** Called when a commit that had been given up turned out to be on disk: what is in memory may be older. */
  readonly onAdopted: () => void;
}

/** What a failed commit took with it. */
export interface LostBatch {
  readonly activations: Iterable<Activation>;
  /** Their `onConnect` was lost. */
  readonly connected: readonly Visit[];
  /** Their `onDisconnect` was lost. */
  readonly disconnected: readonly Visit[];
  /** What they were to be sent was lost. */
  readonly subscribed: readonly Subscribed[];
}

export interface Subscribed {
  readonly activation: Activation;
  readonly item: SubscribeItem;
}

export interface Visit {
  readonly activation: Activation;
  readonly session: Session;
}

export class Batch {
  readonly #parts: BatchParts;
  readonly #outputs: Outputs;
  #staged = new Map<Activation, Staged>();
  #answered: Waiter[] = [];
  #connected: Visit[] = [];
  #disconnected: Visit[] = [];
  #subscribed: Subscribed[] = [];
  #left: { readonly session: Session; readonly topic: number }[] = [];
  #writable = true;

  constructor(parts: BatchParts) {
    this.#parts = parts;
    this.#outputs = new Outputs(parts.link);
  }

  /** False after the store failed, until `probe` finds it working: turns that change something are refused meanwhile. */
  get writable(): boolean {
    return this.#writable;
  }

  get empty(): boolean {
    return this.#staged.size === 0;
  }

  /** Characters that wait to leave. */
  get chars(): number {
    return this.#outputs.chars;
  }

  involves(activation: Activation): boolean {
    return this.#staged.has(activation);
  }

  /** Every turn is staged, also one that changed nothing: its reply must wait for what it saw. */
  stage(activation: Activation): Staged {
    let staged = this.#staged.get(activation);
    if (staged === undefined) this.#staged.set(activation, (staged = new Staged()));
    return staged;
  }

  stageConnected(visit: Visit): void {
    this.#connected.push(visit);
  }

  stageDisconnected(visit: Visit): void {
    this.#disconnected.push(visit);
  }

  stageSubscribed(subscribed: Subscribed): void {
    this.#subscribed.push(subscribed);
  }

  reply(to: Waiter, result: string, durable: boolean, seq = 0): void {
    this.#answered.push(to);
    this.#outputs.reply(to, result, durable, seq);
  }

  replyError(to: Waiter, error: ErrorBody): void {
    this.#answered.push(to);
    this.#outputs.replyError(to, error);
  }

  send(session: Session, text: string): void {
    this.#outputs.send(session, text);
  }

  sendAll(sessions: Iterable<Session>, text: string): void {
    this.#outputs.sendAll(sessions, text);
  }

  publish(gateways: Iterable<number>, topic: number, text: string): void {
    this.#outputs.publish(gateways, topic, text);
  }

  join(session: Session, topic: number): void {
    this.#outputs.join(session, topic);
  }

  leave(session: Session, topic: number): void {
    this.#left.push({ session, topic });
    this.#outputs.leave(session, topic);
  }

  /** One transaction for everything staged; then, and only then, it all leaves. */
  commit(): void {
    if (this.#staged.size === 0) return;
    const entries: JournalEntry[] = [];
    let durable = false;
    for (const [activation, staged] of this.#staged) {
      const before = entries.length;
      staged.addEntries(activation, entries);
      if (entries.length > before && activation.definition.durability === 'durable') durable = true;
    }
    let row: JournalRow | undefined;
    if (entries.length > 0) {
      const { journal, meters, monotonic } = this.#parts;
      const beganMs = monotonic();
      try {
        row = journal.commit(entries, durable ? 'durable' : 'process');
        meters.committed(monotonic() - beganMs, this.#answered.length);
      } catch (error) {
        this.#lose(error);
        return;
      }
    }
    // Answers first: callers wait for them, and the keeper need only hear of the row before the next question to it.
    this.#outputs.flush();
    if (row !== undefined) this.#parts.keeper.committed(row);
    for (const [activation, staged] of this.#staged) activation.committed(staged);
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
      const level = error instanceof LostRowsError ? 'error' : 'debug';
      this.#parts.log[level]({ err: error }, 'the journal still cannot be written');
    }
    return this.#writable;
  }

  #lose(error: unknown): void {
    const certain = error instanceof CommitError && error.outcome === 'rolled-back';
    const answer = (certain ? nothingChanged : mayHaveHappened).toBody();
    this.#parts.log.error(
      { err: error, actors: this.#staged.size, outcome: answer.outcome, calls: tracedCalls(this.#answered) },
      'a commit failed; its actors are loaded again from disk. Hint: check free space and health of the disk under the data directory, unless its cause is the lease',
    );
    this.#writable = false;
    this.#parts.meters.commitFailures += 1;
    const lost: LostBatch = {
      activations: this.#staged.keys(),
      connected: this.#connected,
      disconnected: this.#disconnected,
      subscribed: this.#subscribed,
    };
    const answered = this.#answered;
    const left = this.#left;
    this.#outputs.drop();
    this.#reset();
    try {
      this.#adoptUnknownRows();
    } catch (reopening) {
      this.#parts.log.error({ err: reopening }, 'the journal cannot be opened again yet; it is tried every second');
    }
    for (const waiter of answered) this.#outputs.replyError(waiter, answer);
    for (const { session, topic } of left) this.#outputs.leave(session, topic);
    this.#outputs.flush();
    this.#parts.onLost(lost);
  }

  /** A commit that failed may still lie on disk; then the keeper must know it, or memory and disk would differ. */
  #adoptUnknownRows(): boolean {
    const rows: JournalRow[] = this.#parts.journal.reopen();
    for (const row of rows) this.#parts.keeper.committed(row);
    return rows.length > 0;
  }

  #reset(): void {
    this.#staged = new Map();
    this.#answered = [];
    this.#connected = [];
    this.#disconnected = [];
    this.#subscribed = [];
    this.#left = [];
  }
}

/** The first calls that have ids by which somebody may look for them. */
function tracedCalls(waiters: readonly Waiter[]): object[] {
  const traced = waiters.filter(({ trace }) => trace !== undefined && trace !== noTrace).slice(0, tracedCallsMax);
  return traced.map(({ address, method, trace = noTrace }) => ({
    tenant: address?.tenant,
    actor: address?.type,
    actorId: address?.id,
    method,
    ...traceFields(trace),
  }));
}

const tracedCallsMax = 20;

const nothingChanged = new AppError('READ_ONLY', 'The store refused the write; nothing changed', {
  retryAfterMs: 1000,
});

const mayHaveHappened = new AppError(
  'UNKNOWN',
  'The store failed while the call was being committed; repeat it with the same key',
  { retryAfterMs: 1000 },
);
