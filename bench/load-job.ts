/** What the load generator is asked to do, and what it answers. Both travel between processes as JSON. */
import type { Target } from './raw-websocket.ts';
import type { Measured, Window } from './tally.ts';

export interface Peer {
  /** Undefined for servers that ask for none. */
  readonly token: string | undefined;
  readonly actorId: string;
}

/** Calls without a key, each with a key of its own, or numbered by their client as the shipped one does. */
export type Keys = 'none' | 'arbitrary' | 'numbered';

export interface CallJob {
  readonly kind: 'calls';
  readonly target: Target;
  /** One connection each. */
  readonly peers: readonly Peer[];
  /** Calls in flight per connection. */
  readonly pipelined: number;
  readonly actor: string;
  readonly method: string;
  readonly input: unknown;
  readonly keys: Keys;
  /** The start of every key: tells runs apart. */
  readonly keyPrefix: string;
  /** By how much each call raises the number that the method returns: then no call may be lost or doubled. */
  readonly counts: number | undefined;
  readonly window: Window;
  readonly serverPid: number;
}

export interface FanOutJob {
  readonly kind: 'fan-out';
  /** Where the one writer and the subscribers connect; the same for Fermata. */
  readonly writer: Target;
  readonly subscriber: Target;
  readonly token: string | undefined;
  readonly subscribers: number;
  /** Calls that are on their way to subscribers at the same time. */
  readonly pipelined: number;
  readonly actor: string;
  readonly actorId: string;
  readonly method: string;
  /** The text before the number in what subscribers get. */
  readonly marker: string;
  readonly window: Window;
  readonly serverPid: number;
}

export type LoadJob = CallJob | FanOutJob;

export interface LoadResult extends Measured {
  /** The first reply, as it came. */
  readonly sampleReply: string;
  /** Was the sum of all calls found in the actors afterwards? Undefined where that means nothing. */
  readonly counted: boolean | undefined;
}
