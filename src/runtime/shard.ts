/**
 * A shard: one thread's actors. Frames from the gateways come in here and are dealt out to mailboxes.
 *
 *   gateways ──frames──▶ Shard ──items──▶ mailboxes ──▶ Runner ──▶ Turns ──▶ Batch ──▶ journal, keeper, gateways
 *                          └──▶ Activations (load, evict) ◀──── commit lost ────┘
 *
 * Invariants: an inbound call is answered exactly once · mailboxes, sessions and memory are bounded by `Limits`.
 */
import type { AppDefinition } from '../actor/definition.ts';
import type { Clock } from '../host/clock.ts';
import type { Logger } from '../host/log.ts';
import { LogGate } from '../host/log-gate.ts';
import type { Sample } from '../host/meters.ts';
import type { Address } from '../protocol/address.ts';
import type { Vitals } from '../host/vitals.ts';
import type { Limits } from '../protocol/limits.ts';
import { slotOf } from '../protocol/placement.ts';
import type { Keeper } from '../storage/contract.ts';
import type { Journal } from '../storage/journal.ts';
import type { ShardLink } from '../transport/contract.ts';
import { Activations } from './activations.ts';
import { Answers } from './answers.ts';
import { Audiences } from './audience.ts';
import { Batch, type LostBatch } from './batch.ts';
import { Eviction } from './eviction.ts';
import { Inbound } from './inbound.ts';
import { ShardMeters } from './meters.ts';
import { Refusals } from './refusals.ts';
import { Repeats } from './repeats.ts';
import { Runner } from './runner.ts';
import { type Session, Sessions } from './sessions.ts';
import { Turns } from './turn.ts';

export interface ShardParts {
  readonly app: AppDefinition;
  readonly journal: Journal;
  readonly keeper: Keeper;
  readonly link: ShardLink;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly vitals: Vitals;
  readonly log: Logger;
  /** This shard takes a dead one's place: gateways may have sessions that are on record as visitors. */
  readonly restarted: boolean;
}

export class Shard {
  readonly #parts: ShardParts;
  readonly #audiences: Audiences;
  readonly #sessions: Sessions;
  readonly #refusals: Refusals;
  readonly #batch: Batch;
  readonly #runner: Runner;
  readonly #activations: Activations;
  readonly #eviction: Eviction;
  readonly #meters = new ShardMeters();
  readonly #lines: LogGate;
  readonly #housekeeping: NodeJS.Timeout;
  /** Tenants whose files cannot be written now. */
  readonly #readOnlyTenants = new Set<string>();
  /** Actors with visitors of a former process, for which there was no room yet. */
  #stale: Address[] = [];
  /** `onDisconnect` hooks that could not be written when they ran. */
  #postponed: { readonly address: Address; readonly session: Session }[] = [];

