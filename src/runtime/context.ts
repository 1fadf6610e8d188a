/**
 * What a handler or hook gets: the draft, the input, who calls, and its own sources of time and chance. One object per
 * turn; what costs something (the copy of `clients`, the logger, the abort signal) is made when it is first touched.
 *
 * Events are collected here, as JSON text, and leave with the turn's commit or not at all.
 */
import type { AnyContext, EmitTarget, Log, PendingEvent } from '../actor/definition.ts';
import type { SchemaResult } from '../actor/schema.ts';
import type { Clock } from '../host/clock.ts';
import type { Logger } from '../host/log.ts';
import { AppError } from '../protocol/errors.ts';
import type { SessionInfo } from '../protocol/envelope.ts';
import type { Activation } from './activation.ts';

/** What contexts take from their shard. */
export interface Surroundings {
  readonly clock: Clock;
  readonly log: Logger;
  readonly turnEventsMax: number;
}

const nobody: Pick<SessionInfo, 'clientId' | 'userId' | 'claims'> = { clientId: '', userId: null, claims: {} };

export class TurnContext implements AnyContext {
  readonly state: unknown;
  readonly input: unknown;
  readonly ctx: Record<string, unknown>;
  readonly clientId: string;
  readonly userId: string | null;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly emit: (event: string, payload?: unknown) => EmitTarget;
  readonly now: () => number;
  readonly random: () => number;
  readonly #activation: Activation;
  readonly #surroundings: Surroundings;
  readonly #outbox: Outbox;
  #abort: AbortController | undefined;
  #aborted: unknown = undefined;

  constructor(
    activation: Activation,
    state: unknown,
    input: unknown,
    ctx: Record<string, unknown>,
    who: Pick<SessionInfo, 'clientId' | 'userId' | 'claims'> = nobody,
    surroundings: Surroundings,
  ) {
    this.state = state;
    this.input = input;
    this.ctx = ctx;
    this.clientId = who.clientId;
    this.userId = who.userId;
    this.claims = who.claims;
    this.now = surroundings.clock.now;
    this.random = surroundings.clock.random;
    this.#activation = activation;
    this.#surroundings = surroundings;
    this.#outbox = new Outbox(activation, surroundings.turnEventsMax);
    this.emit = (event, payload) => this.#outbox.emit(event, payload);
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

  get log(): Log {
    const { tenant, type, id } = this.#activation.address;
    const logger = this.#surroundings.log.child({ tenant, actor: type, actorId: id });
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
    return this.#outbox.take();
  }
}

const noEvents: readonly PendingEvent[] = [];

/** The events of one turn. An undeclared event or a bad payload is the author's mistake and fails the turn, even if caught. */
class Outbox {
  readonly #activation: Activation;
  readonly #eventsMax: number;
  #events: (PendingEvent | Promise<PendingEvent>)[] | undefined;
  #fault: AppError | undefined;
  #closed = false;

  constructor(activation: Activation, eventsMax: number) {
    this.#activation = activation;
    this.#eventsMax = eventsMax;
  }

  emit(event: string, payload: unknown): EmitTarget {
    const text = this.#payloadText(event, payload);
    const send = (target: PendingEvent['target']): void => {
      if (this.#closed) throw new AppError('INTERNAL', `event "${event}" was sent after its turn had ended`);
      this.#events ??= [];
      if (this.#events.length >= this.#eventsMax) throw this.#fail(`a turn may emit at most ${this.#eventsMax} events`);
      this.#events.push(
        text instanceof Promise
          ? text.then((payload) => ({ event, payload, target }))
          : { event, payload: text, target },
      );
    };
    return {
      broadcast: () => send({ kind: 'all' }),
      to: (ids) => send({ kind: 'to', ids: new Set(typeof ids === 'string' ? [ids] : ids) }),
      except: (ids) => send({ kind: 'except', ids: new Set(typeof ids === 'string' ? [ids] : ids) }),
    };
  }

  take(): readonly PendingEvent[] | Promise<readonly PendingEvent[]> {
    this.#closed = true;
    if (this.#fault !== undefined) throw this.#fault;
    if (this.#events === undefined) return noEvents;
    if (this.#events.some((event) => event instanceof Promise))
      return Promise.all(this.#events.map(async (event) => event));
    return this.#events as PendingEvent[];
  }

  #payloadText(event: string, payload: unknown): string | Promise<string> {
    const { definition, address } = this.#activation;
    const schema = definition.events.get(event);
    if (schema === undefined) throw this.#fail(`actor ${address.type} declares no event "${event}"`);
    const result = schema['~standard'].validate(payload);
    if (result instanceof Promise) {
      const text = result.then((settled) => this.#validText(event, settled));
      // Awaited with the turn; a turn that fails first must not leave an unhandled rejection behind.
      text.catch(() => undefined);
      return text;
    }
    return this.#validText(event, result);
  }

  #validText(event: string, result: SchemaResult<unknown>): string {
    if (result.issues !== undefined)
      throw this.#fail(`payload of event "${event}" is invalid: ${JSON.stringify(result.issues)}`);
    // Now, not at the end: the turn may change what the payload points to.
    return JSON.stringify(result.value) ?? '';
  }

  #fail(message: string): AppError {
    this.#fault ??= new AppError('INTERNAL', message);
    return this.#fault;
  }
}
