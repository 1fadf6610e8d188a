/**
 * One gateway thread as far as one slot is concerned: its sessions there, and what it is to be told.
 *
 * A gateway numbers sessions and calls by itself, so that equal numbers of two of them mean nothing. A tenant lies in one
 * slot, and so do all sessions of the tenant.
 */
import type { Session } from '../gateway/session.ts';
import { OutboundFrame } from '../protocol/envelope.ts';
import type { Topic } from './topics.ts';

export class Peer {
  readonly gateway: string;
  readonly slot: number;
  /** By the gateway's numbers. */
  readonly sessions = new Map<number, RemoteSession>();
  /** Records that wait to be sent. */
  readonly out = new OutboundFrame();
  /** Calls that it waits for, and frames of it that are being read. */
  open = 0;

  constructor(gateway: string, slot: number) {
    this.gateway = gateway;
    this.slot = slot;
  }
}

/** A session of a gateway, and the one that stands for it towards the shards. */
export interface RemoteSession {
  readonly peer: Peer;
  /** The gateway's. */
  readonly number: number;
  readonly session: Session;
  readonly topics: Set<Topic>;
  /** When its gateway last said that it lives there, monotonic; undefined when that was not asked for since it is known. */
  presentedMs: number | undefined;
  /** Its connection is lost: it hears nothing more under this number. */
  detached: boolean;
}

/** The peers that have sessions or wait for something. */
export class Peers {
  readonly #peers = new Map<string, Peer>();

  get size(): number {
    return this.#peers.size;
  }

  of(gateway: string, slot: number): Peer {
    const name = `${gateway} ${slot}`;
    let peer = this.#peers.get(name);
    if (peer === undefined) this.#peers.set(name, (peer = new Peer(gateway, slot)));
    return peer;
  }

  /** A copy, for callers that end sessions on the way. */
  where(matches: (peer: Peer) => boolean): Peer[] {
    return [...this.#peers.values()].filter(matches);
  }

  /** Forgets it when nothing is left of it. */
  release(peer: Peer): void {
    const { gateway, slot, sessions, open } = peer;
    if (sessions.size === 0 && open === 0) this.#peers.delete(`${gateway} ${slot}`);
  }
}
