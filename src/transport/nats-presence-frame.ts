/** A part of a presence, as the receiver of frames gets it: nothing in it is an answer's due. */
import type { SlotFrame } from './contract.ts';

export function presenceFrame(slot: number, gateway: string, text: string): SlotFrame {
  const nothing = (): void => {};
  return {
    slot,
    gateway,
    kind: 'presence',
    text,
    ageMs: 0,
    doubtful: false,
    late: false,
    done: nothing,
    bury: nothing,
    callers: nothing,
  };
}
