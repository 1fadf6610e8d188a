import { randomUUID } from 'node:crypto';
import { BroadcastChannel } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { inboundOp } from '../../src/protocol/envelope.ts';
import type { Limits } from '../../src/protocol/limits.ts';
import { comeBack, connect, known, type Message, nothing, type Rig, startRig, stopRigs, until } from './rig.ts';
import { claims, token } from './tokens.ts';

const channels: BroadcastChannel[] = [];

afterEach(async () => {
  for (const channel of channels.splice(0)) channel.close();
  await stopRigs();
});

const given = token();
const additions = { token: given, protocols: ['fermata.v1'] };
const { open, end, detach, subscribe } = inboundOp;

const ops = (rig: Rig) => rig.shards.seen.map(({ envelope }) => envelope.slice(0, 2));

/** Gateways of one process, each with a port and scripted shards of its own. */
async function startRigs(count: number, limits: Partial<Limits> = {}, boot: string = randomUUID()) {
  const rigs: Rig[] = [];
  for (let index = 0; index < count; index += 1)
    rigs.push(await startRig({ shards: 2, limits, gateway: { index, gateways: 2, boot } }));
  return { rigs: rigs as [Rig, Rig], boot };
}

/** Plays the first gateway on the channel that it would share with the second. */
function impersonate(boot: string, answer: (ask: Record<string, unknown>) => unknown): unknown[] {
  const asks: unknown[] = [];
  const channel = new BroadcastChannel(`fermata sessions ${boot}`);
  channels.push(channel);
  channel.addEventListener('message', (event) => {
    const { data } = event as MessageEvent<Record<string, unknown>>;
    if (data['kind'] !== 'ask') return;
    asks.push(data);
    const message = answer(data);
    if (message !== undefined) channel.postMessage(message);
  });
  return asks;
}

const foreign = `0.${'A'.repeat(32)}`;

