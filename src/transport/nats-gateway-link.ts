/**
 * A gateway thread's end over NATS. Its "shards" are the slots of tenants.
 *
 *   send ──▶ NatsPublisher ── fermata.calls.<slot> ──▶ stream          receive ◀── NatsAnswers ◀── fermata.out.<gateway>, fermata.hello
 *                                                                      turnover ── fermata.in.<runtime> ──▶
 *
 * Frames wait in the stream while nobody serves their slot. Whoever begins to serve it says hello and hears who is there.
 * When answers or frames are known to be lost, `onLost` tells, the slot's link begins anew, and a turnover follows: nothing that
 * waits stays without an end. Handlers are to be set in the tick in which the link is made.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Msg, NatsConnection } from 'nats';
import type { Clock } from '../host/clock.ts';
import { LogGate } from '../host/log-gate.ts';
import type { Logger } from '../host/log.ts';
import { slotOf } from '../protocol/placement.ts';
import type { RemoteLink } from './contract.ts';
import { NatsAnswers } from './nats-answers.ts';
import { beatMs, makeAgainMs } from './nats-bounds.ts';
import { slots, subjects } from './nats-names.ts';
import { refuseOversize } from './nats-oversize.ts';
import { NatsPost } from './nats-post.ts';
import { NatsPublisher } from './nats-publisher.ts';
import { ensureStreams, type StreamSettings } from './nats-streams.ts';
import { sortTurnover } from './nats-turnover.ts';
import { readOut, writeBeat, writePresence } from './nats-wire.ts';

export interface GatewayLinkParts {
  /** This gateway thread's key, by `idPattern`, never used before. */
  readonly gateway: string;
  readonly log: Logger;
  readonly clock: Clock;
  /** To make the streams again should they vanish. */
  readonly streams: StreamSettings;
}

export interface GatewayLinkNumbers {
  /** Bytes that the stream has not acknowledged. */
  readonly unackedBytes: number;
  /** Frames that the stream refused, and that were published again. */
  readonly refusals: number;
  readonly repeats: number;
  /** Times that a slot's answers or frames were lost. */
  readonly losses: number;
  /** Messages that could not be read. */
  readonly malformed: number;
}

export function natsGatewayLink(nc: NatsConnection, parts: GatewayLinkParts): NatsGatewayLink {
  return new NatsGatewayLink(nc, parts);
}

export class NatsGatewayLink implements RemoteLink {
  readonly shards = slots;
  readonly #nc: NatsConnection;
  readonly #parts: GatewayLinkParts;
  readonly #gate: LogGate;
  readonly #post: NatsPost;
  readonly #publisher: NatsPublisher;
  readonly #answers: NatsAnswers;
  readonly #timers: NodeJS.Timeout[] = [];
  /** Slots given up in this tick, and why. */
  readonly #givenUp = new Map<number, string>();
  /** Answers that came before there was somebody to receive them. */
  readonly #early: (readonly [records: string, slot: number])[] = [];
  #receive: ((frame: string, slot: number) => void) | undefined;
  #onTurnover: (slot: number) => void = () => {};
  #onLost: (slot: number) => void = () => {};
  /** Frames for the slot that the handler of its turnover sends, while it runs. */
  #captured: { readonly slot: number; readonly frames: string[] } | undefined;
  #ensuring = false;
  #closed = false;
  #losses = 0;
  #malformed = 0;

