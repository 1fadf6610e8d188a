/**
 * A runtime's end over NATS: the slots that it serves, the gateways that it hears, and what goes from one to the other.
 *
 *   fermata.calls.<slot> ──▶ NatsSlot ──▶ receive          send ──▶ fermata.out.<gateway>
 *   fermata.in.<runtime> ──▶ NatsPresences ──▶ NatsSlot    fermata.beat ──▶ NatsRoster
 *
 * Taking a slot: end the former owners, greet the gateways, wait until they have said who is there, read. Answers leave before the
 * acknowledgement of their frame, on one connection, so that an acknowledged frame's answers are with the server. Without a
 * connection nothing is sent and nothing piles up: gateways see by the numbers of answers that some are missing.
 */
import { createInbox, type Msg, type NatsConnection } from 'nats';
import type { Clock } from '../host/clock.ts';
import { LogGate } from '../host/log-gate.ts';
import type { Logger } from '../host/log.ts';
import type { SlotFrame, SlotLink } from './contract.ts';
import { beatMs, inHandBytesMax } from './nats-bounds.ts';
import { NatsDeadLetters } from './nats-dead-letters.ts';
import { readDelivery } from './nats-delivery.ts';
import { NatsGreeter } from './nats-greeter.ts';
import { subjects } from './nats-names.ts';
import { NatsPost } from './nats-post.ts';
import { NatsPresences } from './nats-presence.ts';
import { NatsRoster } from './nats-roster.ts';
import { NatsSlot } from './nats-slot.ts';
import { NatsSlotConsumers, readConsumerName } from './nats-slot-consumers.ts';
import type { SlotCounts } from './nats-slot-parts.ts';
import { NatsSlotReader } from './nats-slot-reader.ts';
import { cutText } from './nats-split.ts';
import { NatsStandstill } from './nats-standstill.ts';
import { ensureStreams, type StreamSettings } from './nats-streams.ts';
import { pieceOf, readBeat, readOut, readPresence, writeAnswer, writeLost, writeSync } from './nats-wire.ts';

export interface SlotLinkParts {
  /** This runtime's key, by `idPattern`, never used before. */
  readonly runtime: string;
  readonly log: Logger;
  readonly clock: Clock;
  /** To make the streams again should they vanish. */
  readonly streams: StreamSettings;
}

export interface SlotLinkNumbers extends Readonly<SlotCounts> {
  /** Frames that wait for a presence or for one before them. */
  readonly held: number;
  readonly deadLetters: number;
  readonly gateways: number;
  /** Messages, beside calls, that could not be read. */
  readonly unreadable: number;
}

export function natsSlotLink(nc: NatsConnection, parts: SlotLinkParts): NatsSlotLink {
  return new NatsSlotLink(nc, parts);
}

export class NatsSlotLink implements SlotLink {
  readonly #nc: NatsConnection;
  readonly #parts: SlotLinkParts;
  readonly #gate: LogGate;
  readonly #post: NatsPost;
  readonly #consumers: NatsSlotConsumers;
  readonly #deadLetters: NatsDeadLetters;
  readonly #presences: NatsPresences;
  readonly #roster: NatsRoster;
  readonly #standstill: NatsStandstill;
  readonly #greeter: NatsGreeter;
  readonly #inbox = createInbox();
  readonly #slots = new Map<number, NatsSlot>();
  readonly #timers: readonly NodeJS.Timeout[];
  /** Frames that came before there was somebody to receive them. */
  readonly #early: SlotFrame[] = [];
  readonly #counts: SlotCounts = { bytesInHand: 0, redeliveries: 0, copies: 0, malformed: 0, broken: 0 };
  #unreadable = 0;
  #receive: ((frame: SlotFrame) => void) | undefined;
  #onGatewayGone: (gateway: string) => void = () => {};
  #closed = false;

