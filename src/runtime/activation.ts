/**
 * An activation: one actor in memory, from the first call that needs it until it is evicted, dropped or stopped.
 *
 * It owns the current state, the mailbox and the outcomes of keyed calls; the shard owns it. It computes nothing: turns
 * are run by `turn.ts`, made durable by `batch.ts`. A dropped activation (a commit failed, or it was quarantined) is dead:
 * whatever still runs on it ends `unknown`, and its successor starts from disk.
 */
import type { ActorDefinition } from '../actor/definition.ts';
import { addressKey, type Address } from '../protocol/address.ts';
import { AppError } from '../protocol/errors.ts';
import { actorHead } from '../protocol/messages.ts';
import type { Limits } from '../protocol/limits.ts';
import type { Visitor } from '../storage/contract.ts';
import type { Audience } from './audience.ts';
import { History } from './history.ts';
import type { Mailbox } from './mailbox.ts';
import { NumberedClients } from './numbered.ts';
import { Outcomes } from './outcomes.ts';
import { smallStateChars, type Staged } from './staged.ts';

export type ActivationStatus =
  /** Waiting for the keeper; the mailbox fills. */
  | 'loading'
  | 'active'
  /** Out of the shard's table; nothing of it may reach disk or clients any more. */
  | 'dead';

export class Activation {
  readonly address: Address;
  readonly key: string;
  readonly definition: ActorDefinition;
  /** The start of every frame about this actor. */
  readonly head: string;
  readonly mailbox: Mailbox;
  /** Of calls with an arbitrary key. */
  readonly outcomes: Outcomes;
  /** Of calls whose clients number them. */
  readonly numbered: NumberedClients;
  readonly audience: Audience;
  /** What subscribers may have missed. */
  readonly patches: History;
  readonly events: History;
  /** Clients whose `onConnect` is on record and whose `onDisconnect` is not, by client id; as on disk after the next commit. */
  readonly visitors = new Map<string, Visitor>();

  status: ActivationStatus = 'loading';
  /** A turn is waiting for something asynchronous; it holds the actor until it ends. */
  busy = false;
  /** Its last turn was `deactivate`: it leaves memory with that turn's commit. */
  closing = false;
  /** In the shard's list of actors with work. */
  queued = false;
  /** Monotonic time of the last item taken from the mailbox. */
  lastUsedMs: number;

  state: unknown = undefined;
  /** Number of the state; rises with every change. */
  seq = 0;
  /** Number of the last event that was kept. */
  eventSeq = 0;
  /** The last one that was committed, and so was sent to whom it concerned. */
  toldEventSeq = 0;
  /** Arrivals and departures that were put on record. */
  visitSeq = 0;
  /** Numbers of another epoch mean something else. */
  epoch = '';
  /** The next write must be the whole state: disk has none yet, or one of another version or shape. */
  needsWholeWrite = true;
  /** Characters of the state's JSON: exact after its text was made, and at least the truth after each change since. */
  stateChars = 0;
  /** `stateChars` when it was last exact. */
  #exactChars = 0;
  #text: string | undefined = undefined;

  constructor(
    address: Address,
    definition: ActorDefinition,
    mailbox: Mailbox,
    audience: Audience,
    limits: Limits,
    nowMs: number,
  ) {
    this.address = address;
    this.key = addressKey(address);
    this.definition = definition;
    this.head = actorHead(address.type, address.id);
    this.mailbox = mailbox;
    this.outcomes = new Outcomes(limits.outcomeMs, limits.outcomesInMemoryMax);
    this.numbered = new NumberedClients(limits);
    this.audience = audience;
    this.patches = new History({ itemsMax: limits.historyTurnsMax, charsMax: limits.historyBytesMax });
    this.events = new History({ itemsMax: definition.historyEventsMax, charsMax: limits.historyBytesMax });
    this.lastUsedMs = nowMs;
  }

  /** The state as JSON text, made once per change. */
  text(): string {
    if (this.#text === undefined) {
      this.#text = JSON.stringify(this.state);
      this.stateChars = this.#text.length;
      this.#exactChars = this.stateChars;
    }
    return this.#text;
  }

  /** Is what happens here written to disk? */
  get stored(): boolean {
    return this.definition.durability !== 'memory';
  }

  /** Does disk know its visitors? Only a type with hooks needs that. */
  get recordsVisitors(): boolean {
    const { onConnect, onDisconnect } = this.definition;
    return this.stored && (onConnect !== undefined || onDisconnect !== undefined);
  }

  /** `chars`: at least the characters of its JSON. */
  change(state: unknown, chars: number): void {
    this.state = state;
    this.seq += 1;
    this.stateChars = chars;
    this.#text = undefined;
  }

  /** What a batch held of it is on disk. */
  committed(staged: Staged): void {
    this.toldEventSeq = this.eventSeq;
    if (staged.changed) this.needsWholeWrite = false;
    if (staged.calls.length > 0) this.outcomes.trim();
    this.numbered.trim();
  }

  /** Is the whole state the better thing to write, given the characters of patches that would say the same? */
  writesWhole(patchChars: number): boolean {
    // Patches only ever add to the estimate; a state that has grown on paper alone is measured again.
    const drifted = this.stateChars > this.#exactChars * 2 + 4096;
    return this.needsWholeWrite || this.stateChars <= smallStateChars || patchChars >= this.stateChars || drifted;
  }

  /** True when nothing holds it in memory but habit. */
  get idle(): boolean {
    const isWanted = this.busy || this.mailbox.size > 0 || this.audience.subscribers > 0;
    // One that is on its way out already would be woken by a second `deactivate`.
    return this.status === 'active' && !this.closing && !isWanted;
  }
}

/** What a turn ends with when its actor was dropped while it waited. */
export function droppedMeanwhile(): AppError {
  return new AppError(
    'UNKNOWN',
    'The actor was loaded again from disk while the call ran; repeat it with the same key',
    {
      retryAfterMs: 1000,
    },
  );
}

/** An actor that was dropped while its turn waited: its state is not the true one any more. @throws AppError UNKNOWN */
export function refuseDead(activation: Activation): void {
  if (activation.status === 'dead') throw droppedMeanwhile();
}