  constructor(nc: NatsConnection, parts: GatewayLinkParts) {
    this.#nc = nc;
    this.#parts = parts;
    this.#gate = new LogGate(parts.log, parts.clock.monotonic);
    this.#post = new NatsPost(nc, this.#gate, (up) => this.#connection(up));
    this.#answers = new NatsAnswers({
      answer: (slot, records) => this.#answer(slot, records),
      lost: (slot, reason) => this.#lost(slot, reason),
      turnover: (slot, epoch, runtime) => this.#turnover(slot, epoch, runtime),
      linkOf: (slot) => this.#publisher.linkOf(slot),
    });
    this.#publisher = new NatsPublisher({
      post: this.#post,
      gateway: parts.gateway,
      clock: parts.clock,
      epochOf: (slot) => this.#answers.epochOf(slot),
      onGivenUp: (slot, reason) => this.#giveUp(slot, reason),
      onOversize: (slot, envelopes) => this.#refuse(slot, envelopes),
      onStreamAway: () => void this.#ensureStreams(),
    });
    this.#post.subscribe(`${subjects.acks(parts.gateway)}.*`, (message) => this.#publisher.acknowledgement(message));
    const read = (message: Msg): void => this.#read(message);
    this.#post.subscribe(subjects.out(parts.gateway), read);
    this.#post.subscribe(subjects.hello, read);
    this.#timers.push(setInterval(() => this.#publisher.tick(), 100).unref());
    this.#timers.push(setInterval(() => this.#beat(false), beatMs).unref());
    // Handlers are set before anything can come.
    this.#beat(false);
  }

  get unackedFrames(): number {
    return this.#publisher.frames;
  }

  place(tenant: string): number {
    return slotOf(tenant, slots);
  }

  accepts(slot: number): boolean {
    return this.#publisher.accepts(slot);
  }

  send(slot: number, frame: string): void {
    if (this.#closed || this.#givenUp.has(slot)) return;
    if (this.#captured?.slot === slot) this.#captured.frames.push(frame);
    else this.#publisher.send(slot, frame);
  }

  onFrame(receive: (frame: string, slot: number) => void): void {
    this.#receive = receive;
    for (const [records, slot] of this.#early.splice(0)) receive(records, slot);
  }

  onTurnover(handler: (slot: number) => void): void {
    this.#onTurnover = handler;
  }

  onLost(handler: (slot: number) => void): void {
    this.#onLost = handler;
  }

  numbers(): GatewayLinkNumbers {
    const { bytes, refusals, repeats } = this.#publisher;
    return {
      unackedBytes: bytes,
      refusals,
      repeats,
      losses: this.#losses,
      malformed: this.#malformed,
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#beat(true);
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    this.#post.close();
    this.#gate.close();
  }

  #answer(slot: number, records: string): void {
    if (this.#receive === undefined) this.#early.push([records, slot]);
    else this.#receive(records, slot);
  }

  #read(message: Msg): void {
    const read = readOut(message.data);
    if (read !== undefined) return this.#answers.receive(read);
    this.#malformed += 1;
    this.#gate.write('malformed', 'warn', { subject: message.subject }, 'a message from a runtime could not be read');
  }

  #connection(up: boolean): void {
    if (!up) {
      this.#publisher.away();
      return this.#answers.interrupted();
    }
    this.#beat(false);
    this.#publisher.back();
  }

  #beat(closing: boolean): void {
    this.#post.publish(subjects.beat, writeBeat({ gateway: this.#parts.gateway, closing }));
  }

  /** Not at once, too: whoever sends is not answered before it has sent. */
  #refuse(slot: number, envelopes: readonly unknown[]): void {
    const about = { slot, envelopes: envelopes.length, bytesMax: this.#post.bodyBytesMax };
    this.#gate.write('oversize', 'error', about, `a call does not fit into a message of NATS. ${payloadHint}`);
    const records = refuseOversize(envelopes);
    if (records === undefined) return this.#giveUp(slot, 'a session or subscription is longer than max_payload');
    setImmediate(() => {
      if (!this.#closed) this.#answer(slot, records);
    });
  }

  /** Not at once: it is found out in the middle of a sending. What comes until then goes the same way. */
  #giveUp(slot: number, reason: string): void {
    if (this.#givenUp.size === 0) setImmediate(() => this.#endGivenUp());
    if (!this.#givenUp.has(slot)) this.#givenUp.set(slot, reason);
  }

  #endGivenUp(): void {
    const given = [...this.#givenUp];
    this.#givenUp.clear();
    if (!this.#closed) for (const [slot, reason] of given) this.#answers.lost(slot, reason);
  }

  #lost(slot: number, reason: string): void {
    this.#losses += 1;
    const waiting = { slot, reason, link: this.#publisher.linkOf(slot) };
    this.#gate.write('lost', 'warn', waiting, 'what waits for answers of the slot ends unknown');
    this.#publisher.reset(slot);
    this.#onLost(slot);
  }

  #turnover(slot: number, epoch: number, runtime: string): boolean {
    if (!this.#post.up || this.#captured !== undefined) return false;
    const captured = this.#capture(slot);
    const { gateway } = this.#parts;
    const link = this.#publisher.linkOf(slot);
    const { presence, rest } = sortTurnover(captured, this.#post.bodyBytesMax);
    if (presence.length === 0)
      this.#gate.write(
        'presence',
        'error',
        { slot, bytesMax: this.#post.bodyBytesMax },
        `a session, or the list of all sessions of the slot, does not fit into a message of NATS: its calls are not taken. ${payloadHint}`,
      );
    for (const [at, text] of presence.entries()) {
      const part = { gateway, slot, epoch, link, part: at + 1, last: at + 1 === presence.length, text };
      this.#post.publish(subjects.in(runtime), writePresence(part));
    }
    if (rest !== undefined) this.#publisher.send(slot, rest);
    return true;
  }

  #capture(slot: number): readonly string[] {
    const captured = { slot, frames: [] };
    this.#captured = captured;
    try {
      this.#onTurnover(slot);
    } finally {
      this.#captured = undefined;
    }
    return captured.frames;
  }

  /** The stream vanished, with its store perhaps: it is made again. */
  async #ensureStreams(): Promise<void> {
    if (this.#ensuring || this.#closed) return;
    this.#ensuring = true;
    await delay(makeAgainMs, undefined, { ref: false });
    try {
      await ensureStreams(this.#nc, this.#parts.streams);
    } catch (error) {
      this.#gate.write('streams', 'error', { error: String(error) }, 'the streams on NATS could not be made again');
    }
    this.#ensuring = false;
  }
}

const payloadHint = 'Hint: raise max_payload of the NATS server';
