/** What a slot that a runtime serves is given, and what is counted of all of them. */
import type { Clock } from '../host/clock.ts';
import type { SlotFrame } from './contract.ts';
import type { NatsDeadLetters } from './nats-dead-letters.ts';
import type { SlotConsumerParts } from './nats-slot-consumer.ts';
import type { NatsSlotReader } from './nats-slot-reader.ts';

export interface NatsSlotParts extends SlotConsumerParts {
  readonly clock: Clock;
  readonly deadLetters: NatsDeadLetters;
  readonly reader: (onAway: (reason: string) => void) => NatsSlotReader;
  readonly deliver: (frame: SlotFrame) => void;
  /** Does nothing without a connection. */
  readonly acknowledge: (reply: string, verdict: '+ACK' | '+WPI') => void;
  /** A gateway whose frames come does not know this owner. */
  readonly greet: (gateway: string) => void;
  /** The gateway must give up this link. */
  readonly tellBroken: (gateway: string, link: number) => void;
  /** Of one message to NATS. */
  readonly frameBytesMax: () => number;
  readonly counts: SlotCounts;
}

/** Of all slots together. */
export interface SlotCounts {
  /** Bytes of frames in hand. */
  bytesInHand: number;
  redeliveries: number;
  copies: number;
  malformed: number;
  broken: number;
}
