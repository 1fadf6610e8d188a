/**
 * Watches one open connection. Clients cannot see WebSocket pings, and a network that dies without a word leaves a
 * socket open for many minutes: after a silence the client asks, and without an answer in 10 s it gives up.
 *
 * The server says how long a silence is normal; 45 s when it does not, and never outside 1 to 60 s, so that neither a
 * storm of pings nor a dead line of many minutes can come of a wrong number. One timer per connection; a message only
 * notes the time.
 */
import type { Cancel, Clock } from './clock.ts';

const silenceMsDefault = 45_000;
const silenceMsMin = 1000;
const silenceMsMax = 60_000;
const answerMsMax = 10_000;

export class Heartbeat {
  readonly #clock: Clock;
  readonly #ping: () => void;
  readonly #lost: () => void;
  readonly #silenceMs: number;
  #heardAt: number;
  #cancel: Cancel;

  constructor(clock: Clock, heartbeatMs: number | undefined, ping: () => void, lost: () => void) {
    this.#clock = clock;
    this.#ping = ping;
    this.#lost = lost;
    this.#silenceMs = Math.min(Math.max(heartbeatMs ?? silenceMsDefault, silenceMsMin), silenceMsMax);
    this.#heardAt = clock.now();
    this.#cancel = clock.after(this.#silenceMs, () => this.#look());
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
    if (silentMs < this.#silenceMs) {
      this.#cancel = this.#clock.after(this.#silenceMs - silentMs, () => this.#look());
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
