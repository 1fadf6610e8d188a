/**
 * Envelopes on their way to the shards: gathered per shard, sent as one frame when the tick ends, or earlier when much has
 * come together.
 */
import { InboundFrame } from '../protocol/envelope.ts';
import type { GatewayLink } from '../transport/contract.ts';

/** A frame is sent before the tick ends when it holds this much: structured clone of strings blocks both threads. */
const frameCharsMax = 1024 * 1024;
/**
 * Envelopes after which a frame is sent before the tick ends, so that the shard begins while this thread still reads:
 * otherwise the two work in turns, each idle for half of the time.
 */
const frameCallsMax = 64;
/** What an envelope adds to its text, roughly. */
const envelopeChars = 64;

export class ShardFrames {
  readonly #link: GatewayLink;
  readonly #frames: { readonly frame: InboundFrame; chars: number }[];
  readonly #monotonic: () => number;
  #flushPlanned = false;
  #tickMs = 0;

  constructor(link: GatewayLink, monotonic: () => number) {
    this.#link = link;
    this.#monotonic = monotonic;
    this.#frames = Array.from({ length: link.shards }, () => ({ frame: new InboundFrame(), chars: 0 }));
  }

  /** When this tick's first envelope came, whatever it was: one look at the clock for all of them. */
  get tickMs(): number {
    return this.#tickMs;
  }

  /** The frame to add one envelope to; `chars`: what it carries, roughly. */
  for(shard: number, chars: number): InboundFrame {
    const to = this.#frames[shard]!;
    if (to.chars + chars > frameCharsMax || to.frame.count >= frameCallsMax) this.#send(shard);
    to.chars += chars + envelopeChars;
    if (!this.#flushPlanned) {
      this.#flushPlanned = true;
      this.#tickMs = this.#monotonic();
      setImmediate(() => this.flush());
    }
    return to.frame;
  }

  /** Sends what `fill` adds for the shard at once and by itself. What was gathered before stays, to be sent after it. */
  ahead(shard: number, fill: () => void): void {
    const gathered = this.#frames[shard]!;
    this.#frames[shard] = { frame: new InboundFrame(), chars: 0 };
    fill();
    this.#send(shard);
    this.#frames[shard] = gathered;
  }

  flush(): void {
    this.#flushPlanned = false;
    for (let shard = 0; shard < this.#frames.length; shard += 1) this.#send(shard);
  }

  /** What was gathered for the shard is moot. */
  drop(shard: number): void {
    this.#frames[shard]!.frame.take();
    this.#frames[shard]!.chars = 0;
  }

  #send(shard: number): void {
    const from = this.#frames[shard]!;
    const frame = from.frame.take();
    from.chars = 0;
    if (frame !== undefined) this.#link.send(shard, frame);
  }
}
