/**
 * The way out: records of the shards become records for gateways, under the gateways' own numbers.
 *
 *   link ──▶ decodeOutbound ── K, E ──▶ whoever waits · M, T, S, U ──▶ the session's gateway · P ──▶ gateways with members
 *
 * Invariants: what one frame of a shard says to one gateway about one slot leaves in one piece, in the shard's order · the
 * frames whose last answer was in it are done after that.
 */
import { CallEnds } from '../gateway/call-ends.ts';
import type { Intake } from '../gateway/intake.ts';
import type { GatewayMeters } from '../gateway/meters.ts';
import type { Pending } from '../gateway/pending.ts';
import { decodeOutbound, type OutboundOp } from '../protocol/envelope.ts';
import type { ErrorBody } from '../protocol/errors.ts';
import type { Outgoing } from './outgoing.ts';
import type { Peer } from './peer.ts';
import type { RemoteSessions } from './remote-sessions.ts';
import type { Topics } from './topics.ts';

export interface AnswersParts {
  readonly pending: Pending;
  readonly intake: Intake;
  readonly sessions: RemoteSessions;
  readonly topics: Topics;
  readonly outgoing: Outgoing;
  readonly meters: GatewayMeters;
}

export class Answers {
  readonly #parts: AnswersParts;
  readonly #ends: CallEnds;

  constructor(parts: AnswersParts) {
    this.#parts = parts;
    this.#ends = new CallEnds(parts);
  }

  receive(frame: string, shard: number): void {
    this.#parts.meters.beginAnswers();
    decodeOutbound(frame, (op, a, b, c, body) => this.#handle(shard, op, a, b, c, body));
    this.flush();
  }

  /** Ends calls whose shard will not answer. */
  failAll(calls: Iterable<number>, error: ErrorBody): void {
    this.#parts.meters.beginAnswers();
    for (const call of calls) this.#ends.fail(call, error);
    this.flush();
  }

  /** A shard's thread is gone, and with it the meaning of its topic numbers. */
  forgetShard(shard: number): void {
    const { topics, outgoing } = this.#parts;
    for (const topic of topics.ofShard(shard)) {
      for (const members of topic.members.values()) {
        for (const member of members) {
          topics.leave(topic, member);
          outgoing.add(member.peer, 'U', member.number, topic.number, 0, '');
        }
      }
    }
    this.flush();
  }

  /** Sends what was gathered, and tells who waits for the last answer. */
  flush(): void {
    this.#parts.outgoing.flush();
    this.#parts.pending.wakeIfIdle();
  }

  #handle(shard: number, op: OutboundOp, a: number, b: number, c: number, body: string): void {
    switch (op) {
      case 'K':
        return this.#ends.succeed(a, body, b === 1, c);
      case 'E':
        return this.#ends.fail(a, JSON.parse(body) as ErrorBody);
      case 'M':
        return this.#message(a, body);
      case 'T':
        return this.#several(body);
      case 'S':
        return this.#join(shard, a, b);
      case 'U':
        return this.#unsubscribe(shard, a, b);
      case 'P':
        return this.#publish(shard, a, body);
    }
  }

  #message(session: number, text: string): void {
    const remote = this.#parts.sessions.find(session);
    if (remote !== undefined) this.#parts.outgoing.add(remote.peer, 'M', remote.number, 0, 0, text);
  }

  #several(body: string): void {
    const end = body.indexOf(';');
    const text = body.slice(end);
    const numbers = new Map<Peer, string>();
    for (const session of body.slice(0, end).split(',')) {
      const remote = this.#parts.sessions.find(Number(session));
      if (remote === undefined) continue;
      const before = numbers.get(remote.peer);
      numbers.set(remote.peer, before === undefined ? `${remote.number}` : `${before},${remote.number}`);
    }
    for (const [peer, list] of numbers) this.#parts.outgoing.add(peer, 'T', 0, 0, 0, list + text);
  }

  #join(shard: number, session: number, local: number): void {
    const { sessions, topics, outgoing } = this.#parts;
    const remote = sessions.find(session);
    if (remote === undefined || remote.detached) return;
    const topic = topics.join(shard, local, remote);
    outgoing.add(remote.peer, 'S', remote.number, topic.number, 0, '');
  }

  #unsubscribe(shard: number, session: number, local: number): void {
    const { sessions, topics, outgoing } = this.#parts;
    const remote = sessions.find(session);
    const topic = topics.find(shard, local);
    if (remote === undefined || topic === undefined) return;
    topics.leave(topic, remote);
    outgoing.add(remote.peer, 'U', remote.number, topic.number, 0, '');
  }

  #publish(shard: number, local: number, text: string): void {
    const topic = this.#parts.topics.find(shard, local);
    if (topic === undefined) return;
    for (const peer of topic.members.keys()) this.#parts.outgoing.add(peer, 'P', topic.number, 0, 0, text);
  }
}
