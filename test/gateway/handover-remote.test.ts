import { afterEach, describe, expect, it } from 'vitest';
import type { Peers } from '../../src/gateway/handover.ts';
import { inboundOp } from '../../src/protocol/envelope.ts';
import { FakeRemote } from './fake-remote.ts';
import { comeBack, known, lost, nothing, type Rig, startRig, stopRigs, until } from './rig.ts';
import { claims, token } from './tokens.ts';

afterEach(stopRigs);

const given = token();
const { open, end, detach } = inboundOp;

/** What gateways of several processes share: text, heard by all, its sender included. */
class Air {
  readonly heard: string[] = [];
  /** Messages of this kind are refused, or lost without a word. */
  drops: string | undefined;
  loses: string | undefined;
  readonly #hearers = new Set<(message: unknown) => void>();

  peers(key: string): Peers {
    let own: ((message: unknown) => void) | undefined;
    const channel = {
      post: (message: object) => this.say(message),
      onMessage: (hear: (message: unknown) => void) => {
        own = hear;
        this.#hearers.add(hear);
      },
      close: () => {
        if (own !== undefined) this.#hearers.delete(own);
      },
    };
    return { key, channel, has: (peer) => /^[a-z0-9]{8,40}$/.test(peer), outlive: true };
  }

  say(message: object): boolean {
    const { kind } = message as { kind: string };
    if (kind === this.drops) return false;
    if (kind === this.loses) return true;
    const text = JSON.stringify(message);
    this.heard.push(text);
    setImmediate(() => {
      for (const hear of this.#hearers) hear(JSON.parse(text));
    });
    return true;
  }
}

async function startTwo(): Promise<{ a: Rig; b: Rig; air: Air }> {
  const air = new Air();
  const start = async (key: string) => startRig({ link: new FakeRemote(8), gateway: { peers: air.peers(key) } });
  return { a: await start('gatewayaaaa'), b: await start('gatewaybbbb'), air };
}

describe('a session that its client left at a gateway of another process', () => {
  it('is handed over with its slots, under the key that the token names', async () => {
    const { a, b } = await startTwo();
    const before = await lost(a, given);
    expect(before.resumeToken).toMatch(/^gatewayaaaa\.[A-Za-z0-9_-]{32}$/);
    const { client, first, welcome } = await comeBack(b, before.resumeToken, given);
    const { clientId, sessionId } = before;
    expect(welcome).toMatchObject({ clientId, sessionId, resumed: true, resumeToken: first['resumeToken'] });
    expect(first['resumeToken']).toMatch(/^gatewaybbbb\./);
    await until(() => b.shards.ops(open).length === 1);
    expect(b.shards.seen[0]).toMatchObject({ shard: a.shards.seen[0]!.shard, envelope: [open, 2, { sessionId }] });
    expect(a.gateway.counts()).toEqual(nothing);
    // And back again.
    client.socket.terminate();
    await until(() => b.gateway.counts().detached === 1);
    expect((await comeBack(a, welcome['resumeToken'], given)).welcome).toMatchObject({ sessionId, resumed: true });
  });

  it('is a new one when that gateway is not there, after a second', async () => {
    const { b, air } = await startTwo();
    const { welcome } = await comeBack(b, `gatewaycccc.${'A'.repeat(32)}`, given);
    expect(welcome).toMatchObject({ resumed: false });
    expect(air.heard).toHaveLength(1);
  });

  it('is asked for by no token of another form', async () => {
    const { b, air } = await startTwo();
    for (const wrong of [`0.${'A'.repeat(32)}`, `gatewayaaaa.${'A'.repeat(31)}`, `Gatewayaaaa.${'A'.repeat(32)}`, 'x'])
      expect((await comeBack(b, wrong, given)).welcome).toMatchObject({ resumed: false });
    expect(air.heard).toEqual([]);
  });

  it('is not taken from a peer that answers with the session of another tenant or user', async () => {
    const { b, air } = await startTwo();
    const asked = air.peers('gatewaycccc').channel!;
    const wrong = [{ tenant: 'other' }, { userId: 'user-2' }, { tenant: '../up' }, { clientId: 'x'.repeat(300) }];
    asked.onMessage((message) => {
      const { kind, ask } = message as { kind: string; ask: number };
      if (kind !== 'ask') return;
      const info = {
        tenant: 'acme',
        sessionId: 's',
        clientId: 'c',
        userId: 'user-1',
        claims: {},
        kind: 'ws',
        additions: true,
        ...wrong.shift(),
      };
      asked.post({
        kind: 'answer',
        from: 'gatewaycccc',
        to: 'gatewaybbbb',
        ask,
        handed: { info, connectedMs: 1, shards: [0] },
      });
    });
    const tries = await Promise.all([1, 2, 3, 4].map(() => comeBack(b, `gatewaycccc.${'A'.repeat(32)}`, given)));
    for (const { welcome } of tries) expect(welcome).toMatchObject({ resumed: false });
    expect(wrong).toEqual([]);
    expect(b.shards.frames).toEqual([]);
  });

  it('ends where it was when the answer cannot be sent', async () => {
    const { a, b, air } = await startTwo();
    const before = await lost(a, given);
    air.drops = 'answer';
    expect((await comeBack(b, before.resumeToken, given)).welcome).toMatchObject({ resumed: false });
    // At once: the other one gave up after a second, and this one would after two.
    expect(a.shards.ops(end)).toEqual([[end, 1]]);
    expect(a.gateway.counts()).toEqual(nothing);
    expect(b.shards.frames).toEqual([]);
  });

  it.each(['answer', 'taken'] as const)('ends where it was when its %s is lost on the way', async (kind) => {
    const { a, b, air } = await startTwo();
    const before = await lost(a, given);
    air.loses = kind;
    const { welcome } = await comeBack(b, before.resumeToken, given);
    expect(welcome).toMatchObject({ resumed: kind === 'taken' });
    await until(() => a.shards.ops(end).length === 1);
    // Under the number that it had there, which means nothing where it lives on.
    expect(a.shards.ops(end)).toEqual([[end, 1]]);
    expect(a.gateway.counts()).toEqual(nothing);
    expect(b.gateway.counts()).toMatchObject({ sockets: 1, tenants: 1 });
  });

  it('is told of to nobody between the two', async () => {
    const { a, b, air } = await startTwo();
    const before = await lost(a, given);
    air.loses = 'taken';
    await comeBack(b, before.resumeToken, given);
    const remote = a.shards as FakeRemote;
    remote.turnover(a.shards.seen[0]!.shard);
    expect(remote.presented).toEqual([[inboundOp.present, 0, []]]);
  });

  it('has nothing that its peer may have added', async () => {
    const { b, air } = await startTwo();
    const asked = air.peers('gatewaycccc').channel!;
    asked.onMessage((message) => {
      const { kind, ask } = message as { kind: string; ask: number };
      if (kind !== 'ask') return;
      const who = { tenant: 'acme', userId: 'user-1', sessionId: 's', clientId: 'c' };
      const info = { ...who, claims: {}, kind: 'ws', additions: true, admin: true };
      const handed = { info, connectedMs: 1, shards: [0], inFlight: { calls: 100_000 } };
      asked.post({ kind: 'answer', from: 'gatewaycccc', to: 'gatewaybbbb', ask, handed });
    });
    const { client, welcome } = await comeBack(b, `gatewaycccc.${'A'.repeat(32)}`, given);
    expect(welcome).toMatchObject({ resumed: true });
    expect(await client.rpc('echo', 1)).toMatchObject({ result: 1 });
    expect(b.shards.ops(open)[0]![2]).not.toHaveProperty('admin');
  });

  it('still goes to the other one while its own gateway stops; what is left there ends with it', async () => {
    const { a, b } = await startTwo();
    const [leaving, staying] = [await known(a, given), await known(a, given)];
    const away = await lost(a, given);
    a.phase.set('draining');
    a.gateway.stopListening();
    leaving.client.socket.close(4000);
    await until(() => a.gateway.counts().detached === 2);
    const { sessionId } = leaving;
    expect((await comeBack(b, leaving.resumeToken, given)).welcome).toMatchObject({ sessionId, resumed: true });
    expect((await comeBack(b, away.resumeToken, given)).welcome).toMatchObject({ resumed: true });
    a.gateway.takeSessionRecords();
    await a.gateway.close(0);
    expect(await staying.client.closed).toBe(1012);
    // The last word of the one that stayed has left when `close` settles.
    expect(a.shards.ops(end)).toEqual([[end, 2]]);
    expect(a.shards.ops(detach)).toHaveLength(3);
    expect(a.gateway.takeSessionRecords()).toMatchObject([
      { sessionId: staying.sessionId, status: 'inactive', reason: 'shutdown' },
    ]);
    expect(a.gateway.counts()).toMatchObject({ detached: 0, tenants: 0 });
  });

  it('has the rights of the token that its client comes with', async () => {
    const { a, b } = await startTwo();
    const before = await lost(a, given);
    const renewed = token(claims({ role: 'judge' }));
    expect((await comeBack(b, before.resumeToken, renewed)).welcome).toMatchObject({ resumed: true });
    await until(() => b.shards.ops(open).length === 1);
    expect(b.shards.ops(open)[0]![2]).toMatchObject({ claims: { role: 'judge' } });
  });
});
