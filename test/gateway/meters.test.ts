import { afterEach, describe, expect, it } from 'vitest';
import { connect, type Rig, startRig, stopRigs, until } from './rig.ts';
import { token } from './tokens.ts';

afterEach(stopRigs);

const additions = { token: token(), protocols: ['fermata.v1'] };
const echo = { type: 'rpc', actor: 'counter', actorId: 'c1', method: 'echo' };

describe('the duration of a call', () => {
  it('begins with its own tick, also behind something else than a call', async () => {
    const rig = await startRig();
    const client = await connect(rig, additions);
    await client.rpc('echo');
    rig.clock.monotonicSkewMs += 60_000;
    // One segment, so that the gateway reads both in one tick.
    client.socket.send(JSON.stringify({ type: 'state:sub', actor: 'counter', actorId: 'c1' }));
    await client.rpc('echo');
    expect(valueOf(rig, 'fermata_call_duration_seconds_sum')).toBeLessThan(60);
  });

  it('ends with the loss of its shard when that ends it', async () => {
    const rig = await startRig();
    const client = await connect(rig, additions);
    await client.rpc('echo');
    rig.clock.monotonicSkewMs += 60_000;
    client.send({ ...echo, id: 'held', method: 'hold' });
    await until(() => rig.gateway.counts().calls === 1);
    rig.clock.monotonicSkewMs += 5000;
    rig.gateway.shardLost(0, 0);
    const seconds = valueOf(rig, 'fermata_call_duration_seconds_sum');
    expect(seconds).toBeGreaterThanOrEqual(5);
    expect(seconds).toBeLessThan(60);
    expect(valueOf(rig, 'fermata_calls_total', 'unknown')).toBe(1);
  });
});

describe('refusals', () => {
  it('are counted when a connection sends too much', async () => {
    const rig = await startRig({ limits: { messagesPerSecond: 5, messagesBurst: 5 } });
    const client = await connect(rig, additions);
    const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => client.rpc('echo', n)));
    const refused = answers.filter((answer) => answer['code'] === 'RATE_LIMITED');
    expect(refused.length).toBeGreaterThan(0);
    expect(valueOf(rig, 'fermata_refusals_total', 'RATE_LIMITED')).toBe(refused.length);
  });
});

function valueOf(rig: Rig, name: string, label?: string): number | undefined {
  for (const sample of rig.gateway.samples()) {
    const found = sample.values.find(
      ({ metricName, labels }) =>
        (metricName ?? sample.name) === name && (label === undefined || Object.values(labels).includes(label)),
    );
    if (found !== undefined) return found.value;
  }
  return undefined;
}
