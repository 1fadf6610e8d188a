/**
 * What leaves a shard: one frame per gateway, filled record by record and sent together, in order.
 *
 * A shard has two of these. The gated one belongs to the batch and is sent after its commit. The free one is sent with
 * the tick: for refusals, which say nothing of state, and for actors that live in memory only, whose turns cannot see
 * anything that a commit could still undo.
 */
import type { ErrorBody } from '../protocol/errors.ts';
import { OutboundFrame } from '../protocol/envelope.ts';
import type { ShardLink } from '../transport/contract.ts';
import type { Waiter } from './outcomes.ts';
import type { Session } from './sessions.ts';

export class Outputs {
  readonly #link: ShardLink;
  readonly #frames: OutboundFrame[];

  constructor(link: ShardLink) {
    this.#link = link;
    this.#frames = Array.from({ length: link.gateways }, () => new OutboundFrame());
  }

  /** Characters gathered: the bound on what one batch may hold. */
  get chars(): number {
    let chars = 0;
    for (const frame of this.#frames) chars += frame.chars;
    return chars;
  }

  /** `result` is JSON text or ''; `seq` is told to readers of the state. */
  reply({ session, call }: Waiter, result: string, durable: boolean, seq = 0): void {
    this.#of(session).add('K', call, durable ? 1 : 0, seq, result);
  }

  replyError({ session, call }: Waiter, error: ErrorBody): void {
    this.replyErrorTo(session.gateway, call, error);
  }

  replyErrorTo(gateway: number, call: number, error: ErrorBody): void {
    this.#frames[gateway]!.add('E', call, 0, 0, JSON.stringify(error));
  }

  send(session: Session, text: string): void {
    if (!session.ended) this.#of(session).add('M', session.number, 0, 0, text);
  }

  /** One text for several sessions, which is carried once per gateway. */
  sendAll(sessions: Iterable<Session>, text: string): void {
    const numbers = new Map<number, string>();
    for (const { gateway, number, ended } of sessions) {
      if (ended) continue;
      const before = numbers.get(gateway);
      numbers.set(gateway, before === undefined ? `${number}` : `${before},${number}`);
    }
    for (const [gateway, list] of numbers) this.#frames[gateway]!.add('T', 0, 0, 0, `${list};${text}`);
  }

  publish(gateways: Iterable<number>, topic: number, text: string): void {
    for (const gateway of gateways) this.#frames[gateway]!.add('P', topic, 0, 0, text);
  }

  join(session: Session, topic: number): void {
    this.#of(session).add('S', session.number, topic, 0, '');
  }

  leave(session: Session, topic: number): void {
    if (!session.ended) this.#of(session).add('U', session.number, topic, 0, '');
  }

  flush(): void {
    for (const [gateway, frame] of this.#frames.entries()) {
      const text = frame.take();
      if (text !== undefined) this.#link.send(gateway, text);
    }
  }

  drop(): void {
    for (const frame of this.#frames) frame.take();
  }

  #of(session: Session): OutboundFrame {
    return this.#frames[session.gateway]!;
  }
}
