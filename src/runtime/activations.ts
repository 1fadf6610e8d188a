/**
 * The table of activations: every way for an actor to enter or leave one shard's memory.
 *
 *   find ─▶ open ─▶ loading ─▶ active ─▶ evict (idle, memory, stop) ─▶ out
 *                      │          └────▶ drop (commit lost, quarantined) ─▶ open again, from disk
 *                      └─▶ unloadable: all who wait are told why
 *
 * Invariants: at most one live activation per address · it loads only after every row of its past was handed to the
 * keeper · whoever waits in a mailbox is moved to the successor or answered, never forgotten.
 */
import type { AppDefinition } from '../actor/definition.ts';
import type { Clock } from '../host/clock.ts';
import type { LogGate } from '../host/log-gate.ts';
import { addressKey, type Address } from '../protocol/address.ts';
import { AppError } from '../protocol/errors.ts';
import type { Limits } from '../protocol/limits.ts';
import type { Keeper, Visitor } from '../storage/contract.ts';
import { Activation, droppedMeanwhile } from './activation.ts';
import type { Audiences } from './audience.ts';
import type { Batch, Subscribed } from './batch.ts';
import { faultOf, internalError } from './faults.ts';
import { loadActivation } from './loading.ts';
import { type CallItem, Mailbox, type MailboxItem } from './mailbox.ts';
import type { Refusals } from './refusals.ts';
import type { ShardMeters } from './meters.ts';
import type { Runner } from './runner.ts';
import { ghostOf, type Sessions } from './sessions.ts';

export interface ActivationsParts {
  readonly app: AppDefinition;
  readonly keeper: Keeper;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly lines: LogGate;
  readonly audiences: Audiences;
  readonly sessions: Sessions;
  /** Settles when every gateway has said which sessions it has. */
  readonly gatewaysPresent: Promise<void>;
  readonly batch: Batch;
  readonly refusals: Refusals;
  readonly runner: Runner;
  readonly meters: ShardMeters;
  /** Called when the table is full: lets idle actors go. */
  readonly makeRoom: () => void;
}

export class Activations {
  readonly #parts: ActivationsParts;
  readonly #table = new Map<string, Activation>();
  #loading = 0;

  constructor(parts: ActivationsParts) {
    this.#parts = parts;
  }

  /** Actors whose state is on its way from the keeper. */
  get loading(): number {
    return this.#loading;
  }

  get size(): number {
    return this.#table.size;
  }

  has(address: Address): boolean {
    return this.hasKey(addressKey(address));
  }

  hasKey(key: string): boolean {
    return this.#table.has(key);
  }

  /** In the order in which they came into memory, as the table is now and changes. */
  all(): IterableIterator<Activation> {
    return this.#table.values();
  }

