/**
 * Presences on their way: parts that come one by one, kept until the last one is there. A part that is missing spoils its
 * presence, which is dropped; its gateway is then asked again. Bounded in time, parts and text.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { presenceCharsMax, presenceMs, presencePartsMax, settleMs, settleMsMax } from './nats-bounds.ts';
import type { PresencePart } from './nats-wire.ts';

interface Coming {
  readonly parts: PresencePart[];
  readonly sinceMs: number;
  chars: number;
}

export class NatsPresences {
  readonly #monotonic: () => number;
  readonly #coming = new Map<string, Coming>();
  #chars = 0;

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** The whole presence, when this part is its last one. */
  add(part: PresencePart): readonly PresencePart[] | undefined {
    const name = `${part.slot} ${part.gateway}`;
    if (part.part === 1) this.#drop(name);
    const coming = this.#coming.get(name) ?? { parts: [], sinceMs: this.#monotonic(), chars: 0 };
    const [first = part] = coming.parts;
    const fits = part.part === coming.parts.length + 1 && part.link === first.link && part.epoch === first.epoch;
    if (!fits || part.part > presencePartsMax || this.#chars + part.text.length > presenceCharsMax) {
      this.#drop(name);
      return undefined;
    }
    coming.parts.push(part);
    coming.chars += part.text.length;
    this.#chars += part.text.length;
    this.#coming.set(name, coming);
    if (!part.last) return undefined;
    this.#drop(name);
    return coming.parts;
  }

  /** Has one of the slot begun that is not complete? */
  pending(slot: number): boolean {
    for (const { parts } of this.#coming.values()) if (parts[0]?.slot === slot) return true;
    return false;
  }

  /** Gateways have had time to begin, and those that began have ended, or took too long. */
  async settled(slot: number): Promise<void> {
    const sinceMs = performance.now();
    for (let waitedMs = 0; waitedMs < settleMsMax; waitedMs = performance.now() - sinceMs) {
      if (waitedMs >= settleMs && !this.pending(slot)) return;
      await delay(20, undefined, { ref: false });
    }
  }

  tick(): void {
    const nowMs = this.#monotonic();
    for (const [name, { sinceMs }] of this.#coming) if (nowMs - sinceMs >= presenceMs) this.#drop(name);
  }

  #drop(name: string): void {
    this.#chars -= this.#coming.get(name)?.chars ?? 0;
    this.#coming.delete(name);
  }
}
