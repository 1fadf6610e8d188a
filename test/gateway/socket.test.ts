import { afterEach, describe, expect, it } from 'vitest';
import { inboundOp } from '../../src/protocol/envelope.ts';
import { connect, nothing, startRig, stopRigs, until } from './rig.ts';
import { token } from './tokens.ts';

afterEach(stopRigs);

const additions = { token: token(), protocols: ['fermata.v1'] };

describe('welcome', () => {
  it('is the first frame of a base client, with nothing but its id', async () => {
    const client = await connect(await startRig(), { token: token() });
    expect(client.messages[0]).toEqual({ type: 'welcome', clientId: expect.stringMatching(/^[\w-]{16}$/) });
  });

  it('tells clients with the additions how to come back, and the limits', async () => {
    const client = await connect(await startRig(), additions);
    expect(client.socket.protocol).toBe('fermata.v1');
    expect(client.messages[0]).toMatchObject({
      clientId: expect.stringMatching(/^[\w-]{16}$/),
      sessionId: expect.stringMatching(/^[\w-]{16}$/),
      resumeToken: expect.stringMatching(/^0\.[\w-]{32}$/),
      resumed: false,
      heartbeatMs: 30_000,
      server: 'fermata',
      limits: { frameBytesMax: 65536, connectionCallsMax: 1024 },
    });
  });
});

describe('an rpc', () => {
  it('reaches its shard with the session announced before it, and comes back once', async () => {
    const rig = await startRig();
    const client = await connect(rig, { token: token() });
    expect(await client.rpc('echo', { amount: 2 })).toEqual({ type: 'rpc:result', id: 'rpc_1', result: { amount: 2 } });
    const { clientId } = client.messages[0]!;
    expect(rig.shards.seen[0]!.envelope).toMatchObject([
      inboundOp.open,
      1,
      { tenant: 'acme', clientId, userId: 'user-1', kind: 'ws', claims: { sub: 'user-1' } },
    ]);
    expect(rig.shards.calls).toEqual([[2, 1, 1, 'counter', 'c1', 'echo', '', -1, 0, { amount: 2 }]]);
    await client.rpc('echo', 1);
    expect(rig.shards.ops(inboundOp.open)).toHaveLength(1);
  });

  it('has no result field when the method returned nothing, and tells the additions the outcome', async () => {
    const rig = await startRig();
    const base = await connect(rig, { token: token() });
    const full = await connect(rig, additions);
    expect(await base.rpc('echo')).toEqual({ type: 'rpc:result', id: 'rpc_1' });
    expect(await full.rpc('echo')).toEqual({ type: 'rpc:result', id: 'rpc_1', outcome: 'ok', durable: true });
    expect(await full.rpc('memory')).toMatchObject({ result: 1, durable: false });
  });

  it('fails with a text for base clients and with code and outcome for the additions', async () => {
    const rig = await startRig();
    const base = await connect(rig, { token: token() });
    const full = await connect(rig, additions);
    expect(await base.rpc('fail')).toEqual({ type: 'rpc:result', id: 'rpc_1', error: 'no luck' });
    expect(await full.rpc('fail')).toEqual({
      type: 'rpc:result',
      id: 'rpc_1',
      error: 'no luck',
      code: 'HANDLER',
      outcome: 'failed',
      retryable: false,
    });
    expect(await full.rpc('busy')).toMatchObject({ code: 'OVERLOADED', retryAfterMs: 1500 });
  });

  it('carries key and deadline also without the additions', async () => {
    const rig = await startRig();
    const client = await connect(rig, { token: token() });
    await client.rpc('echo', 1, { key: 'k"1', deadlineMs: 1500.2 });
    expect(rig.shards.calls[0]).toEqual([2, 1, 1, 'counter', 'c1', 'echo', 'k"1', -1, 1501, 1]);
  });

  it.each([
    [{ actor: '__proto__' }, 'Unknown actor: __proto__', 'UNKNOWN_ACTOR'],
    [{ actor: 'a b' }, 'Unknown actor: a b', 'UNKNOWN_ACTOR'],
    [{ method: '__proto__' }, 'Unknown method: __proto__', 'UNKNOWN_METHOD'],
    [{ method: 'x"y' }, 'Unknown method: x"y', 'UNKNOWN_METHOD'],
    [{ actor: 7 }, 'actor must be a string', 'MALFORMED'],
    [{ actor: undefined }, 'actor must be a string', 'MALFORMED'],
    [{ method: null }, 'method must be a string', 'MALFORMED'],
    [{ actorId: '' }, 'actorId must not be empty', 'MALFORMED'],
    [{ actorId: ['x'] }, 'actorId must be a string', 'MALFORMED'],
    [{ key: 5 }, 'key must be a string', 'MALFORMED'],
    [{ deadlineMs: 'soon' }, 'deadlineMs must be a number above 0', 'MALFORMED'],
  ])('with %o is refused as "%s" and never forwarded', async (more, error, code) => {
    const rig = await startRig();
    const client = await connect(rig, additions);
    expect(await client.rpc('echo', 1, more)).toMatchObject({ type: 'rpc:result', error, code, outcome: 'rejected' });
    expect(rig.shards.seen).toHaveLength(0);
  });

  it.each([
    ['missing', undefined, null],
    ['a number', 12, 12],
    ['an object', { a: 1 }, null],
    ['too long', 'i'.repeat(257), 'i'.repeat(257)],
  ])('whose id is %s is answered all the same', async (_what, id, echoed) => {
    const client = await connect(await startRig(), { token: token() });
    client.send({ type: 'rpc', id, actor: 'counter', actorId: 'c1', method: 'echo' });
    expect(await client.next('rpc:result')).toEqual({
      type: 'rpc:result',
      id: echoed,
      error: expect.stringMatching(/^id must/),
    });
  });

  it.each(['constructor', 'toString', 'hasOwnProperty', 'valueOf'])('of the method %s is unknown', async (method) => {
    const client = await connect(await startRig(), { token: token() });
    expect(await client.rpc(method)).toMatchObject({ error: `Unknown method: ${method}` });
    expect(await client.rpc('echo', 1, { actor: method })).toMatchObject({ error: `Unknown actor: ${method}` });
  });

  it('too deep or with an own __proto__ key is refused with its id, and the connection lives', async () => {
    const rig = await startRig();
    const client = await connect(rig, additions);
    const rpc = (input: string) =>
      client.send(`{"type":"rpc","id":"d","actor":"counter","actorId":"c1","method":"echo","input":${input}}`);
    for (const input of [
      '['.repeat(20_000) + ']'.repeat(20_000),
      '{"a":{"__proto__":{"x":1}}}',
      '{"\\u005f_proto__":1}',
    ]) {
      rpc(input);
      expect(await client.next('rpc:result')).toMatchObject({ id: 'd', code: 'MALFORMED' });
    }
    expect(rig.shards.seen).toHaveLength(0);
    rpc('{"a":"__proto__"}');
    expect(await client.next('rpc:result')).toMatchObject({ result: { a: '__proto__' } });
  });
});