describe('a session that its client left at another gateway', () => {
  it('is handed over: same client, told to its shards at once, and gone from where it was', async () => {
    const [a, b] = (await startRigs(2)).rigs;
    const before = await known(a, given);
    before.client.socket.terminate();
    await until(() => a.gateway.counts().detached === 1);
    const { client, first, welcome } = await comeBack(b, before.resumeToken, given);
    const { clientId, sessionId } = before;
    expect(welcome).toMatchObject({ clientId, sessionId, resumed: true, resumeToken: first['resumeToken'] });
    await until(() => b.shards.ops(open).length === 1);
    const [announced] = b.shards.ops(open);
    expect(announced).toEqual([open, 2, expect.objectContaining({ clientId, sessionId, kind: 'ws', additions: true })]);
    expect(b.shards.seen[0]!.shard).toBe(a.shards.seen[0]!.shard);
    await client.rpc('echo');
    expect(b.shards.ops(open)).toHaveLength(1);
    // Only where it is now is it told of, and as what it is.
    expect(a.gateway.takeSessionRecords()).toEqual([]);
    expect(b.gateway.takeSessionRecords()).toEqual([
      expect.objectContaining({ clientId, sessionId, status: 'active', reason: '' }),
    ]);
    expect(ops(a).filter(([op]) => op !== inboundOp.call)).toEqual([
      [open, 1],
      [detach, 1],
    ]);
    expect(a.gateway.counts()).toEqual(nothing);
    a.clock.monotonicSkewMs = 1e6;
    client.socket.close();
    await until(() => b.shards.ops(end).length === 1);
    expect(b.shards.ops(end)).toEqual([[end, 2]]);
    expect(b.gateway.counts()).toEqual(nothing);
    expect((await comeBack(a, before.resumeToken, given)).welcome).toMatchObject({ resumed: false });
    expect(a.shards.ops(end)).toHaveLength(0);
  });

  it('goes there and back again', async () => {
    const [a, b] = (await startRigs(2)).rigs;
    const before = await known(a, given);
    const there = await comeBack(b, before.resumeToken, given);
    expect(await before.client.closed).toBe(1000);
    const back = await comeBack(a, there.welcome['resumeToken'], given);
    expect(await there.client.closed).toBe(1000);
    expect(back.welcome).toMatchObject({ clientId: before.clientId, sessionId: before.sessionId, resumed: true });
    expect(await back.client.rpc('echo', 1)).toMatchObject({ result: 1 });
    expect(b.gateway.counts()).toEqual(nothing);
  });

  it.each([
    ['where it was before', 0],
    ['yet another one', 2],
  ])('is found again by %s, when its client never heard of the move', async (_where, third) => {
    const boot = randomUUID();
    const start = (index: number) => startRig({ shards: 2, gateway: { index, gateways: 3, boot } });
    const rigs = await Promise.all([start(0), start(1), start(2)]);
    const before = await known(rigs[0], given);
    before.client.socket.terminate();
    await until(() => rigs[0].gateway.counts().detached === 1);
    const deaf = await comeBack(rigs[1], before.resumeToken, given);
    expect(deaf.welcome).toMatchObject({ resumed: true });
    deaf.client.socket.terminate();
    await until(() => rigs[1].gateway.counts().detached === 1);
    const again = await comeBack(rigs[third]!, before.resumeToken, given);
    expect(again.welcome).toMatchObject({ resumed: true, sessionId: before.sessionId });
    await again.client.rpc('echo');
    // Now its client is known to have the next token.
    for (const rig of rigs) {
      expect((await comeBack(rig, before.resumeToken, given)).welcome).toMatchObject({ resumed: false });
    }
  });

  it('leaves its calls behind: they are counted until they are answered, to nobody', async () => {
    const [a, b] = (await startRigs(2)).rigs;
    const before = await known(a, given);
    const held = before.client.rpc('hold');
    held.catch(() => {});
    await until(() => a.shards.held.length === 1);
    const { welcome } = await comeBack(b, before.resumeToken, given);
    expect(welcome).toMatchObject({ resumed: true });
    expect(await before.client.closed).toBe(1000);
    expect(a.gateway.counts()).toMatchObject({ sockets: 0, calls: 1, tenants: 1 });
    a.shards.release();
    expect(a.gateway.counts()).toEqual(nothing);
    expect(before.client.messages.filter(({ type }) => type === 'rpc:result')).toHaveLength(1);
  });

  it.each([
    ['another tenant', claims({ tenant: 'other' })],
    ['another user', claims({ sub: 'user-2' })],
  ])('stays there when %s asks for it', async (_whom, stranger) => {
    const [a, b] = (await startRigs(2)).rigs;
    const before = await known(a, given);
    before.client.socket.terminate();
    await until(() => a.gateway.counts().detached === 1);
    expect((await comeBack(b, before.resumeToken, token(stranger))).welcome).toMatchObject({ resumed: false });
    expect((await comeBack(b, before.resumeToken, given)).welcome).toMatchObject({ resumed: true });
  });

  it('is not asked for when there is one gateway, or none of that number', async () => {
    const boot: string = randomUUID();
    const asks = impersonate(boot, () => undefined);
    const alone = await startRig({ gateway: { index: 0, gateways: 1, boot } });
    expect((await comeBack(alone, `1.${'A'.repeat(32)}`, given)).welcome).toMatchObject({ resumed: false });
    const { rigs } = await startRigs(2, {}, boot);
    for (const wrong of [`2.${'A'.repeat(32)}`, `0.${'A'.repeat(31)}`, `1.${'A'.repeat(32)}`])
      expect((await comeBack(rigs[1], wrong, given)).welcome).toMatchObject({ resumed: false });
    expect(asks).toHaveLength(0);
  });
});

