import { afterEach, describe, expect, it } from 'vitest';
import { inboundOp } from '../../src/protocol/envelope.ts';
import { connect, type Rig, startRig, stopRigs, until } from './rig.ts';
import { post } from './requests.ts';
import { token } from './tokens.ts';

afterEach(stopRigs);

const additions = { token: token(), protocols: ['fermata.v1'] };
const { open, end, present, subscribe } = inboundOp;

/** What the shards saw since, without the claims. */
const seenSince = (rig: Rig, from: number) =>
  rig.shards.all
    .slice(from)
    .map(({ shard, envelope }) => [shard, ...(envelope[0] === open ? envelope.slice(0, 2) : envelope)]);

describe('a gateway that starts', () => {
  it('tells every shard that it has no sessions, before anything else', async () => {
    const rig = await startRig({ shards: 3 });
    await until(() => rig.shards.all.length === 3);
    expect(seenSince(rig, 0)).toEqual([0, 1, 2].map((shard) => [shard, present, 0, []]));
  });
});

describe("a gateway that takes a dead one's place", () => {
  it('uses no number that the dead one used: a late answer to that one reaches nobody', async () => {
    const rig = await startRig({ gateway: { life: 1 } });
    const client = await connect(rig, additions);
    client.send({ type: 'rpc', id: 'h', actor: 'counter', actorId: 'c1', method: 'hold' });
    await until(() => rig.shards.held.length === 1);
    rig.shards.emit(0, (out) => {
      for (let call = 1; call < 10; call += 1) out.add('K', call, 1, 0, '"of another"');
    });
    const { call } = rig.shards.held[0]!;
    expect(call).toBeGreaterThan(2 ** 40);
    rig.shards.release('"its own"');
    expect(await client.next('rpc:result')).toMatchObject({ id: 'h', result: 'its own' });
  });
});

describe('a shard that died and is back', () => {
  it('hears of all sessions that it knew, attached and not, of their subscriptions, and that these are all', async () => {
    const rig = await startRig();
    const there = await connect(rig, additions);
    const lost = await connect(rig, additions);
    const gone = await connect(rig, additions);
    const silent = await connect(rig, additions);
    await post(rig, '/v1/actors/counter/c1/echo', '1');
    for (const client of [there, lost, gone]) {
      client.send({ type: 'state:sub', actor: 'counter', actorId: 'c1' });
      await client.next('state:snapshot');
    }
    lost.socket.terminate();
    await until(() => rig.gateway.counts().detached === 1);
    rig.gateway.shardLost(0, 0);
    gone.socket.close();
    await until(() => rig.gateway.counts().sockets === 2);
    // Said while the shard is away: it hears of it with the rest, from where the client was.
    silent.send({ type: 'event:sub', actor: 'counter', actorId: 'c1', since: { epoch: 'e', seq: 4 } });
    silent.send({ type: 'ping' });
    await silent.next('pong');
    const from = rig.shards.all.length;
    rig.gateway.shardBack(0);
    await until(() => rig.shards.all.at(-1)?.envelope[0] === present);
    expect(seenSince(rig, from)).toEqual([
      [0, open, 1],
      [0, subscribe, 1, 'counter', 'c1', 'state'],
      [0, open, 4],
      [0, subscribe, 4, 'counter', 'c1', 'event', 'e', 4],
      [0, open, 2],
      [0, present, 0, [1, 4, 2]],
    ]);
    // The place that it was told is not told again: the shard has moved on since.
    rig.gateway.shardLost(0, 0);
    rig.gateway.shardBack(0);
    await until(() => rig.shards.all.length > from + 6 && rig.shards.all.at(-1)?.envelope[0] === present);
    expect(rig.shards.ops(subscribe).at(-1)).toEqual([subscribe, 4, 'counter', 'c1', 'event']);
    // Callers over HTTP are announced when they call again.
    await post(rig, '/v1/actors/counter/c1/echo', '1');
    expect(rig.shards.ops(open).at(-1)).toMatchObject([open, 5, { kind: 'http', sessionId: '' }]);
  });

  it('is told of the end of a session that was still waiting for its client', async () => {
    const rig = await startRig();
    const client = await connect(rig, additions);
    await client.rpc('echo');
    client.socket.terminate();
    await until(() => rig.gateway.counts().detached === 1);
    rig.gateway.shardLost(0, 0);
    rig.gateway.shardBack(0);
    rig.clock.monotonicSkewMs = 60_001;
    await until(() => rig.shards.ops(end).length === 1);
    expect(rig.shards.ops(end)).toEqual([[end, 1]]);
  });
});
