/**
 * The events of one turn: validated and made text when they are emitted, sent with the turn's commit or not at all.
 *
 * An undeclared event or a bad payload is the author's mistake: it fails the turn, even when the handler catches it.
 */
import type { EmitTarget, PendingEvent } from '../actor/definition.ts';
import type { SchemaResult } from '../actor/schema.ts';
import { AppError } from '../protocol/errors.ts';
import type { Activation } from './activation.ts';
import { issuesText } from './admission.ts';
import { isThenable } from './turn.ts';

export interface EventBounds {
  /** Events that one turn may emit. */
  readonly turnEventsMax: number;
  /** Bytes that their payloads may take together. */
  readonly turnEventBytesMax: number;
}

export const noEvents: readonly PendingEvent[] = [];

export class Outbox {
  readonly #activation: Activation;
  readonly #bounds: EventBounds;
  #events: (PendingEvent | Promise<PendingEvent>)[] = [];
  #chars = 0;
  #fault: AppError | undefined;
  #closed = false;

  constructor(activation: Activation, bounds: EventBounds) {
    this.#activation = activation;
    this.#bounds = bounds;
  }

  emit(event: string, payload: unknown): EmitTarget {
    const text = this.#payloadText(event, payload);
    const send = (target: PendingEvent['target']): void => {
      if (this.#closed) throw new AppError('INTERNAL', `event "${event}" was sent after its turn had ended`);
      const { turnEventsMax } = this.#bounds;
      if (this.#events.length >= turnEventsMax) throw this.#fail(`a turn may emit at most ${turnEventsMax} events`);
      this.#events.push(
        typeof text === 'string'
          ? { event, payload: text, target }
          : settledQuietly(text.then((settled) => ({ event, payload: settled, target }))),
      );
    };
    return {
      broadcast: () => send({ kind: 'all' }),
      to: (ids) => send({ kind: 'to', ids: new Set(typeof ids === 'string' ? [ids] : ids) }),
      except: (ids) => send({ kind: 'except', ids: new Set(typeof ids === 'string' ? [ids] : ids) }),
    };
  }

  /** In emit order; a promise when a schema validates asynchronously. @throws AppError INTERNAL */
  take(): readonly PendingEvent[] | Promise<readonly PendingEvent[]> {
    this.#closed = true;
    if (this.#fault !== undefined) throw this.#fault;
    const events = this.#events;
    return events.every((event): event is PendingEvent => !(event instanceof Promise))
      ? events
      : Promise.all(events.map(async (event) => event));
  }

  #payloadText(event: string, payload: unknown): string | Promise<string> {
    const { definition, address } = this.#activation;
    const schema = definition.events.get(event);
    if (schema === undefined) throw this.#fail(`actor ${address.type} declares no event "${event}"`);
    const result = schema['~standard'].validate(payload);
    if (!isThenable(result)) return this.#validText(event, result);
    return settledQuietly(Promise.resolve(result).then((settled) => this.#validText(event, settled)));
  }

  #validText(event: string, result: SchemaResult<unknown>): string {
    if (result.issues !== undefined) {
      throw this.#fail(`payload of event "${event}" is invalid: ${issuesText(result.issues)}`);
    }
    // Now, not at the end: the turn may change what the payload points to.
    const text = JSON.stringify(result.value) ?? '';
    this.#chars += text.length;
    const { turnEventBytesMax } = this.#bounds;
    if (this.#chars > turnEventBytesMax)
      throw this.#fail(`a turn may emit at most ${turnEventBytesMax} bytes of events`);
    return text;
  }

  #fail(message: string): AppError {
    this.#fault ??= new AppError('INTERNAL', message);
    return this.#fault;
  }
}

/** Awaited with the turn; a turn that fails first must not leave an unhandled rejection behind. */
function settledQuietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
