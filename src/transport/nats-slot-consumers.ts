/**
 * Consumers of slots at JetStream: one per slot and epoch. Who takes a slot first deletes those of former owners, which ends
 * their pulls and makes their acknowledgements mean nothing, and notes what they may have begun.
 *
 * The work queue allows one consumer per slot, so that of two who would take it only one can.
 */
import {
  AckPolicy,
  DeliverPolicy,
  type JetStreamManager,
  type KV,
  type NatsConnection,
  nanos,
  ReplayPolicy,
} from 'nats';
import { setTimeout as delay } from 'node:timers/promises';
import { inHandMax, redeliverMs, requestMs } from './nats-bounds.ts';
import { addDoubt, type Doubt, noDoubt, readDoubt, writeDoubt } from './nats-doubt.ts';
import { buckets, consumerName, streams, subjects } from './nats-names.ts';
import { apiCode, consumerNotFound } from './nats-streams.ts';

/** Somebody serves the slot under a higher epoch. */
export class SlotTakenError extends Error {
  override readonly name = 'SlotTakenError';

  constructor(slot: number, epoch: number, higher: number) {
    super(`slot ${slot} is served under epoch ${higher}; ${epoch} is over`);
  }
}

export class NatsSlotConsumers {
  readonly #nc: NatsConnection;
  #manager: Promise<JetStreamManager> | undefined;
  #bucket: KV | undefined;

  constructor(nc: NatsConnection) {
    this.#nc = nc;
  }

  /** Does NATS answer, as far as we know? */
  get connected(): boolean {
    return this.#nc.info !== undefined;
  }

  /** Ends what former owners had, and says what is in doubt after them. @throws SlotTakenError */
  async fence(slot: number, epoch: number): Promise<Doubt> {
    const manager = await this.#jetstream();
    const bucket = await this.#slotsBucket();
    const { created } = await manager.streams.info(streams.calls);
    const former = await this.#epochsOf(slot);
    const [higher] = former.filter((other) => other > epoch);
    if (higher !== undefined) throw new SlotTakenError(slot, epoch, higher);
    let doubt = (await readDoubt(bucket, slot)) ?? noDoubt(created);
    for (const other of former) {
      const remains = await this.#remains(slot, other);
      if (remains !== undefined) {
        doubt = addDoubt(doubt, { ...remains, created });
        // Before it is deleted: should we die in between, the next one finds either the consumer or the note.
        await writeDoubt(bucket, slot, doubt);
      }
      await this.remove(slot, other);
    }
    return doubt.created === created ? doubt : noDoubt(created);
  }

  /** What is in doubt by then: given, unless a former owner had to be ended once more. @throws SlotTakenError */
  async create(slot: number, epoch: number, given: Doubt): Promise<Doubt> {
    const manager = await this.#jetstream();
    let doubt = given;
    for (let attempt = 1; ; attempt += 1) {
      try {
        await manager.consumers.add(streams.calls, {
          durable_name: consumerName(slot, epoch),
          filter_subject: subjects.calls(slot),
          deliver_policy: DeliverPolicy.All,
          replay_policy: ReplayPolicy.Instant,
          ack_policy: AckPolicy.Explicit,
          ack_wait: nanos(redeliverMs),
          // Deliveries are counted and bounded by the slot, which can answer a call that is given up; the server cannot.
          max_deliver: -1,
          max_ack_pending: inHandMax,
        });
        return doubt;
      } catch (error) {
        // A former owner that is still about made its own again.
        if (attempt === 5 || apiCode(error) !== notUnique) throw error;
        await delay(100);
        doubt = await this.fence(slot, epoch);
      }
    }
  }

  /** Is it still there? @throws SlotTakenError when another one is there that counts more */
  async exists(slot: number, epoch: number): Promise<boolean> {
    const epochs = await this.#epochsOf(slot);
    const [higher] = epochs.filter((other) => other > epoch);
    if (higher !== undefined) throw new SlotTakenError(slot, epoch, higher);
    return epochs.includes(epoch);
  }

