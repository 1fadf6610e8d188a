/**
 * A closed loop on one connection: so many calls in flight, and for each answer the next call. Answers that come in one
 * read are followed by their calls in one write.
 *
 * A reply is recognised by its bytes at fixed places. The frames, each up to the id:
 *
 *     {"type":"rpc:result","id":"00000012","result":…   Fermata, naive; `"error":` in place of `"result":` is an error
 *     {"type":"rpc","id":"00000012","actor":…           echo: the call itself comes back
 *
 * Every number is answered exactly once; anything else counts as an error.
 */
import { type FrameRing, numberDigits } from './frame-template.ts';
import type { RawWebSocket } from './raw-websocket.ts';
import type { Tally } from './tally.ts';

const resultIdAt = '{"type":"rpc:result","id":"'.length;
const echoIdAt = '{"type":"rpc","id":"'.length;
const typeAt = '{"type":"'.length;
const afterRpcAt = '{"type":"rpc'.length;
/** From the id's end to the first letter of the next key. */
const nextKeyAfter = '","'.length;
const [letterE, letterR, colon, zero] = [0x65, 0x72, 0x3a, 0x30];
/** Numbers in flight are told apart by their lowest bits; far more than are ever in flight on one connection. */
const slots = 4096;

export class CallLoop {
  readonly #socket: RawWebSocket;
  readonly #ring: FrameRing;
  readonly #tally: Tally;
  readonly #sentAtMs = new Float64Array(slots);
  /** The number in flight in each slot; -1 when none is. */
  readonly #inSlot = new Int32Array(slots).fill(-1);
  #nextNumber: number;
  #inFlight = 0;
  #answered = 0;
  #readAtMs = 0;
  #running = false;
  #onIdle: (() => void) | undefined;

  /** Takes over the socket's callbacks. Numbers are counted from `firstNumber`. */
  constructor(socket: RawWebSocket, ring: FrameRing, tally: Tally, firstNumber: number) {
    this.#socket = socket;
    this.#ring = ring;
    this.#tally = tally;
    this.#nextNumber = firstNumber;
    socket.onText = (bytes, start, end) => this.#answer(bytes, start, end);
    socket.onReadEnd = () => this.#goOn();
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Calls that were answered without an error since the start. */
  completed = 0;

  start(pipelined: number): void {
    this.#running = true;
    this.#send(pipelined);
  }

  /** No new calls; settles when those in flight are answered. */
  stop(): Promise<void> {
    this.#running = false;
    if (this.#inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }

  #answer(bytes: Buffer, start: number, end: number): void {
    if (bytes[start + typeAt] !== letterR) {
      // Patches, events and the welcome pass by; an `error` frame says that something was refused.
      if (bytes[start + typeAt] === letterE && bytes[start + typeAt + 1] === letterR)
        this.#tally.error(bytes, start, end);
      return;
    }
    const idAt = start + (bytes[start + afterRpcAt] === colon ? resultIdAt : echoIdAt);
    let number = 0;
    for (let at = idAt; at < idAt + numberDigits; at += 1) number = number * 10 + bytes[at]! - zero;
    const slot = number & (slots - 1);
    if (this.#inSlot[slot] !== number) return this.#tally.error(bytes, start, end);
    this.#inSlot[slot] = -1;
    if (this.#readAtMs === 0) this.#readAtMs = performance.now();
    this.#inFlight -= 1;
    this.#answered += 1;
    if (bytes[idAt + numberDigits + nextKeyAfter] === letterE) return this.#tally.error(bytes, start, end);
    this.completed += 1;
    this.#tally.call(this.#readAtMs - this.#sentAtMs[slot]!);
  }

  #goOn(): void {
    const answered = this.#answered;
    this.#answered = 0;
    this.#readAtMs = 0;
    if (this.#running) {
      if (answered > 0) this.#send(answered);
    } else if (this.#inFlight === 0) this.#onIdle?.();
  }

  #send(count: number): void {
    const ring = this.#ring;
    const nowMs = performance.now();
    ring.begin(count);
    for (let sent = 0; sent < count; sent += 1) {
      const number = this.#nextNumber++;
      const slot = number & (slots - 1);
      this.#inSlot[slot] = number;
      this.#sentAtMs[slot] = nowMs;
      ring.add(number);
    }
    this.#inFlight += count;
    this.#socket.write(ring.end());
  }
}