describe('a frame that is no message', () => {
  it.each(['{', 'hello', '[1]', 'null', '"rpc"', ''])('such as %s closes with 4400', async (text) => {
    const rig = await startRig();
    const base = await connect(rig, { token: token() });
    const full = await connect(rig, additions);
    base.send(text);
    full.send(text);
    expect(await base.closed).toBe(4400);
    expect(await full.closed).toBe(4400);
    expect(base.messages).toHaveLength(1);
    expect(full.messages[1]).toMatchObject({ type: 'error', code: 'MALFORMED', retryable: false });
  });

  it('in binary closes with 4400', async () => {
    const client = await connect(await startRig(), { token: token() });
    client.socket.send(Buffer.from('{"type":"ping"}'), { binary: true });
    expect(await client.closed).toBe(4400);
  });

  it('over the limit closes with 1009, far over it without a close frame', async () => {
    const rig = await startRig();
    const client = await connect(rig, { token: token() });
    client.send(`"${'x'.repeat(65535)}"`);
    expect(await client.closed).toBe(1009);
    const other = await connect(rig, { token: token() });
    other.send(`"${'x'.repeat(200_000)}"`);
    expect([1006, 1009]).toContain(await other.closed);
  });

  it('at the limit passes', async () => {
    const client = await connect(await startRig(), { token: token() });
    const frame = { type: 'rpc', id: 'l', actor: 'counter', actorId: 'c1', method: 'echo', input: '' };
    frame.input = 'x'.repeat(65536 - JSON.stringify(frame).length);
    client.send(frame);
    expect(await client.next('rpc:result')).toMatchObject({ id: 'l', result: frame.input });
  });

  it('of an unknown type is ignored', async () => {
    const client = await connect(await startRig(), additions);
    client.send({ type: 'wave', resumeToken: 'x' });
    client.send({ no: 'type' });
    client.send({ type: 'ping' });
    await client.next('pong');
    expect(client.messages.map(({ type }) => type)).toEqual(['welcome', 'pong']);
  });
});

