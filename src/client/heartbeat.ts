/**
 * Watches one open connection. Clients cannot see WebSocket pings, and a network that dies without a word leaves a
 * socket open for many minutes: after 45 s of silence the client asks, and without an answer in 10 s it gives up.
 *
 * One timer per connection; a message only notes the time.
 */
import type { Cancel, Clock } from './clock.ts';

const silenceMsMax = 45_000;
const answerMsMax = 10_000;

export class Heartbeat {
  readonly #clock: Clock;
  readonly #ping: () => void;
  readonly #lost: () => void;
  #heardAt: number;
  #cancel: Cancel;

  constructor(clock: Clock, ping: () => void, lost: () => void) {
    this.#clock = clock;
    this.#ping = ping;
    this.#lost = lost;
    this.#heardAt = clock.now();
    this.#cancel = clock.after(silenceMsMax, () => this.#look());
  }

  /** Something arrived. */
  heard(): void {
    this.#heardAt = this.#clock.now();
  }

  stop(): void {
    this.#cancel();
  }

  #look(): void {
    const silentMs = this.#clock.now() - this.#heardAt;
    if (silentMs < silenceMsMax) {
      this.#cancel = this.#clock.after(silenceMsMax - silentMs, () => this.#look());
      return;
    }
    const askedAt = this.#clock.now();
    this.#cancel = this.#clock.after(answerMsMax, () => {
      if (this.#heardAt < askedAt) this.#lost();
      else this.#look();
    });
    this.#ping();
  }
}