  async remove(slot: number, epoch: number): Promise<void> {
    const manager = await this.#jetstream();
    for (let attempt = 1; ; attempt += 1) {
      try {
        await manager.consumers.delete(streams.calls, consumerName(slot, epoch));
        return;
      } catch (error) {
        if (apiCode(error) === consumerNotFound) return;
        // A server that is just writing the consumer's state fails to delete its files, though the consumer is gone: asked
        // again, it says so.
        if (attempt === 3) throw error;
        await delay(50);
      }
    }
  }

  /** Frames that were delivered and whose acknowledgement the server has not seen. */
  async unacknowledged(slot: number, epoch: number): Promise<number> {
    const manager = await this.#jetstream();
    return (await manager.consumers.info(streams.calls, consumerName(slot, epoch))).num_ack_pending;
  }

  /** Frames that wait in the stream or are in hand, per slot; for those that have none, no entry. */
  async backlog(): Promise<ReadonlyMap<number, number>> {
    const manager = await this.#jetstream();
    const { state } = await manager.streams.info(streams.calls, { subjects_filter: subjects.allCalls });
    const counts = Object.entries(state.subjects ?? {});
    return new Map(counts.map(([subject, count]) => [Number(subject.slice(subject.lastIndexOf('.') + 1)), count]));
  }

  async #remains(slot: number, epoch: number): Promise<{ delivered: number; oldest: number } | undefined> {
    const manager = await this.#jetstream();
    try {
      const info = await manager.consumers.info(streams.calls, consumerName(slot, epoch));
      const delivered = info.delivered.stream_seq;
      if (info.num_ack_pending === 0) return { delivered, oldest: 0 };
      // A work queue holds what is not acknowledged and nothing else, so that the slot's first message is the oldest one.
      const first = await this.#firstOf(slot);
      return { delivered, oldest: first <= delivered ? first : 0 };
    } catch (error) {
      if (apiCode(error) === consumerNotFound) return undefined;
      throw error;
    }
  }

  async #firstOf(slot: number): Promise<number> {
    const query = JSON.stringify({ seq: 1, next_by_subj: subjects.calls(slot) });
    const answer = await this.#nc.request(`$JS.API.STREAM.MSG.GET.${streams.calls}`, query, { timeout: requestMs });
    const { message } = answer.json<{ message?: { seq?: number } }>();
    return message?.seq ?? Number.POSITIVE_INFINITY;
  }

  /** Highest first. */
  async #epochsOf(slot: number): Promise<number[]> {
    const epochs: number[] = [];
    for (let offset = 0, total = 1; offset < total; ) {
      const subject = `$JS.API.CONSUMER.NAMES.${streams.calls}`;
      const answer = await this.#nc.request(subject, JSON.stringify({ offset }), { timeout: requestMs });
      const page = answer.json<{ total?: number; consumers?: string[] | null; error?: { description?: string } }>();
      if (page.error !== undefined) throw new Error(`the stream ${streams.calls}: ${page.error.description}`);
      const names = page.consumers ?? [];
      const ofSlot = names.map(readConsumerName).filter((name) => name.slot === slot);
      epochs.push(...ofSlot.map(({ epoch }) => epoch));
      total = names.length === 0 ? 0 : (page.total ?? 0);
      offset += names.length;
    }
    return epochs.toSorted((a, b) => b - a);
  }

  #jetstream(): Promise<JetStreamManager> {
    this.#manager ??= this.#nc.jetstreamManager({ checkAPI: false, timeout: requestMs });
    return this.#manager;
  }

  async #slotsBucket(): Promise<KV> {
    this.#bucket ??= await this.#nc.jetstream({ timeout: requestMs }).views.kv(buckets.slots, { bindOnly: true });
    return this.#bucket;
  }
}

/** The opposite of `consumerName`; slot -1 when it is the name of something else. */
export function readConsumerName(name: string): { readonly slot: number; readonly epoch: number } {
  const [, slot = '-1', epoch = '0'] = consumerForm.exec(name) ?? [];
  return { slot: Number(slot), epoch: Number(epoch) };
}

const consumerForm = /^slot-(\d{1,3})-e(\d{1,15})$/;
/** JetStream: filtered consumer not unique on workqueue stream. */
const notUnique = 10100;