describe('a subscription', () => {
  it('gets its snapshot, then what its topic gets, until it leaves', async () => {
    const rig = await startRig();
    const client = await connect(rig, { token: token() });
    client.send({ type: 'state:sub', actor: 'counter', actorId: 'c1' });
    expect(await client.next()).toEqual({
      type: 'state:snapshot',
      actor: 'counter',
      actorId: 'c1',
      state: { count: 3 },
    });
    rig.shards.emit(0, (out) => out.add('P', 5, 0, 0, '{"type":"state:patch","n":1}'));
    expect(await client.next()).toMatchObject({ n: 1 });
    client.send({ type: 'state:unsub', actor: 'counter', actorId: 'c1' });
    await until(() => rig.shards.ops(inboundOp.unsubscribe).length === 1);
    await client.rpc('echo');
    rig.shards.emit(0, (out) => out.add('P', 5, 0, 0, '{"type":"state:patch","n":2}'));
    await client.rpc('echo');
    expect(client.messages.some((message) => message['n'] === 2)).toBe(false);
    expect(rig.shards.ops(inboundOp.subscribe)).toEqual([[3, 1, 'counter', 'c1', 'state']]);
  });

  it('to an illegal name is refused to clients with the additions and silent to base ones', async () => {
    const rig = await startRig();
    const base = await connect(rig, { token: token() });
    const full = await connect(rig, additions);
    // Names that no actor can have are known here; those that no app has, to the shard, which answers as it should.
    for (const client of [base, full]) {
      client.send({ type: 'event:sub', actor: '../x', actorId: 'r1' });
      if (client === full) client.send({ type: 'event:sub', actor: 'nobody', actorId: 'r1' });
      await client.rpc('echo');
    }
    expect(base.messages.map(({ type }) => type)).toEqual(['welcome', 'rpc:result']);
    const refusals = full.messages.filter(({ type }) => type === 'error');
    expect(refusals).toEqual([
      {
        type: 'error',
        re: { type: 'event:sub', actor: '../x', actorId: 'r1' },
        code: 'UNKNOWN_ACTOR',
        message: 'Unknown actor: ../x',
        retryable: false,
      },
      {
        type: 'error',
        re: { type: 'event:sub', actor: 'nobody', actorId: 'r1' },
        code: 'UNKNOWN_ACTOR',
        message: 'Unknown actor: nobody',
        retryable: false,
      },
    ]);
  });
});

describe('a connection that ends', () => {
  it('ends its session at every shard that knew it, and only there', async () => {
    const rig = await startRig({ shards: 4 });
    const client = await connect(rig, { token: token() });
    for (let n = 0; n < 40; n += 1) await client.rpc('echo', n, { actorId: `c${n % 8}` });
    const known = new Set(
      rig.shards.seen.filter(({ envelope }) => envelope[0] === inboundOp.open).map(({ shard }) => shard),
    );
    expect(known.size).toBeGreaterThan(1);
    client.send({ type: 'state:sub', actor: 'counter', actorId: 'c1' });
    await client.next('state:snapshot');
    await until(() => rig.gateway.counts().topics === 1);
    client.socket.close();
    await until(() => rig.shards.ops(inboundOp.end).length === known.size);
    const ended = rig.shards.seen.filter(({ envelope }) => envelope[0] === inboundOp.end).map(({ shard }) => shard);
    expect(new Set(ended)).toEqual(known);
    expect(rig.gateway.counts()).toEqual(nothing);
  });

  it('leaves no count behind, whenever its calls are answered', async () => {
    const rig = await startRig({ shards: 2 });
    const clients = await Promise.all(Array.from({ length: 10 }, () => connect(rig, { token: token() })));
    for (const client of clients) {
      for (let n = 0; n < 20; n += 1) {
        client.send({ type: 'rpc', id: `h${n}`, actor: 'counter', actorId: `c${n}`, method: 'hold' });
      }
    }
    await until(() => rig.shards.held.length === 200);
    for (const [at, client] of clients.entries()) {
      if (at % 2 === 0) client.socket.terminate();
      else client.socket.close();
    }
    await until(() => rig.gateway.counts().sockets === 0);
    expect(rig.gateway.counts()).toMatchObject({ calls: 200, tenants: 1 });
    rig.shards.release();
    expect(rig.gateway.counts()).toEqual(nothing);
  });
});