  /** A copy, for callers that take actors out or put them back on the way. */
  list(): Activation[] {
    return Array.from(this.#table.values());
  }

  /** The actor in memory, or on its way there. @throws AppError UNKNOWN_ACTOR, OVERLOADED when memory is full */
  find(address: Address): Activation {
    const found = this.#table.get(addressKey(address));
    if (found !== undefined) return found;
    if (!this.#parts.app.actors.has(address.type))
      throw new AppError('UNKNOWN_ACTOR', `Unknown actor: ${address.type}`);
    if (this.#table.size >= this.#parts.limits.shardActorsMax) this.#parts.makeRoom();
    if (this.#table.size >= this.#parts.limits.shardActorsMax) {
      throw new AppError('OVERLOADED', 'Too many actors are in memory', { retryAfterMs: 250 });
    }
    return this.#open(address);
  }

  /** Gives an item to the actor, past every bound: for what the system itself has to do. */
  deliver(address: Address, item: MailboxItem): void {
    this.push(this.#table.get(addressKey(address)) ?? this.#open(address), item);
  }

  push(activation: Activation, item: MailboxItem): void {
    activation.mailbox.push(item);
    this.#parts.runner.ready(activation);
  }

  /** Out of memory as soon as it can be: at once, or after its `onDeactivate` was committed. */
  evict(activation: Activation): void {
    if (activation.definition.onDeactivate === undefined) {
      if (!this.#parts.batch.involves(activation)) this.deactivated(activation);
    } else if (activation.status === 'active') {
      this.push(activation, { kind: 'deactivate' });
    }
  }

  /** Removes the actor; if work came meanwhile, a successor takes it over. */
  deactivated(activation: Activation): void {
    if (activation.status === 'dead') return;
    this.#parts.meters.evictions += 1;
    this.#remove(activation);
    this.#succeed(activation, activation.mailbox.takeAll());
  }

  /**
   * Ends what runs as unknown, and loads the actor again from disk; its subscribers get a new snapshot, and the events that
   * turn out to be kept. `subscribed`: what was to be sent for these subscriptions was lost as well.
   */
  drop(activation: Activation, subscribed: readonly Subscribed[] = []): void {
    if (activation.status === 'dead') return;
    const own = subscribed.filter((lost) => lost.activation === activation).map(({ item }) => item);
    this.#remove(activation);
    this.#parts.runner.interrupt(activation, droppedMeanwhile());
    const items: MailboxItem[] = [];
    for (const stream of ['state', 'event'] as const) {
      for (const session of activation.audience.of(stream)) {
        const asked = own.findLast((item) => item.session === session && item.stream === stream);
        const told = { epoch: activation.epoch, seq: activation.toldEventSeq };
        const since = stream === 'state' ? undefined : asked === undefined ? told : asked.since;
        items.push({ kind: 'subscribe', session, stream, since, lost: session.lost });
      }
    }
    for (const item of activation.mailbox.takeAll()) {
      if (item.kind !== 'activate' && item.kind !== 'deactivate') items.push(item);
    }
    this.#succeed(activation, items);
  }

  #open(address: Address): Activation {
    const { app, limits, clock, keeper, audiences, runner, meters } = this.#parts;
    const key = addressKey(address);
    const definition = app.actors.get(address.type)!;
    const activation = new Activation(
      address,
      definition,
      new Mailbox(meters),
      audiences.of(key),
      limits,
      clock.monotonic(),
    );
    meters.activations += 1;
    this.#table.set(key, activation);
    this.#loading += 1;
    // Who is still there must be known before anybody is taken for gone.
    this.#parts.gatewaysPresent
      .then(() => loadActivation(activation, keeper, clock))
      .then(
        () => this.#loaded(activation),
        (error: unknown) => this.#unloadable(activation, error),
      )
      .finally(() => {
        this.#loading -= 1;
        runner.schedule();
      });
    return activation;
  }

  #loaded(activation: Activation): void {
    if (activation.status === 'dead') return;
    activation.status = 'active';
    for (const visitor of activation.visitors.values()) this.#expect(activation, visitor);
    if (activation.definition.onActivate !== undefined) activation.mailbox.pushFront({ kind: 'activate' });
    this.#parts.runner.ready(activation);
  }

  /** A client that was with the actor when it was last in memory is so still, or its `onDisconnect` is due, before any call. */
  #expect(activation: Activation, visitor: Visitor): void {
    const session = this.#parts.sessions.find(visitor.sessionId);
    if (session === undefined) {
      const ghost = ghostOf(activation.address.tenant, visitor);
      activation.mailbox.pushFront({ kind: 'disconnect', session: ghost });
    } else {
      activation.audience.connect(session);
      session.actors.add(activation.key);
    }
  }

  /** The actor cannot be had from disk: everyone who waits is told why, and the next call tries again. */
  #unloadable(activation: Activation, error: unknown): void {
    if (activation.status === 'dead') return;
    this.#remove(activation);
    const { refusals } = this.#parts;
    const items = activation.mailbox.takeAll();
    const fault = faultOf(error);
    const told =
      fault.kind === 'app' && fault.error.code !== 'INTERNAL'
        ? fault.error
        : internalError(fault, this.#parts, activation, 'loading', items.find((item) => item.kind === 'call')?.trace);
    for (const item of items) refusals.item(activation, item, told);
    refusals.dismiss(activation);
  }

  #remove(activation: Activation): void {
    activation.status = 'dead';
    if (this.#table.get(activation.key) === activation) this.#table.delete(activation.key);
    this.#parts.audiences.release(activation.key);
  }

  #succeed(predecessor: Activation, items: readonly MailboxItem[]): void {
    if (items.length === 0) return;
    const successor = this.#open(predecessor.address);
    for (const item of items) {
      successor.mailbox.push(item.kind === 'call' ? this.#adopt(successor, item) : item);
    }
  }

  /** A numbered call that waits has its place with the successor's client. */
  #adopt(successor: Activation, item: CallItem): CallItem {
    if (item.numbered === undefined) return item;
    const { client, n } = item.numbered;
    const next = successor.numbered.of(client.name, () => this.#parts.keeper.numbered(successor.address, client.name));
    next.acknowledge(client.ack);
    next.enter();
    return { ...item, numbered: { client: next, n } };
  }

  /** Loads an actor that was left with visitors, so that they can be told goodbye. False when there is no room now. */
  wake(address: Address): boolean {
    const { app, limits, makeRoom } = this.#parts;
    if (!app.actors.has(address.type) || this.has(address)) return true;
    if (this.#table.size >= limits.shardActorsMax) makeRoom();
    if (this.#table.size >= limits.shardActorsMax) return false;
    this.#open(address);
    return true;
  }
}
