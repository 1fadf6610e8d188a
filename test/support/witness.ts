/**
 * One caller who appends entries that never recur to one list, each with a key, and remembers what it was told: the witness in
 * questions of which of two processes may still say something. A list that begins anew shows in the lengths that it is told.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { slotOf } from '../../src/protocol/placement.ts';
import { slots } from '../../src/transport/nats-names.ts';
import { getState, post } from './http.ts';
import { mint } from './token.ts';

export interface Told {
  readonly entry: string;
  /** Of the list, as the answer had it. */
  readonly length: number;
}

export interface WitnessOptions {
  /** Gateways, called in turn. */
  readonly addresses: readonly string[];
  readonly tenant: string;
  readonly list: string;
}

const pauseMs = 20;

export class Witness {
  /** Acknowledged entries, in the order of their calls. */
  readonly told: Told[] = [];
  /** Answers that promised nothing. */
  refused = 0;
  readonly #options: WitnessOptions;
  readonly #calling: Promise<void>;
  #stopped = false;

  constructor(options: WitnessOptions) {
    this.#options = options;
    this.#calling = this.#call();
  }

  /** Where the list is. */
  get slot(): number {
    return slotOf(this.#options.tenant, slots);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#calling;
  }

  /** What the list holds now. @throws Error when nobody says */
  async entries(): Promise<string[]> {
    const { addresses, tenant, list } = this.#options;
    const { status, text, json } = await getState(addresses[0]!, 'list', list, { token: await mint({ tenant }) });
    if (status !== 200) throw new Error(`the list cannot be read: ${status} ${text}`);
    return json()['entries'] as string[];
  }

  async #call(): Promise<void> {
    const { addresses, tenant, list } = this.#options;
    const token = await mint({ tenant });
    for (let n = 1; !this.#stopped; n += 1) {
      const entry = `${n}`;
      const ask = { token, key: entry, input: { entry } };
      const answer = await post(addresses[n % addresses.length]!, ['list', list, 'append'], ask).catch(() => undefined);
      if (answer?.status === 200) this.told.push({ entry, length: answer.json().result as number });
      else this.refused += 1;
      await sleep(pauseMs);
    }
  }
}

/** Those that were told since the list began anew for the last time; all when it never did. */
export function sinceRestart(told: readonly Told[]): Told[] {
  const fall = told.findLastIndex(({ length }, n) => n > 0 && length <= told[n - 1]!.length);
  return told.slice(Math.max(0, fall));
}
