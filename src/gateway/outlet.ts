/**
 * The way out: records from the shards become messages on sockets and HTTP answers.
 *
 *   link ──▶ decodeOutbound ── K, E ──▶ whoever waits · M ──▶ one connection · P ──▶ everybody in a topic
 *
 * What goes to one connection keeps its order. Messages are gathered per connection and flushed when the frame ends, so
 * that each socket gets one cork per frame. A topic with few members is served the same way; a larger one by
 * `app.publish`, which encodes once for all, after its members' earlier messages were flushed.
 *
 * Published bytes bypass the connection's own check for slow readers, so the members of topics are swept for them:
 * every `sweepBytes` published, and with the gateway's second hand.
 */
import type { TemplatedApp } from 'uWebSockets.js';
import { decodeOutbound, type OutboundOp } from '../protocol/envelope.ts';
import type { ErrorBody } from '../protocol/errors.ts';
import { CallEnds } from './call-ends.ts';
import type { Intake } from './intake.ts';
import type { Line } from './line.ts';
import type { GatewayMeters } from './meters.ts';
import type { Pending } from './pending.ts';

/** From this many members on, publishing beats sending to each. */
const publishMembersMin = 16;
const sweepBytes = 256 * 1024;

export class Outlet {
  readonly #app: TemplatedApp;
  readonly #pending: Pending;
  readonly #ends: CallEnds;
  readonly #connections: ReadonlyMap<number, Line>;
  readonly #meters: GatewayMeters;
  readonly #topics = new Map<string, Set<Line>>();
  #unflushed: Line[] = [];
  #publishedBytes = 0;

  constructor(
    app: TemplatedApp,
    pending: Pending,
    intake: Intake,
    connections: ReadonlyMap<number, Line>,
    meters: GatewayMeters,
  ) {
    this.#app = app;
    this.#pending = pending;
    this.#ends = new CallEnds({ pending, intake, meters });
    this.#connections = connections;
    this.#meters = meters;
  }

  get topics(): number {
    return this.#topics.size;
  }

  receive(frame: string, shard: number): void {
    this.#meters.beginAnswers();
    decodeOutbound(frame, (op, a, b, c, body) => this.#handle(shard, op, a, b, c, body));
    this.flush();
  }

  /** Ends calls whose shard will not answer. */
  failAll(calls: Iterable<number>, error: ErrorBody): void {
    this.#meters.beginAnswers();
    for (const call of calls) this.#ends.fail(call, error);
    this.flush();
  }

  /** A shard's thread is gone, and with it the meaning of its topic numbers. */
  forgetShard(shard: number): void {
    const prefix = `${shard}.`;
    for (const [topic, members] of this.#topics) {
      if (!topic.startsWith(prefix)) continue;
      for (const member of members) {
        member.topics.delete(topic);
        member.leaveTopic(topic);
      }
      this.#topics.delete(topic);
    }
  }

  /** For replies: one message to one connection, in order with everything else of this frame. */
  queue(connection: Line, text: string): void {
    if (connection.queue(text)) this.#unflushed.push(connection);
  }

  /** The connection is closed: it leaves its topics. uWebSockets has done so already. */
  forget(connection: Line): void {
    for (const topic of connection.topics) this.#leave(topic, connection);
    connection.topics.clear();
  }

  /** Ends the members of topics that read too slowly. */
  sweep(): void {
    this.#publishedBytes = 0;
    for (const connection of this.#connections.values()) if (connection.topics.size > 0) connection.endIfSlow();
  }

  #handle(shard: number, op: OutboundOp, a: number, b: number, c: number, body: string): void {
    switch (op) {
      case 'K':
        return this.#ends.succeed(a, body, b === 1, c);
      case 'E':
        return this.#ends.fail(a, JSON.parse(body) as ErrorBody);
      case 'M':
        return this.#message(this.#connections.get(a), body);
      case 'T':
        return this.#several(body);
      case 'S':
        return this.#join(`${shard}.${b}`, this.#connections.get(a));
      case 'U':
        return this.#unsubscribe(`${shard}.${b}`, this.#connections.get(a));
      case 'P':
        return this.#publish(`${shard}.${a}`, body);
    }
  }

  #message(connection: Line | undefined, text: string): void {
    if (connection !== undefined) this.queue(connection, text);
  }

  #several(body: string): void {
    const end = body.indexOf(';');
    const text = body.slice(end + 1);
    for (const session of body.slice(0, end).split(',')) this.#message(this.#connections.get(Number(session)), text);
  }

  #join(topic: string, connection: Line | undefined): void {
    if (connection === undefined) return;
    const members = this.#topics.get(topic) ?? new Set();
    this.#topics.set(topic, members.add(connection));
    connection.topics.add(topic);
    connection.joinTopic(topic);
  }

  #unsubscribe(topic: string, connection: Line | undefined): void {
    if (connection === undefined) return;
    connection.topics.delete(topic);
    connection.leaveTopic(topic);
    this.#leave(topic, connection);
  }

  #leave(topic: string, connection: Line): void {
    const members = this.#topics.get(topic);
    members?.delete(connection);
    if (members?.size === 0) this.#topics.delete(topic);
  }

  #publish(topic: string, text: string): void {
    const members = this.#topics.get(topic);
    if (members === undefined) return;
    if (members.size < publishMembersMin) {
      for (const member of members) this.queue(member, text);
      return;
    }
    for (const member of members) member.published(text);
    this.#app.publish(topic, text);
    this.#meters.sent(text.length, members.size);
    this.#countPublished(text.length);
  }

  #countPublished(bytes: number): void {
    const before = this.#publishedBytes;
    this.#publishedBytes += bytes;
    // uWebSockets hands published messages to the sockets when the loop turns; their buffers are known after that.
    if (before < sweepBytes && this.#publishedBytes >= sweepBytes) setImmediate(() => this.sweep());
  }

  /** Sends what was gathered for each connection, and tells who waits for the last answer. */
  flush(): void {
    const connections = this.#unflushed;
    this.#unflushed = [];
    for (const connection of connections) connection.flush();
    this.#pending.wakeIfIdle();
  }
}
