/**
 * Makes the calls of dead letters again: a gateway with a key of its own and no sockets, for as long as that takes.
 *
 *   letter ─▶ one call after the other ── NATS ──▶ runtime that owns the slot ──▶ answer ─▶ outcome
 *
 * Callers are presented as callers over HTTP are: with their tenant, user and claims, without a connection. So nobody's session is
 * taken from its client, and neither `onConnect` nor `onDisconnect` runs for them, also when this gateway is gone.
 *
 * Invariants: a call goes out with the key that it had, or with one made of its letter, so that it happens once however often
 * the letter is replayed · the next call goes out only when the one before it was answered.
 */
import { randomBytes } from 'node:crypto';
import { systemClock } from '../host/clock.ts';
import type { Logger } from '../host/log.ts';
import { decodeOutbound, InboundFrame, type Inbound, inboundOp, type SessionInfo } from '../protocol/envelope.ts';
import type { ErrorBody } from '../protocol/errors.ts';
import type { CallsHeader } from '../transport/nats-wire.ts';
import { natsGatewayLink, type NatsGatewayLink } from '../transport/nats-gateway-link.ts';
import type { ClusterConnection } from './cluster-connection.ts';
import type { CallEnvelope } from './dlq-frame.ts';

export type Outcome =
  | { readonly kind: 'ok'; readonly result: string }
  | { readonly kind: 'error'; readonly error: ErrorBody }
  /** Nobody answered. */
  | { readonly kind: 'none'; readonly why: string };

/** What a call may take from its sending to its start, and for how long its answer is waited for after that. */
const deadlineMs = 30_000;
const graceMs = 10_000;

interface Waiting {
  readonly slot: number;
  settle(outcome: Outcome): void;
}

export class Replay {
  readonly #link: NatsGatewayLink;
  readonly #waiting = new Map<number, Waiting>();
  /** By slot: callers with their numbers. */
  readonly #callers = new Map<number, Map<string, number>>();
  #number = 0;

  constructor({ nc, nats }: ClusterConnection, log: Logger) {
    const gateway = randomBytes(10).toString('hex');
    this.#link = natsGatewayLink(nc, { gateway, log, clock: systemClock, streams: { replicas: nats.replicas } });
    this.#link.onFrame((records) => this.#hear(records));
    this.#link.onTurnover((slot) => this.#present(slot));
    this.#link.onLost((slot) => this.#lost(slot));
  }

  /** Sends it and waits for what becomes of it. */
  async call(slot: number, caller: SessionInfo, envelope: CallEnvelope, key: string): Promise<Outcome> {
    const session = this.#sessionOf(slot, caller);
    const number = (this.#number += 1);
    const [, , , type, id, method, , ack, , ...rest] = envelope;
    const frame = new InboundFrame();
    frame.add(openingOf(caller, session));
    frame.add([inboundOp.call, session, number, type, id, method, key, ack, deadlineMs, ...rest] as Inbound);
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    this.#waiting.set(number, { slot, settle: resolve });
    const late = setTimeout(() => resolve({ kind: 'none', why: 'nobody answered in time' }), deadlineMs + graceMs);
    this.#link.send(slot, frame.take()!);
    try {
      return await promise;
    } finally {
      clearTimeout(late);
      this.#waiting.delete(number);
    }
  }

  /** Runtimes forget it and its callers. */
  close(): void {
    this.#link.close();
  }

  #sessionOf(slot: number, caller: SessionInfo): number {
    const callers = this.#callers.get(slot) ?? new Map<string, number>();
    this.#callers.set(slot, callers);
    const text = JSON.stringify(asHttp(caller));
    const known = callers.get(text);
    if (known !== undefined) return known;
    this.#number += 1;
    callers.set(text, this.#number);
    return this.#number;
  }

  /** Who serves the slot now hears who is here. */
  #present(slot: number): void {
    const frame = new InboundFrame();
    const callers = [...(this.#callers.get(slot) ?? [])];
    for (const [text, number] of callers) frame.add([inboundOp.open, number, JSON.parse(text) as SessionInfo]);
    frame.add([inboundOp.present, 0, callers.map(([, number]) => number)]);
    this.#link.send(slot, frame.take()!);
  }

  #hear(records: string): void {
    decodeOutbound(records, (op, number, _durable, _seq, body) => {
      if (op === 'K') this.#waiting.get(number)?.settle({ kind: 'ok', result: body });
      else if (op === 'E') this.#waiting.get(number)?.settle({ kind: 'error', error: JSON.parse(body) as ErrorBody });
    });
  }

  #lost(slot: number): void {
    for (const waiting of this.#waiting.values())
      if (waiting.slot === slot) waiting.settle({ kind: 'none', why: 'the answer was lost on its way' });
  }
}

/** Nothing more will become of it, also not when it is made again. */
export function isSettled(outcome: Outcome): boolean {
  if (outcome.kind !== 'error') return outcome.kind === 'ok';
  const { outcome: kind, retryable, code } = outcome.error;
  return kind === 'failed' || (kind === 'rejected' && !retryable && code !== 'QUARANTINED');
}

/** For a call without one: the same however often its letter is replayed. */
export function keyOf({ gateway, link, seq }: CallsHeader, [, , number, , , , key]: CallEnvelope): string {
  return key === '' ? `dead-letter-${gateway}-${link}-${seq}-${number}` : key;
}

function openingOf(caller: SessionInfo, session: number): Inbound {
  return [inboundOp.open, session, asHttp(caller)];
}

function asHttp({ tenant, clientId, userId, claims }: SessionInfo): SessionInfo {
  return { tenant, sessionId: '', clientId, userId, claims, kind: 'http', additions: false };
}