  constructor(nc: NatsConnection, parts: SlotLinkParts) {
    const { log, clock, runtime } = parts;
    this.#nc = nc;
    this.#parts = parts;
    this.#gate = new LogGate(log, clock.monotonic);
    this.#post = new NatsPost(nc, this.#gate, (up) => this.#connection(up));
    this.#consumers = new NatsSlotConsumers(nc);
    this.#deadLetters = new NatsDeadLetters(nc, this.#gate, clock.now);
    this.#presences = new NatsPresences(clock.monotonic);
    this.#roster = new NatsRoster(clock.monotonic);
    this.#standstill = new NatsStandstill(clock.monotonic, () => this.#roster.awake());
    this.#greeter = new NatsGreeter(runtime, clock.monotonic, (subject, data) => this.#post.publish(subject, data));
    this.#post.subscribe(`${this.#inbox}.*`, (message) => this.#pulled(message));
    this.#post.subscribe(subjects.in(runtime), (message) => this.#presence(message));
    this.#post.subscribe(subjects.beat, (message) => this.#beat(message));
    this.#post.subscribe(subjects.hello, (message) => this.#hello(message));
    this.#timers = [
      setInterval(() => this.#tick(), 250).unref(),
      setInterval(() => this.#everySecond(), beatMs).unref(),
    ];
  }

  async take(slot: number, epoch: number): Promise<void> {
    if (this.#closed) throw new Error('the link is closed');
    if (this.#slots.has(slot)) throw new Error(`slot ${slot} is taken already`);
    const taken = this.#newSlot(slot, epoch);
    this.#slots.set(slot, taken);
    try {
      await taken.fence();
      this.#greeter.greetAll(slot, epoch);
      await this.#presences.settled(slot);
      await taken.begin();
    } catch (error) {
      taken.abandon();
      if (this.#slots.get(slot) === taken) this.#slots.delete(slot);
      throw error;
    }
  }

  async release(slot: number): Promise<void> {
    const taken = this.#slots.get(slot);
    if (taken === undefined) return;
    await taken.release();
    if (this.#slots.get(slot) === taken) this.#slots.delete(slot);
  }

  onFrame(receive: (frame: SlotFrame) => void): void {
    this.#receive = receive;
    for (const frame of this.#early.splice(0)) receive(frame);
  }

  onGatewayGone(handler: (gateway: string) => void): void {
    this.#onGatewayGone = handler;
  }

  send(gateway: string, slot: number, records: string): void {
    const taken = this.#slots.get(slot);
    if (this.#closed || taken === undefined) return;
    const cut = cutText(records, this.#post.bodyBytesMax);
    for (const [at, text] of cut.entries()) {
      // Numbered even if it cannot leave now: the gateway sees that one is missing.
      const seq = taken.nextAnswer(gateway);
      const piece = pieceOf(at, cut.length);
      this.#post.publish(
        subjects.out(gateway),
        writeAnswer({ kind: 'answer', slot, epoch: taken.epoch, seq, piece }, text),
      );
    }
  }

  /** Frames of the slots served here that wait in the stream or are in hand. @throws Error when JetStream does not answer */
  async lag(): Promise<{ readonly frames: number }> {
    const backlog = await this.#consumers.backlog();
    return { frames: [...this.#slots.keys()].reduce((sum, slot) => sum + (backlog.get(slot) ?? 0), 0) };
  }

  numbers(): SlotLinkNumbers {
    return {
      ...this.#counts,
      held: [...this.#slots.values()].reduce((sum, { held }) => sum + held, 0),
      deadLetters: this.#deadLetters.count,
      gateways: [...this.#roster.gateways].length,
      unreadable: this.#unreadable,
    };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    for (const taken of this.#slots.values()) taken.abandon();
    this.#slots.clear();
    this.#deadLetters.close();
    // What was sent before is with the server when this settles, if there is one.
    const sent = this.#post.up ? this.#nc.flush() : undefined;
    this.#post.close();
    this.#gate.close();
    await sent?.catch(() => undefined);
  }

  #newSlot(slot: number, epoch: number): NatsSlot {
    const { clock, streams } = this.#parts;
    const reader = (onAway: (reason: string) => void): NatsSlotReader =>
      new NatsSlotReader({
        slot,
        epoch,
        inbox: this.#inbox,
        publish: (subject, payload, reply) => this.#post.publish(subject, payload, reply),
        mayPull: () => this.#counts.bytesInHand < inHandBytesMax,
        frameBytesMax: () => this.#post.bodyBytesMax,
        monotonic: clock.monotonic,
        onAway,
      });
    return new NatsSlot({
      slot,
      epoch,
      clock,
      gate: this.#gate,
      consumers: this.#consumers,
      deadLetters: this.#deadLetters,
      reader,
      deliver: (frame) => this.#deliver(frame),
      acknowledge: (reply, verdict) => this.#post.publish(reply, verdict),
      greet: (gateway) => this.#greeter.greet(gateway, [{ slot, epoch }]),
      tellBroken: (gateway, link) => this.#post.publish(subjects.out(gateway), writeLost(slot, epoch, link)),
      ensureStreams: () => ensureStreams(this.#nc, streams),
      frameBytesMax: () => this.#post.bodyBytesMax,
      counts: this.#counts,
    });
  }

  #deliver(frame: SlotFrame): void {
    if (this.#closed) return;
    if (this.#receive === undefined) this.#early.push(frame);
    else this.#receive(frame);
  }

  /** A frame, or what the server says of a pull: the latter comes to our own subject. */
  #pulled(message: Msg): void {
    if (message.subject.startsWith(this.#inbox)) {
      const [slot = -1, epoch = 0, pull = 0] = message.subject
        .slice(this.#inbox.length + 1)
        .split('-')
        .map(Number);
      const taken = this.#slots.get(slot);
      const { code = 0, description = '' } = message.headers ?? {};
      if (taken?.epoch === epoch) taken.reader.status(pull, code, description);
      return;
    }
    const delivery = readDelivery(message.reply ?? '');
    if (delivery === undefined) return;
    const { slot, epoch } = readConsumerName(delivery.consumer);
    const taken = this.#slots.get(slot);
    if (taken?.epoch === epoch) taken.arrive(message.data, delivery);
  }

  #presence(message: Msg): void {
    const part = readPresence(message.data);
    if (part === undefined) return this.#unread(message);
    if (this.#slots.get(part.slot)?.epoch !== part.epoch) return;
    this.#roster.heard(part.gateway);
    const whole = this.#presences.add(part);
    if (whole !== undefined) this.#slots.get(part.slot)!.present(whole);
  }

  #beat(message: Msg): void {
    const beat = readBeat(message.data);
    if (beat === undefined) return this.#unread(message);
    const { gateway, closing } = beat;
    if (closing) {
      if (this.#roster.left(gateway)) this.#gone(gateway);
      return;
    }
    this.#roster.heard(gateway);
    const strangers = [...this.#slots.values()].filter((taken) => taken.open && taken.awaitsPresence(gateway));
    if (strangers.length > 0) this.#greeter.greet(gateway, strangers);
  }

  /** Perhaps about a slot that was ours. */
  #hello(message: Msg): void {
    const hello = readOut(message.data);
    if (hello?.kind !== 'hello') return this.#unread(message);
    for (const { slot, epoch } of hello.slots) {
      const taken = this.#slots.get(slot);
      if (taken === undefined || epoch <= taken.epoch) continue;
      this.#gate.write('taken', 'warn', { slot, epoch }, 'another runtime serves the slot under a higher epoch');
      taken.abandon();
    }
  }

  #unread(message: Msg): void {
    this.#unreadable += 1;
    this.#gate.write('malformed', 'warn', { subject: message.subject }, 'a message from a gateway could not be read');
  }

  #gone(gateway: string): void {
    for (const taken of this.#slots.values()) taken.gone(gateway);
    this.#onGatewayGone(gateway);
  }

  #connection(up: boolean): void {
    if (!up) return;
    this.#roster.awake();
    for (const taken of this.#slots.values()) taken.back();
  }

  #tick(): void {
    if (this.#standstill.justOver() || !this.#post.up) return;
    this.#presences.tick();
    for (const taken of this.#slots.values()) taken.tick();
  }

  #everySecond(): void {
    if (this.#standstill.justOver() || !this.#post.up) return;
    for (const gateway of this.#roster.silent()) this.#gone(gateway);
    for (const gateway of this.#roster.gateways) {
      const positions = [...this.#slots.values()].flatMap((taken) => taken.positionFor(gateway) ?? []);
      if (positions.length > 0) this.#post.publish(subjects.out(gateway), writeSync(this.#parts.runtime, positions));
    }
  }
}
