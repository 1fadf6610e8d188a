import { afterEach, describe, expect, it } from 'vitest';
import { inboundOp } from '../../src/protocol/envelope.ts';
import { FakeRemote } from './fake-remote.ts';
import { bearer, post } from './requests.ts';
import { connect, lost, type Message, type Rig, startRig, until } from './rig.ts';
import { open as openStream, stopReaders } from './stream-readers.ts';
import { token } from './tokens.ts';

afterEach(stopReaders);

const additions = { token: token(), protocols: ['fermata.v1'] };
const held = { type: 'rpc', actor: 'counter', actorId: 'c1', method: 'hold' };
const results = (messages: readonly Message[]) => messages.filter(({ type }) => type === 'rpc:result');

async function start(limits = {}): Promise<{ rig: Rig; remote: FakeRemote }> {
  const remote = new FakeRemote(8);
  return { rig: await startRig({ link: remote, limits }), remote };
}

describe('a call to another process that nobody answers', () => {
  it('ends unknown at its own deadline or at the bound, whichever comes first; late answers reach nobody', async () => {
    const { rig, remote } = await start({ remoteCallMsMax: 60_000 });
    const client = await connect(rig, additions);
    client.send({ ...held, id: 'patient', deadlineMs: 1e9 });
    client.send({ ...held, id: 'plain' });
    client.send({ ...held, id: 'hasty', deadlineMs: 20_000 });
    await until(() => remote.held.length === 3);
    rig.clock.monotonicSkewMs = 30_000;
    const first = await client.next('rpc:result');
    expect(first).toMatchObject({ id: 'hasty', code: 'UNKNOWN', outcome: 'unknown', retryable: true });
    expect(first['error']).toContain('No answer came in time');
    expect(rig.gateway.counts().calls).toBe(2);
    rig.clock.monotonicSkewMs = 62_000;
    await until(() => rig.gateway.counts().calls === 0);
    await until(() => results(client.messages).length === 3);
    expect(results(client.messages).map(({ id }) => id)).toEqual(['hasty', 'patient', 'plain']);
    remote.release();
    expect(await client.rpc('echo', 1)).toMatchObject({ result: 1 });
    expect(results(client.messages)).toHaveLength(4);
  });

  it('is answered with 504 over HTTP, a read too', async () => {
    const { rig, remote } = await start();
    remote.paused = true;
    const answers = [
      post(rig, '/v1/actors/counter/c1/hold', '1'),
      fetch(`${rig.http}/v1/actors/counter/c1/state`, { headers: bearer }),
    ];
    await until(() => rig.gateway.counts().calls === 2);
    rig.clock.monotonicSkewMs = 31_500;
    for (const answer of await Promise.all(answers)) {
      expect(answer.status).toBe(504);
      expect(await answer.json()).toMatchObject({ error: { code: 'UNKNOWN', outcome: 'unknown', retryable: true } });
    }
    expect(rig.gateway.counts().calls).toBe(0);
    expect(rig.lines.filter((line) => line.includes('nobody answered in time')).length).toBeGreaterThan(0);
  });

  it('ends an event stream that nobody has accepted with 503', async () => {
    const { rig } = await start({ remoteCallMsMax: 1000 });
    const reader = await openStream(rig, {}, 'silent');
    expect(reader.status).toBe(503);
    expect(rig.gateway.counts().sockets).toBe(0);
  });

  it('waits for its shard as long as that takes when the shard is of this process', async () => {
    const rig = await startRig();
    const client = await connect(rig, additions);
    client.send({ ...held, id: 'h', deadlineMs: 10 });
    await lost(rig, token());
    rig.clock.monotonicSkewMs = 100_000;
    // The same second hand has passed.
    await until(() => rig.gateway.counts().detached === 0);
    expect(rig.gateway.counts().calls).toBe(1);
    rig.shards.release();
    expect(await client.next('rpc:result')).toMatchObject({ id: 'h', result: 'released' });
  });
});

describe('a link that takes no more', () => {
  it('has calls and subscriptions refused at once, and nothing goes to it', async () => {
    const { rig, remote } = await start();
    const client = await connect(rig, additions);
    remote.accepting = false;
    expect(await client.rpc('echo')).toMatchObject({ code: 'OVERLOADED', outcome: 'rejected', retryable: true });
    client.send({ type: 'state:sub', actor: 'counter', actorId: 'c1' });
    expect(await client.next('error')).toMatchObject({ code: 'OVERLOADED', re: { type: 'state:sub' } });
    client.send({ type: 'state:unsub', actor: 'counter', actorId: 'c1' });
    const answers = [
      await post(rig, '/v1/actors/counter/c1/echo', '1'),
      await fetch(`${rig.http}/v1/actors/counter/c1/state`, { headers: bearer }),
      await fetch(`${rig.http}/v1/actors/counter/c1/events`, { headers: bearer }),
    ];
    for (const answer of answers)
      expect([answer.status, await answer.text()]).toEqual([503, expect.stringContaining('OVERLOADED')]);
    expect(remote.frames).toEqual([]);
    remote.accepting = true;
    expect(await client.rpc('echo', 1)).toMatchObject({ result: 1 });
    expect(remote.ops(inboundOp.unsubscribe)).toEqual([]);
  });

  it('is measured by the frames that wait for their acknowledgement; others are not', async () => {
    const { rig, remote } = await start();
    remote.unackedFrames = 3;
    const named = (samples: ReturnType<Rig['gateway']['samples']>) =>
      samples.filter(({ name }) => name === 'fermata_nats_unacked_frames').map(({ values }) => values[0]?.value);
    expect(named(rig.gateway.samples())).toEqual([3]);
    expect(named((await startRig()).gateway.samples())).toEqual([]);
  });
});
