/**
 * What a handler or hook gets: the draft, the input, who calls, and its own sources of time and chance. One object per
 * turn; what costs something (the copy of `clients`, the logger, the abort signal) is made when it is first touched.
 */
import type { AnyContext, EmitTarget, Log, PendingEvent } from '../actor/definition.ts';
import type { Clock } from '../host/clock.ts';
import type { Logger } from '../host/log.ts';
import type { LogGate } from '../host/log-gate.ts';
import type { AppError } from '../protocol/errors.ts';
import type { SessionInfo } from '../protocol/envelope.ts';
import { traceFields, traceparentOf } from '../protocol/trace.ts';
import type { Activation } from './activation.ts';
import { noEvents, Outbox, type EventBounds } from './outbox.ts';

/** What contexts take from their shard. */
export interface Surroundings {
  readonly clock: Clock;
  /** For what authors log, all of it. */
  readonly log: Logger;
  /** For what their faults make the runtime log. */
  readonly lines: LogGate;
  readonly eventBounds: EventBounds;
}

/** What runs: a call, or a hook under its name. */
interface Work {
  readonly method: string;
  readonly trace: string;
}

const nobody: Pick<SessionInfo, 'clientId' | 'userId' | 'claims'> = { clientId: '', userId: null, claims: {} };

export class TurnContext implements AnyContext {
  readonly state: unknown;
  readonly input: unknown;
  readonly ctx: Record<string, unknown>;
  readonly clientId: string;
  readonly userId: string | null;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly #activation: Activation;
  readonly #surroundings: Surroundings;
  readonly #work: Work;
  #log: Log | undefined;
  #outbox: Outbox | undefined;
  #abort: AbortController | undefined;
  #aborted: unknown = undefined;

  constructor(
    activation: Activation,
    state: unknown,
    input: unknown,
    ctx: Record<string, unknown>,
    who: Pick<SessionInfo, 'clientId' | 'userId' | 'claims'> = nobody,
    surroundings: Surroundings,
    work: Work,
  ) {
    this.state = state;
    this.input = input;
    this.ctx = ctx;
    this.clientId = who.clientId;
    this.userId = who.userId;
    this.claims = who.claims;
    this.#activation = activation;
    this.#surroundings = surroundings;
    this.#work = work;
  }

  get emit(): (event: string, payload?: unknown) => EmitTarget {
    const outbox = (this.#outbox ??= new Outbox(this.#activation, this.#surroundings.eventBounds));
    return (event, payload) => outbox.emit(event, payload);
  }

  get now(): () => number {
    return this.#surroundings.clock.now;
  }

  get random(): () => number {
    return this.#surroundings.clock.random;
  }

  get tenant(): string {
    return this.#activation.address.tenant;
  }

  get actor(): string {
    return this.#activation.address.type;
  }

  get actorId(): string {
    return this.#activation.address.id;
  }

  get clients(): ReadonlySet<string> {
    return this.#activation.audience.clientIds();
  }

  get traceparent(): string | undefined {
    return traceparentOf(this.#work.trace);
  }

  /** A logger per turn would cost more than most turns. */
  get log(): Log {
    return (this.#log ??= this.#makeLog());
  }

  #makeLog(): Log {
    const { tenant, type, id } = this.#activation.address;
    const { method, trace } = this.#work;
    const logger = this.#surroundings.log.child({ tenant, actor: type, actorId: id, method, ...traceFields(trace) });
    return {
      debug: (message, fields = {}) => logger.debug(fields, message),
      info: (message, fields = {}) => logger.info(fields, message),
      warn: (message, fields = {}) => logger.warn(fields, message),
      error: (message, fields = {}) => logger.error(fields, message),
    };
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#aborted !== undefined) this.#abort.abort(this.#aborted);
    }
    return this.#abort.signal;
  }

  /** Tells a handler that nobody waits for it any more. */
  abort(reason: AppError): void {
    this.#aborted = reason;
    this.#abort?.abort(reason);
  }

  /** The turn's events, in emit order; a promise when a schema validates asynchronously. @throws AppError INTERNAL */
  events(): readonly PendingEvent[] | Promise<readonly PendingEvent[]> {
    return this.#outbox?.take() ?? noEvents;
  }
}
