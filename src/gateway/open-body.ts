/**
 * The body of an answer that has no end yet: chunks, written as they come.
 *
 *   write ──▶ waiting, counted here ── piece by piece ──▶ uWebSockets ──▶ socket
 *
 * uWebSockets buffers without a bound what a client does not take, and does not say how much. So it gets one piece at a time,
 * and the next one when it has sent that. Whoever writes looks at `bufferedBytes` and decides.
 *
 * Invariant: nothing touches the response after `end`, `close` or `gone`.
 */
import type { HttpResponse } from 'uWebSockets.js';

const pieceBytesMax = 64 * 1024;

export class OpenBody {
  #res: HttpResponse | undefined;
  /** Bytes of the piece that uWebSockets could not send whole; 0 when it can take the next. */
  #heldBytes = 0;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  /** Means nothing to the reader between two texts. */
  readonly #filler: string;

  constructor(res: HttpResponse, filler: string) {
    this.#res = res;
    this.#filler = filler;
    res.onWritable(() => this.#goOn());
  }

  get bufferedBytes(): number {
    return this.#heldBytes + this.#waitingBytes;
  }

  write(text: string): void {
    if (this.#res === undefined) return;
    const bytes = Buffer.from(text);
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#heldBytes === 0) this.#res.cork(() => this.#sendWaiting());
  }

  /** What is buffered is still sent, then this. */
  end(text: string): void {
    const res = this.#res;
    const last = Buffer.concat([...this.#waiting, Buffer.from(text)]);
    this.gone();
    // Not with `closeConnection`: in the middle of a chunked body that would write a header line.
    res?.cork(() => res.end(last));
  }

  /** Nothing more is sent, also of what is buffered. */
  close(): void {
    const res = this.#res;
    this.gone();
    res?.close();
  }

  /** The client has gone. */
  gone(): void {
    this.#res = undefined;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#heldBytes = 0;
  }

  /** The socket takes something again. True when it has taken all. */
  #goOn(): boolean {
    this.#res?.cork(() => {
      // Only a write moves what uWebSockets holds: a byte of what comes next, or the filler, tells whether that has gone.
      if (this.#res?.write(this.#take(1) ?? this.#filler) !== true) return;
      this.#heldBytes = 0;
      this.#sendWaiting();
    });
    return this.#heldBytes === 0;
  }

  #sendWaiting(): void {
    while (this.#res !== undefined && this.#heldBytes === 0) {
      const piece = this.#take(pieceBytesMax);
      if (piece === undefined) return;
      if (!this.#res.write(piece)) this.#heldBytes = piece.length;
    }
  }

  /** The next bytes that wait, of one text. */
  #take(bytesMax: number): Buffer | undefined {
    const [next] = this.#waiting;
    if (next === undefined) return undefined;
    const piece = next.subarray(0, bytesMax);
    if (piece.length === next.length) this.#waiting.shift();
    else this.#waiting[0] = next.subarray(bytesMax);
    this.#waitingBytes -= piece.length;
    return piece;
  }
}
