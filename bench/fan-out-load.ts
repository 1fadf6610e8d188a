/**
 * Load of broadcasts: one writer raises a counter, all subscribers are told. A call counts as delivered when the last
 * subscriber has its number or a later one; its latency is the time from the call to that moment.
 *
 * Closed loop: `pipelined` calls may be on their way to subscribers. Both ends are in this process, on one clock.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { within } from './call-load.ts';
import { FrameRing, numberPlaceholder } from './frame-template.ts';
import type { FanOutJob, LoadResult } from './load-job.ts';
import { RawWebSocket } from './raw-websocket.ts';
import { Tally } from './tally.ts';

const replyMsMax = 10_000;
const [zero, nine, quote] = [0x30, 0x39, 0x22];
/** Calls in flight are told apart by their lowest bits. */
const slots = 4096;

export async function runFanOut(job: FanOutJob): Promise<LoadResult> {
  const fanOut = new FanOut(job, await RawWebSocket.connect(job.writer, job.token));
  await fanOut.subscribeAll();
  fanOut.start();
  const measured = await fanOut.tally.measure(job.window, job.serverPid, () => fanOut.stop());
  fanOut.close();
  return { ...measured, sampleReply: fanOut.sampleReply, counted: undefined };
}

class FanOut {
  readonly tally = new Tally();
  sampleReply = '';
  readonly #job: FanOutJob;
  readonly #marker: Buffer;
  readonly #writer: RawWebSocket;
  readonly #ring: FrameRing;
  #subscribers: RawWebSocket[] = [];
  /** The number that the counter held before the first call: the n-th call raises it to `#before + n`. */
  #before = 0;
  /** The highest number that each subscriber has. */
  readonly #has: Int32Array;
  /** Subscribers that do not have a call yet, by slot. */
  readonly #missing = new Int32Array(slots);
  readonly #sentAtMs = new Float64Array(slots);
  #sent = 0;
  #delivered = 0;
  /** Delivered since calls were last sent. */
  #free = 0;
  #running = false;

  constructor(job: FanOutJob, writer: RawWebSocket) {
    this.#job = job;
    this.#writer = writer;
    this.#marker = Buffer.from(job.marker);
    this.#has = new Int32Array(job.subscribers);
    const { actor, actorId, method } = job;
    this.#ring = new FrameRing(
      JSON.stringify({ type: 'rpc', id: numberPlaceholder, actor, actorId, method, input: {} }),
      job.pipelined,
    );
    writer.onFailure = (reason) => this.tally.break(reason);
    writer.onText = (bytes, start, end) => this.#reply(bytes, start, end);
  }

  async subscribeAll(): Promise<void> {
    const { subscriber, token, subscribers } = this.#job;
    this.#subscribers = await Promise.all(
      Array.from({ length: subscribers }, () => RawWebSocket.connect(subscriber, token)),
    );
    const values = await Promise.all(this.#subscribers.map((socket) => this.#subscribe(socket)));
    this.#before = values[0] ?? 0;
    this.#has.fill(this.#before);
    for (const [index, socket] of this.#subscribers.entries()) {
      socket.onText = (bytes, start, end) => this.#receive(index, bytes, start, end);
      socket.onReadEnd = () => this.#goOn();
    }
  }

  start(): void {
    this.#running = true;
    this.#send(this.#job.pipelined);
  }

  async stop(): Promise<void> {
    this.#running = false;
    for (let waitedMs = 0; this.#delivered < this.#sent && waitedMs < replyMsMax; waitedMs += 5) await pause(5);
    const missing = this.#sent - this.#delivered;
    if (missing > 0) this.tally.fault(`${missing} calls did not reach all subscribers`);
  }

  close(): void {
    for (const socket of [this.#writer, ...this.#subscribers]) socket.close();
  }

  /** Settles with the number in the snapshot. A bare server answers nothing: there, connecting is enough. */
  async #subscribe(socket: RawWebSocket): Promise<number> {
    socket.onFailure = (reason) => this.tally.break(reason);
    const { token, actor, actorId } = this.#job;
    if (token === undefined) return 0;
    const snapshot = new Promise<number>((resolve) => {
      socket.onText = (bytes, start, end) => {
        if (bytes.toString('latin1', start, start + 14) === '{"type":"error') this.tally.error(bytes, start, end);
        const number = this.#numberIn(bytes, start, end);
        if (number !== undefined) resolve(number);
      };
    });
    socket.sendText(JSON.stringify({ type: 'state:sub', actor, actorId }));
    return await within(replyMsMax, snapshot);
  }

  #reply(bytes: Buffer, start: number, end: number): void {
    const text = bytes.toString('latin1', start, Math.min(end, start + 60));
    if (!text.startsWith('{"type":"rpc')) return;
    if (this.sampleReply === '') this.sampleReply = bytes.toString('utf8', start, end);
    if (text.includes('","error":')) this.tally.error(bytes, start, end);
  }

  #receive(index: number, bytes: Buffer, start: number, end: number): void {
    const number = this.#numberIn(bytes, start, end);
    if (number === undefined) return;
    const nowMs = performance.now();
    for (let had = this.#has[index]!; had < number; had += 1) {
      const slot = (had + 1 - this.#before) & (slots - 1);
      this.#missing[slot]! -= 1;
      if (this.#missing[slot] !== 0) continue;
      this.#delivered += 1;
      this.#free += 1;
      this.tally.call(nowMs - this.#sentAtMs[slot]!);
    }
    this.#has[index] = number;
  }

  /** The number behind the marker, with or without quotes. */
  #numberIn(bytes: Buffer, start: number, end: number): number | undefined {
    let at = bytes.indexOf(this.#marker, start);
    if (at < 0 || at >= end) return undefined;
    at += this.#marker.length;
    if (bytes[at] === quote) at += 1;
    let number = 0;
    for (let digit = bytes[at]!; digit >= zero && digit <= nine; digit = bytes[at]!) {
      number = number * 10 + digit - zero;
      at += 1;
    }
    return number;
  }

  #goOn(): void {
    const free = this.#free;
    this.#free = 0;
    if (this.#running && free > 0) this.#send(free);
  }

  #send(count: number): void {
    const nowMs = performance.now();
    this.#ring.begin(count);
    for (let left = count; left > 0; left -= 1) {
      this.#sent += 1;
      const slot = this.#sent & (slots - 1);
      this.#missing[slot] = this.#job.subscribers;
      this.#sentAtMs[slot] = nowMs;
      this.#ring.add(this.#sent);
    }
    this.#writer.write(this.#ring.end());
  }
}
