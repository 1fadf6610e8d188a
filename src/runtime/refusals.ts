/**
 * What is answered without a turn, or before one began. A refusal says nothing about state, so it need not wait for a
 * commit; it leaves with the tick.
 */
import { AppError } from '../protocol/errors.ts';
import type { Stream } from '../protocol/envelope.ts';
import { subscriptionRefusal } from '../protocol/messages.ts';
import type { ShardLink } from '../transport/contract.ts';
import type { Activation } from './activation.ts';
import { Frames } from './frames.ts';
import type { MailboxItem } from './mailbox.ts';
import type { Waiter } from './outcomes.ts';
import type { Session } from './sessions.ts';

export class Refusals {
  readonly #frames: Frames;

  constructor(link: ShardLink) {
    this.#frames = new Frames(link);
  }

  call({ session, call }: Waiter, error: unknown): void {
    this.#frames.of(session.gateway).add('E', call, 0, 0, JSON.stringify(toAppError(error).toBody()));
  }

  /** Only clients with the additions are told. */
  subscription(session: Session, stream: Stream, actor: string, actorId: string, error: unknown): void {
    if (session.ended) return;
    const text = subscriptionRefusal(`${stream}:sub`, actor, actorId, toAppError(error).toBody());
    this.#frames.of(session.gateway).add('M', session.number, 1, 0, text);
  }

  /** Whoever waits with this item for an actor that cannot be had. */
  item(activation: Activation, item: MailboxItem, error: unknown): void {
    const { type, id } = activation.address;
    if (item.kind === 'read') this.call(item, error);
    else if (item.kind === 'subscribe') this.subscription(item.session, item.stream, type, id, error);
    else if (item.kind === 'disconnect') activation.audience.disconnect(item.session);
    else if (item.kind === 'call') {
      for (const waiter of [item, ...activation.outcomes.forget(item.key)]) this.call(waiter, error);
    }
  }

  send(): void {
    this.#frames.send();
  }
}

function toAppError(error: unknown): AppError {
  return error instanceof AppError ? error : new AppError('INTERNAL', 'Internal error', { cause: error });
}