  constructor(parts: ShardParts) {
    this.#parts = parts;
    const { limits, clock, log, link, keeper, journal } = parts;
    this.#lines = new LogGate(log, clock.monotonic);
    this.#audiences = new Audiences(clock.monotonic);
    this.#sessions = new Sessions(link.gateways);
    this.#refusals = new Refusals(link, this.#lines);
    this.#batch = new Batch({
      journal,
      keeper,
      link,
      log,
      meters: this.#meters,
      monotonic: clock.monotonic,
      onLost: (lost) => this.#lost(lost),
      onAdopted: () => this.#dropWhere(() => true),
    });
    const repeats = new Repeats(keeper, clock);
    const isWritable = (tenant: string): boolean => this.#batch.writable && !this.#readOnlyTenants.has(tenant);
    const answers = new Answers({
      batch: this.#batch,
      refusals: this.#refusals,
      clock,
      lines: this.#lines,
      isWritable,
    });
    const turns = new Turns(
      {
        clock,
        log,
        lines: this.#lines,
        meters: this.#meters,
        keeper,
        repeats,
        batch: this.#batch,
        refusals: this.#refusals,
        bounds: limits,
        eventBounds: limits,
        sessionGraceMs: limits.sessionGraceMs,
        isWritable,
        postpone: (address, session) => this.#postponed.push({ address, session }),
      },
      answers,
    );
    this.#runner = new Runner({
      turns,
      batch: this.#batch,
      refusals: this.#refusals,
      vitals: parts.vitals,
      meters: this.#meters,
      turnMs: limits.turnMs,
      batchTurnsMax: limits.batchTurnsMax,
      batchCharsMax: limits.batchBytesMax,
      monotonic: clock.monotonic,
      loading: () => this.#activations.loading,
      onDeactivated: (activation) => this.#activations.deactivated(activation),
    });
    const presence = new GatewayPresence(parts.restarted ? link.gateways : 0);
    this.#activations = new Activations({
      ...parts,
      audiences: this.#audiences,
      sessions: this.#sessions,
      gatewaysPresent: presence.settled,
      batch: this.#batch,
      refusals: this.#refusals,
      runner: this.#runner,
      meters: this.#meters,
      lines: this.#lines,
      makeRoom: () => this.#eviction.makeRoom(),
    });
    this.#eviction = new Eviction(this.#activations, limits);
    keeper.onSynced((journalSeq) => journal.forget(journalSeq));
    keeper.onReadOnly((tenant, readOnly) => {
      if (readOnly) this.#readOnlyTenants.add(tenant);
      else this.#readOnlyTenants.delete(tenant);
    });
    keeper.onQuarantined((address) => this.#dropWhere((actor) => isWithin(actor, address)));
    keeper.onLeft((slot, slots) => this.#dropWhere(({ tenant }) => slotOf(tenant, slots) === slot, true));
    keeper.onFence((forget) => {
      this.#batch.commit();
      if (forget && this.#batch.writable) this.#batch.flush();
      return journal.forgotten;
    });
    keeper.onStale((address) => {
      if (!this.#activations.wake(address)) this.#stale.push(address);
    });
    const inbound = new Inbound({
      ...parts,
      audiences: this.#audiences,
      sessions: this.#sessions,
      activations: this.#activations,
      repeats,
      refusals: this.#refusals,
      onPresent: (gateway) => presence.note(gateway),
      schedule: () => this.#runner.schedule(),
    });
    link.onFrame((frame, gateway) => inbound.receive(frame, gateway));
    this.#housekeeping = setInterval(() => this.#keepHouse(), 1000);
    this.#housekeeping.unref();
  }

  /** Actors that are in memory, or on their way there. */
  get actorsInMemory(): number {
    return this.#activations.size;
  }

  /** For `/metrics`; `name` is the shard's number. */
  samples(name: string): Sample[] {
    const { journal } = this.#parts;
    return this.#meters.samples(name, {
      actors: this.#activations.size,
      stateChars: this.#eviction.stateChars,
      journalRows: journal.unsyncedRows,
      journalBytes: journal.unsyncedBytes,
      writable: this.#batch.writable,
    });
  }

  /** Settles when everything that was accepted has ended and was committed. Calls that come later are still served. */
  drain(): Promise<void> {
    return this.#runner.quiet();
  }

  /** Takes every actor out of memory, each with its `onDeactivate`, and commits what those did. */
  async deactivateAll(): Promise<void> {
    await this.drain();
    for (const activation of this.#activations.list()) this.#activations.evict(activation);
    await this.drain();
  }

  /** Lets go of journal, keeper and link. What the keeper holds by now is not replayed at the next start. */
  async stop(): Promise<void> {
    clearInterval(this.#housekeeping);
    await this.drain();
    this.#lines.close();
    this.#parts.journal.close();
    this.#parts.keeper.close();
    this.#parts.link.close();
  }

  // When the store fails or closes something off: out of memory, and again from disk.

  #lost({ activations, connected, disconnected, subscribed }: LostBatch): void {
    // Hooks that were lost with the commit run again: onConnect with the next contact, onDisconnect by itself.
    for (const { activation, session } of connected) activation.audience.forget(session);
    for (const activation of activations) this.#activations.drop(activation, subscribed);
    for (const { activation, session } of disconnected) this.#postponed.push({ address: activation.address, session });
  }

  /** Actors in memory only have nothing on disk to be loaded from. */
  #dropWhere(matches: (address: Address) => boolean, alsoMemory = false): void {
    for (const activation of this.#activations.list()) {
      const isKept = activation.definition.durability === 'memory' && !alsoMemory;
      if (!isKept && matches(activation.address)) this.#activations.drop(activation);
    }
  }

  #keepHouse(): void {
    if (!this.#batch.writable) this.#batch.probe();
    else if (this.#batch.empty) this.#batch.flush();
    this.#eviction.sweep(this.#parts.clock.monotonic());
    this.#stale = this.#stale.filter((address) => !this.#activations.wake(address));
    if (this.#batch.writable) {
      for (const { address, session } of this.#postponed.splice(0)) {
        this.#activations.deliver(address, { kind: 'disconnect', session });
      }
    }
  }
}

/** Is this actor the one, or of the tenant, that was closed off? */
function isWithin(actor: Address, closed: Address): boolean {
  return (
    actor.tenant === closed.tenant && (closed.type === '' || (actor.type === closed.type && actor.id === closed.id))
  );
}

/** Which gateways have yet to say what sessions they have. */
class GatewayPresence {
  readonly settled: Promise<void>;
  readonly #missing: Set<number>;
  #settle: () => void = () => undefined;

  constructor(gateways: number) {
    this.#missing = new Set(Array(gateways).keys());
    this.settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
    if (gateways === 0) this.#settle();
  }

  note(gateway: number): void {
    this.#missing.delete(gateway);
    if (this.#missing.size === 0) this.#settle();
  }
}
