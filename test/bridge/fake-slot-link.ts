/**
 * NATS as the bridge sees it, in the test's hands: frames come when the test says so, and everything that the bridge does with
 * them is on record, in order.
 */
import { decodeOutbound, type Inbound, type Outbound } from '../../src/protocol/envelope.ts';
import type { SlotFrame, SlotLink } from '../../src/transport/contract.ts';

export interface Delivered {
  readonly text: string;
  done: boolean;
  buried: string | undefined;
  callers: string;
}

export type Sent = Outbound & { readonly gateway: string; readonly slot: number };

type About = Partial<Pick<SlotFrame, 'kind' | 'ageMs' | 'doubtful' | 'late'>>;

export class FakeSlotLink implements SlotLink {
  /** Slots that are taken, with their epochs. */
  readonly taken = new Map<number, number>();
  /** Every record that went out, in order. */
  readonly sent: Sent[] = [];
  /** `send <gateway> <slot>`, `done <n>` and `bury <n>`, in order; n counts the frames from 1. */
  readonly steps: string[] = [];
  closed = false;
  /** Runs while a slot is being taken: the gateways present themselves. */
  onTake: (slot: number) => void = () => undefined;
  #frames = 0;
  #open = new Map<number, number>();
  #receive: (frame: SlotFrame) => void = () => undefined;
  #gone: (gateway: string) => void = () => undefined;
  #wake: (() => void)[] = [];

  async take(slot: number, epoch: number): Promise<void> {
    this.onTake(slot);
    this.taken.set(slot, epoch);
  }

  async release(slot: number): Promise<void> {
    this.taken.delete(slot);
    while ((this.#open.get(slot) ?? 0) > 0) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  onFrame(receive: (frame: SlotFrame) => void): void {
    this.#receive = receive;
  }

  onGatewayGone(handler: (gateway: string) => void): void {
    this.#gone = handler;
  }

  send(gateway: string, slot: number, records: string): void {
    this.steps.push(`send ${gateway} ${slot}`);
    decodeOutbound(records, (op, a, b, c, body) => this.sent.push({ gateway, slot, op, a, b, c, body }));
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  /** A frame of a gateway, as envelopes or as text. */
  deliver(gateway: string, slot: number, content: readonly Inbound[] | string, about: About = {}): Delivered {
    const n = (this.#frames += 1);
    const text = typeof content === 'string' ? content : JSON.stringify(content);
    const delivered: Delivered = { text, done: false, buried: undefined, callers: '' };
    this.#open.set(slot, (this.#open.get(slot) ?? 0) + 1);
    const settle = (step: string): void => {
      if (delivered.done || delivered.buried !== undefined) throw new Error(`frame ${n} was settled twice`);
      this.steps.push(`${step} ${n}`);
      this.#open.set(slot, this.#open.get(slot)! - 1);
      for (const wake of this.#wake.splice(0)) wake();
    };
    this.#receive({
      slot,
      gateway,
      text,
      kind: 'calls',
      ageMs: 0,
      doubtful: false,
      late: false,
      ...about,
      done: () => {
        settle('done');
        delivered.done = true;
      },
      callers: (openings) => {
        delivered.callers = openings;
      },
      bury: (reason) => {
        settle('bury');
        delivered.buried = reason;
      },
    });
    return delivered;
  }

  gone(gateway: string): void {
    this.#gone(gateway);
  }

  /** What a gateway was told, without slot and gateway. */
  told(gateway: string): Outbound[] {
    const records = this.sent.filter((record) => record.gateway === gateway);
    return records.map(({ op, a, b, c, body }) => ({ op, a, b, c, body }));
  }
}