describe('a gateway that does not answer', () => {
  /** The second gateway of two, the first of which is played here. */
  const second = async (boot: string, limits: Partial<Limits> = {}) =>
    startRig({ shards: 2, limits, gateway: { index: 1, gateways: 2, boot } });

  it('costs a second, in which frames wait in order; the session is a new one', async () => {
    const boot: string = randomUUID();
    const rig = await second(boot);
    const client = await connect(rig, additions);
    client.send({ type: 'hello', resumeToken: foreign });
    const rpc = { type: 'rpc', actor: 'counter', actorId: 'c1', method: 'echo' };
    client.send({ ...rpc, id: 'first', input: 1 });
    client.send({ type: 'event:sub', actor: 'counter', actorId: 'c1' });
    client.send({ ...rpc, id: 'second', input: 2 });
    client.send({ type: 'hello', resumeToken: foreign });
    const other = await connect(rig, additions);
    await other.rpc('echo', 'other');
    expect(rig.shards.calls).toHaveLength(1);
    await until(() => client.messages.length === 5);
    const got = client.messages.map((message: Message) => message['id'] ?? message.type);
    expect(got).toEqual(['welcome', 'welcome', 'error', 'first', 'second']);
    expect(client.messages[1]).toEqual(client.messages[0]);
    expect(rig.shards.seen.map(({ envelope }) => envelope[0]).slice(2)).toEqual([
      open,
      inboundOp.call,
      subscribe,
      inboundOp.call,
    ]);
  });

  it('does not let a client pile up frames: past the bound it is closed with 4400', async () => {
    const rig = await second(randomUUID(), { connectionCallsMax: 3 });
    const client = await connect(rig, additions);
    client.send({ type: 'hello', resumeToken: foreign });
    for (let n = 0; n < 3; n += 1) client.send({ type: 'ping' });
    const other = await connect(rig, additions);
    expect(await other.rpc('echo', 1)).toMatchObject({ result: 1 });
    expect(client.closeCode).toBeUndefined();
    client.send({ type: 'ping' });
    expect(await client.closed).toBe(4400);
    expect(client.messages.at(-1)).toMatchObject({ type: 'error', code: 'MALFORMED' });
    expect(rig.shards.calls).toHaveLength(1);
  });

  it('or answers with nonsense is not believed', async () => {
    const boot: string = randomUUID();
    const rig = await second(boot);
    const info = {
      tenant: 'acme',
      sessionId: 's',
      clientId: 'c',
      userId: 'user-1',
      claims: {},
      kind: 'ws',
      additions: true,
    };
    const wrong = [
      { info: { ...info, kind: 'http' }, connectedMs: 1, shards: [] },
      { info, connectedMs: 1, shards: [-1] },
      { info, connectedMs: '1', shards: [] },
      { info: { ...info, clientId: 5 }, connectedMs: 1, shards: [] },
      'session',
    ];
    const asks = impersonate(boot, ({ ask }) => ({ kind: 'answer', from: '0', to: '1', ask, handed: wrong.shift() }));
    const results = await Promise.all([1, 2, 3, 4, 5].map(() => comeBack(rig, foreign, given)));
    expect(asks).toHaveLength(5);
    for (const { welcome } of results) expect(welcome).toMatchObject({ resumed: false });
  });

  it('in time gives its session all the same; nobody has a token for it here, so it ends at its shards', async () => {
    const boot: string = randomUUID();
    const rig = await second(boot);
    const info = {
      tenant: 'acme',
      sessionId: 's',
      clientId: 'c',
      userId: 'user-1',
      claims: {},
      kind: 'ws',
      additions: true,
    };
    let late: (() => void) | undefined;
    const channel = new BroadcastChannel(`fermata sessions ${boot}`);
    channels.push(channel);
    impersonate(boot, ({ ask }) => {
      late = () =>
        channel.postMessage({
          kind: 'answer',
          from: '0',
          to: '1',
          ask,
          handed: { info, connectedMs: 1, shards: [1, 7] },
        });
      return undefined;
    });
    const { client } = await comeBack(rig, foreign, given);
    late!();
    await until(() => rig.shards.ops(end).length === 1);
    expect(rig.shards.seen).toEqual([
      { shard: 1, envelope: [open, 2, info] },
      { shard: 1, envelope: [end, 2] },
    ]);
    expect(rig.gateway.counts().detached).toBe(0);
    expect(rig.gateway.takeSessionRecords().find(({ sessionId }) => sessionId === 's')).toMatchObject({
      status: 'inactive',
      reason: 'closed',
      connectedMs: 1,
    });
    expect(await client.rpc('echo', 1)).toMatchObject({ result: 1 });
  });

  it('before the socket is gone as well leaves a session that ends at once', async () => {
    const boot: string = randomUUID();
    const rig = await second(boot);
    const info = {
      tenant: 'acme',
      sessionId: 's',
      clientId: 'c',
      userId: 'user-1',
      claims: {},
      kind: 'ws',
      additions: true,
    };
    const channel = new BroadcastChannel(`fermata sessions ${boot}`);
    channels.push(channel);
    let ask: unknown;
    impersonate(boot, (asked) => {
      ask = asked['ask'];
      return undefined;
    });
    const client = await connect(rig, additions);
    client.send({ type: 'hello', resumeToken: foreign });
    await until(() => ask !== undefined);
    client.socket.close();
    await until(() => rig.gateway.counts().sockets === 0);
    channel.postMessage({ kind: 'answer', from: '0', to: '1', ask, handed: { info, connectedMs: 1, shards: [0] } });
    await until(() => rig.shards.ops(end).length === 1);
    expect(rig.shards.ops(end)).toEqual([[end, 2]]);
    expect(rig.gateway.counts().detached).toBe(0);
  });
});
