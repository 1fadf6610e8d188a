/**
 * The gateways that have to do with one slot, each with the order of its frames and the number of its last answer. What is known
 * of one that is gone is kept for a while: should it come back, nothing of it runs twice.
 */
import { forgetMs } from './nats-bounds.ts';
import { FrameOrder, type Numbered, type OrderEvents } from './nats-frame-order.ts';

interface Lane<T extends Numbered> {
  readonly order: FrameOrder<T>;
  /** Number of the last answer. */
  answered: number;
  /** Undefined while it is there. */
  goneMs: number | undefined;
}

export class NatsLanes<T extends Numbered> {
  readonly #eventsFor: (gateway: string) => OrderEvents<T>;
  readonly #monotonic: () => number;
  readonly #lanes = new Map<string, Lane<T>>();

  constructor(eventsFor: (gateway: string) => OrderEvents<T>, monotonic: () => number) {
    this.#eventsFor = eventsFor;
    this.#monotonic = monotonic;
  }

  /** Frames that wait. */
  get held(): number {
    return [...this.#lanes.values()].reduce((sum, { order }) => sum + order.held, 0);
  }

  get orders(): readonly FrameOrder<T>[] {
    return [...this.#lanes.values()].map(({ order }) => order);
  }

  orderOf(gateway: string): FrameOrder<T> {
    return this.#laneOf(gateway).order;
  }

  awaitsPresence(gateway: string): boolean {
    return this.#lanes.get(gateway)?.order.awaitsPresence ?? true;
  }

  /** It has said who is there, with this link. */
  present(gateway: string, link: number): void {
    const lane = this.#laneOf(gateway);
    lane.goneMs = undefined;
    lane.order.present(link);
  }

  gone(gateway: string): void {
    const lane = this.#lanes.get(gateway);
    if (lane === undefined) return;
    lane.goneMs = this.#monotonic();
    lane.order.leave();
  }

  nextAnswer(gateway: string): number {
    const lane = this.#laneOf(gateway);
    lane.answered += 1;
    return lane.answered;
  }

  /** The number of the last one, for a gateway that knows this owner. */
  lastAnswer(gateway: string): number | undefined {
    const lane = this.#lanes.get(gateway);
    return lane?.order.presented ? lane.answered : undefined;
  }

  tick(): void {
    const nowMs = this.#monotonic();
    for (const [gateway, { order, goneMs }] of this.#lanes) {
      order.tick();
      if (goneMs !== undefined && nowMs - goneMs > forgetMs && order.idle) this.#lanes.delete(gateway);
    }
  }

  #laneOf(gateway: string): Lane<T> {
    let lane = this.#lanes.get(gateway);
    if (lane === undefined) {
      const order = new FrameOrder<T>(this.#eventsFor(gateway), this.#monotonic);
      // Until it presents itself it counts as gone.
      lane = { order, answered: 0, goneMs: this.#monotonic() };
      this.#lanes.set(gateway, lane);
    }
    return lane;
  }
}
