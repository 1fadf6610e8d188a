/**
 * Holds back what would leave the first data of a slot until main has it on record that the slot's data lies here: from then on
 * nobody else takes the slot, so that its data cannot be in two places.
 *
 *   frame ─▶ gate ── nothing said that opens a session, or marked ──▶ read
 *              └── held; main hears of the slot by `next`, and says `open` ──▶ read, in order
 *
 * Invariant: frames of one slot leave in the order in which they came. What is held is bounded by what NATS hands out at once.
 */
import { inboundOp } from '../protocol/envelope.ts';
import type { SlotFrame } from '../transport/contract.ts';

interface Slot {
  marked: boolean;
  readonly held: SlotFrame[];
  /** Who waits until nothing is held. */
  waiting: (() => void)[];
}

export class SlotGate {
  readonly #read: (frame: SlotFrame) => void;
  readonly #slots = new Map<number, Slot>();
  readonly #unmarked: number[] = [];
  readonly #holds: boolean;
  #asking: ((slot: number | undefined) => void)[] = [];
  #closed = false;

  /** Without `holds` every slot counts as marked. */
  constructor(read: (frame: SlotFrame) => void, holds: boolean) {
    this.#read = read;
    this.#holds = holds;
  }

  pass(frame: SlotFrame): void {
    const slot = this.#of(frame.slot);
    if (slot.marked || (slot.held.length === 0 && !mayOpenSession(frame.text))) return this.#read(frame);
    slot.held.push(frame);
    if (slot.held.length === 1) this.#offer(frame.slot);
  }

  /** The next slot that is to be marked; undefined when there will be none. */
  next(): Promise<number | undefined> {
    const slot = this.#unmarked.shift();
    if (slot !== undefined || this.#closed) return Promise.resolve(slot);
    return new Promise((resolve) => this.#asking.push(resolve));
  }

  /** The slot is marked. */
  open(number: number): void {
    const slot = this.#slots.get(number);
    // Nobody asked, or it was given up meanwhile.
    if (slot === undefined || slot.held.length === 0) return;
    slot.marked = true;
    for (const frame of slot.held.splice(0)) this.#read(frame);
    wake(slot);
  }

  /** It could not be marked: main is to try once more, if it is still asked for. */
  again(number: number): void {
    if ((this.#slots.get(number)?.held.length ?? 0) > 0) this.#offer(number);
  }

  /** Settles when nothing of the slot is held, or after a while. */
  settled(number: number, msMax: number): Promise<void> {
    const slot = this.#of(number);
    if (slot.held.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, msMax);
      slot.waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** The slot is given up; should it be taken again, it is to be marked anew. Returns what was held. */
  forget(number: number): SlotFrame[] {
    const slot = this.#slots.get(number);
    this.#slots.delete(number);
    if (slot !== undefined) wake(slot);
    return slot?.held ?? [];
  }

  close(): void {
    this.#closed = true;
    for (const tell of this.#asking.splice(0)) tell(undefined);
  }

  #of(number: number): Slot {
    let slot = this.#slots.get(number);
    if (slot === undefined) this.#slots.set(number, (slot = { marked: !this.#holds, held: [], waiting: [] }));
    return slot;
  }

  #offer(slot: number): void {
    const tell = this.#asking.shift();
    if (tell !== undefined) tell(slot);
    else if (!this.#unmarked.includes(slot)) this.#unmarked.push(slot);
  }
}

/** Without a session nothing is run. Read as its reader will read it: there are many ways to write the same. */
function mayOpenSession(text: string): boolean {
  try {
    const envelopes: unknown = JSON.parse(text);
    return Array.isArray(envelopes) && envelopes.some((envelope) => Object(envelope)[0] === inboundOp.open);
  } catch {
    return false;
  }
}

function wake(slot: Slot): void {
  for (const tell of slot.waiting.splice(0)) tell();
}
