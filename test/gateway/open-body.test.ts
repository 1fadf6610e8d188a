import { describe, expect, it } from 'vitest';
import type { HttpResponse } from 'uWebSockets.js';
import { OpenBody } from '../../src/gateway/open-body.ts';

/** A response whose socket takes `room` bytes, and what was handed to it. */
class SlowResponse {
  room = Number.POSITIVE_INFINITY;
  text = '';
  heldMax = 0;
  ended = false;
  #held = 0;
  #onWritable: () => boolean = () => true;

  cork(act: () => void): void {
    act();
  }

  onWritable(act: () => boolean): void {
    this.#onWritable = act;
  }

  write(chunk: string | Buffer): boolean {
    this.text += Buffer.from(chunk).toString('latin1');
    this.#held += Buffer.byteLength(chunk);
    this.#flush();
    this.heldMax = Math.max(this.heldMax, this.#held);
    return this.#held === 0;
  }

  end(chunk: Buffer): void {
    this.text += chunk.toString('latin1');
    this.ended = true;
  }

  close(): void {
    this.ended = true;
  }

  /** The socket takes so many bytes more. */
  take(bytes: number): void {
    this.room += bytes;
    this.#onWritable();
  }

  #flush(): void {
    const bytes = Math.min(this.room, this.#held);
    this.room -= bytes;
    this.#held -= bytes;
  }
}

function start(): { response: SlowResponse; body: OpenBody } {
  const response = new SlowResponse();
  return { response, body: new OpenBody(response as unknown as HttpResponse, ':') };
}

describe('a body without an end', () => {
  it('hands over one piece at a time, counts the rest, and breaks no text apart with its filler', () => {
    const { response, body } = start();
    response.room = 10;
    const texts = ['a'.repeat(200_000), 'é'.repeat(50_000), 'end'];
    for (const text of texts) body.write(text);
    const whole = Buffer.from(texts.join('')).toString('latin1');
    expect(body.bufferedBytes).toBe(whole.length);
    for (let n = 0; n < 1000 && body.bufferedBytes > 0; n += 1) response.take(1000);
    expect(body.bufferedBytes).toBe(0);
    // Once, at the end: the piece that was held had to be pushed.
    expect(response.text.replace(/:+$/, '')).toBe(whole);
    expect(response.heldMax).toBeLessThan(70_000);
  });

  it('ends after all that waits, and nothing touches it after that', () => {
    const { response, body } = start();
    response.room = 0;
    body.write('one');
    body.write('two');
    body.end('three');
    body.write('four');
    body.close();
    expect([response.text, response.ended, body.bufferedBytes]).toEqual(['onetwothree', true, 0]);
  });
});
