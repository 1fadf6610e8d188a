import { afterEach, describe, expect, it } from 'vitest';
import { inboundOp } from '../../src/protocol/envelope.ts';
import { connect, startRig, stopRigs } from './rig.ts';
import { token } from './tokens.ts';

afterEach(stopRigs);

const additions = { token: token(), protocols: ['fermata.v1'] };

describe('an addition', () => {
  it('ack reaches the shard from clients that asked for the additions only', async () => {
    const rig = await startRig();
    const base = await connect(rig, { token: token() });
    const full = await connect(rig, additions);
    await base.rpc('echo', 1, { key: 'my-client:5', ack: 4 });
    await full.rpc('echo', 1, { key: 'my-client:5', ack: 4 });
    await full.rpc('echo', 1, { key: 'my-client:5' });
    expect(rig.shards.calls.map((call) => [call[6], call[7]])).toEqual([
      ['my-client:5', -1],
      ['my-client:5', 4],
      ['my-client:5', -1],
    ]);
  });

  it('since reaches the shard from clients that asked for the additions only', async () => {
    const rig = await startRig();
    const base = await connect(rig, { token: token() });
    const full = await connect(rig, additions);
    const sub = { type: 'event:sub', actor: 'counter', actorId: 'c1', since: { epoch: 'e', seq: 5 } };
    for (const client of [base, full]) {
      client.send(sub);
      await client.rpc('echo');
    }
    expect(rig.shards.ops(inboundOp.subscribe)).toEqual([
      [3, 1, 'counter', 'c1', 'event'],
      [3, 2, 'counter', 'c1', 'event', 'e', 5],
    ]);
  });

  it('hello, auth and ping are unknown to base clients, and ignored', async () => {
    const client = await connect(await startRig(), { token: token() });
    client.send({ type: 'hello', resumeToken: 'x' });
    client.send({ type: 'auth', token: 'x.y.z' });
    client.send({ type: 'ping' });
    await client.rpc('echo');
    expect(client.messages.map(({ type }) => type)).toEqual(['welcome', 'rpc:result']);
  });
});
