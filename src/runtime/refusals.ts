/**
 * What is answered without a turn, or before one began. A refusal says nothing about state, so it need not wait for a
 * commit; it leaves with the tick.
 */
import type { LogGate } from '../host/log-gate.ts';
import { AppError } from '../protocol/errors.ts';
import type { Stream } from '../protocol/envelope.ts';
import { subscriptionRefusal } from '../protocol/messages.ts';
import type { ShardLink } from '../transport/contract.ts';
import type { Activation } from './activation.ts';
import { release } from './answers.ts';
import type { MailboxItem } from './mailbox.ts';
import { Outputs } from './outputs.ts';
import type { Waiter } from './outcomes.ts';
import type { Session } from './sessions.ts';

export class Refusals {
  /** The free exit: sent with the tick. */
  readonly outputs: Outputs;

  readonly #lines: LogGate;

  constructor(link: ShardLink, lines: LogGate) {
    this.outputs = new Outputs(link);
    this.#lines = lines;
  }

  call(waiter: Waiter, error: unknown): void {
    this.outputs.replyError(waiter, this.#toAppError(waiter.session, error).toBody());
  }

  /** Only clients with the additions are told. */
  subscription(session: Session, stream: Stream, actor: string, actorId: string, error: unknown): void {
    if (!session.info.additions) return;
    const text = subscriptionRefusal(`${stream}:sub`, actor, actorId, this.#toAppError(session, error).toBody());
    this.outputs.send(session, text);
  }

  /** Whoever waits with this item for an actor that cannot be had. */
  item(activation: Activation, item: MailboxItem, error: unknown): void {
    const { type, id } = activation.address;
    if (item.kind === 'read') this.call(item, error);
    else if (item.kind === 'subscribe') this.subscription(item.session, item.stream, type, id, error);
    else if (item.kind === 'disconnect') activation.audience.disconnect(item.session);
    else if (item.kind === 'call') {
      release(item);
      this.call(item, error);
    }
  }

  /** The actor cannot be had any more: its subscribers leave, so that no patch follows without a snapshot. */
  dismiss({ audience }: Activation): void {
    for (const stream of ['state', 'event'] as const) {
      for (const session of Array.from(audience.of(stream))) {
        audience.unsubscribe(session, stream);
        this.outputs.leave(session, audience.laneOf(session, stream).topic);
      }
    }
  }

  /** Anything else than an AppError is a fault of the shard itself. */
  #toAppError({ info }: Session, error: unknown): AppError {
    if (error instanceof AppError) return error;
    this.#lines.write(
      'a refusal',
      'error',
      { tenant: info.tenant, err: error },
      'a fault in the shard refused a request',
    );
    return new AppError('INTERNAL', 'Internal error', { cause: error });
  }
}
