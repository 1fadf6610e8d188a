/**
 * Shards that follow a script: a GatewayLink whose other side is in this file. Answers go out a tick later, as they
 * would over a port.
 */
import { decodeInbound, type Inbound, inboundOp, OutboundFrame } from '../../src/protocol/envelope.ts';
import { AppError } from '../../src/protocol/errors.ts';
import { actorHead, stateSnapshot, subscriptionRefusal } from '../../src/protocol/messages.ts';
import { shardOf } from '../../src/protocol/placement.ts';
import type { GatewayLink } from '../../src/transport/contract.ts';

export type InboundCall = Extract<Inbound, readonly [2, ...unknown[]]>;

export class FakeShards implements GatewayLink {
  readonly shards: number;
  /** Everything that came in but `present`, with the shard that it came to. */
  readonly seen: { shard: number; envelope: Inbound }[] = [];
  /** Everything, `present` too. */
  readonly all: { shard: number; envelope: Inbound }[] = [];
  readonly frames: string[] = [];
  /** Calls of `hold`, waiting for `release`. */
  readonly held: { shard: number; call: number }[] = [];
  closed = false;
  accepting = true;
  #receive: (frame: string, shard: number) => void = () => {};

  constructor(shards = 1) {
    this.shards = shards;
  }

  place(tenant: string, type: string, id: string): number {
    return shardOf(tenant, type, id, this.shards);
  }

  accepts(): boolean {
    return this.accepting;
  }

  onFrame(receive: (frame: string, shard: number) => void): void {
    this.#receive = receive;
  }

  close(): void {
    this.closed = true;
  }

  send(shard: number, frame: string): void {
    this.frames.push(frame);
    const out = new OutboundFrame();
    for (const envelope of decodeInbound(frame)) {
      this.all.push({ shard, envelope });
      if (envelope[0] !== inboundOp.present) this.seen.push({ shard, envelope });
      this.#follow(shard, envelope, out);
    }
    const answer = out.take();
    if (answer !== undefined) setImmediate(() => this.#receive(answer, shard));
  }

  /** Sends records of the test's own making. */
  emit(shard: number, fill: (out: OutboundFrame) => void): void {
    const out = new OutboundFrame();
    fill(out);
    const frame = out.take();
    if (frame !== undefined) this.#receive(frame, shard);
  }

  release(result = '"released"'): void {
    for (const { shard, call } of this.held.splice(0)) this.emit(shard, (out) => out.add('K', call, 1, 0, result));
  }

  ops(op: number): Inbound[] {
    return this.seen.map(({ envelope }) => envelope).filter((envelope) => envelope[0] === op);
  }

  get calls(): InboundCall[] {
    return this.ops(inboundOp.call) as InboundCall[];
  }

  #follow(shard: number, envelope: Inbound, out: OutboundFrame): void {
    switch (envelope[0]) {
      case inboundOp.call:
        return this.#call(shard, envelope, out);
      case inboundOp.read:
        out.add('K', envelope[2], 1, 7, '{"count":3}');
        return;
      case inboundOp.subscribe: {
        const [, session, type, id, stream] = envelope;
        if (type === 'silent') return;
        if (type === 'nobody') {
          const error = new AppError('UNKNOWN_ACTOR', `Unknown actor: ${type}`).toBody();
          out.add('M', session, 0, 0, subscriptionRefusal(`${stream}:sub`, type, id, error));
          return;
        }
        if (stream === 'state')
          out.add('M', session, 0, 0, stateSnapshot(actorHead(type, id), '{"count":3}', undefined));
        out.add('S', session, 5, 0, '');
        return;
      }
      case inboundOp.unsubscribe:
        out.add('U', envelope[1], 5, 0, '');
        return;
      case inboundOp.open:
      case inboundOp.end:
      case inboundOp.detach:
      case inboundOp.present:
      case inboundOp.leave:
        return;
    }
  }

  #call(shard: number, envelope: InboundCall, out: OutboundFrame): void {
    const [, , call, type, , method] = envelope;
    const input = envelope[11] === true ? undefined : envelope[9];
    const fail = (code: string, message: string, retryAfterMs?: number) =>
      out.add(
        'E',
        call,
        0,
        0,
        JSON.stringify(new AppError(code, message, retryAfterMs === undefined ? {} : { retryAfterMs }).toBody()),
      );
    if (type !== 'counter') return fail('UNKNOWN_ACTOR', `Unknown actor: ${type}`);
    if (method === 'echo') out.add('K', call, 1, 0, input === undefined ? '' : JSON.stringify(input));
    else if (method === 'memory') out.add('K', call, 0, 0, '1');
    else if (method === 'big') out.add('K', call, 1, 0, JSON.stringify('x'.repeat(Number(input))));
    else if (method === 'fail') fail('HANDLER', 'no luck');
    else if (method === 'seat') fail('SEAT_TAKEN', 'Seat 4 is taken');
    else if (method === 'busy') fail('OVERLOADED', 'Mailbox full', 1500);
    else if (method === 'hold') this.held.push({ shard, call });
    else fail('UNKNOWN_METHOD', `Unknown method: ${method}`);
  }
}
