/**
 * An activation: one actor in memory, from the first call that needs it until it is evicted, dropped or stopped.
 *
 * It owns the current state, the mailbox and the outcomes of keyed calls; the shard owns it. It computes nothing: turns
 * are run by `turn.ts`, made durable by `batch.ts`. A dropped activation (a commit failed, or it was quarantined) is dead:
 * whatever still runs on it ends `unknown`, and its successor starts from disk.
 */
import type { ActorDefinition } from '../actor/definition.ts';
import { addressKey, type Address } from '../protocol/address.ts';
import { actorHead } from '../protocol/messages.ts';
import type { Mailbox } from './mailbox.ts';
import type { Outcomes } from './outcomes.ts';
import type { Audience } from './audience.ts';

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
  readonly outcomes: Outcomes;
  readonly audience: Audience;

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
  /** The next change must be written whole: disk has no state yet, or one of an older version. */
  needsFullWrite = true;
  /** State as JSON text, when it is known; every change forgets it. */
  stateText: string | undefined = undefined;
  /** Characters of the state's JSON, at least: exact after a full write, estimated from patches in between. */
  stateChars = 0;

  constructor(
    address: Address,
    definition: ActorDefinition,
    mailbox: Mailbox,
    outcomes: Outcomes,
    audience: Audience,
    nowMs: number,
  ) {
    this.address = address;
    this.key = addressKey(address);
    this.definition = definition;
    this.head = actorHead(address.type, address.id);
    this.mailbox = mailbox;
    this.outcomes = outcomes;
    this.audience = audience;
    this.lastUsedMs = nowMs;
  }

  /** The state as JSON text, computed once per change. */
  text(): string {
    if (this.stateText === undefined) {
      this.stateText = JSON.stringify(this.state);
      this.stateChars = this.stateText.length;
    }
    return this.stateText;
  }

  /** True when nothing holds it in memory but habit. */
  get idle(): boolean {
    return this.status === 'active' && !this.busy && this.mailbox.size === 0 && this.audience.subscribers === 0;
  }
}
