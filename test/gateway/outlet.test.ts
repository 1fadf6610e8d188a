import { afterEach, describe, expect, it } from 'vitest';
import { connect, startRig, stopRigs, until } from './rig.ts';
import { token } from './tokens.ts';

afterEach(stopRigs);

describe.each([
  ['few members, served one by one', 3],
  ['many members, published to', 40],
])('a topic of %s', (_what, members) => {
  it('keeps the order of snapshot, patches, replies and leaving for everybody', async () => {
    const rig = await startRig();
    const clients = await Promise.all(
      Array.from({ length: members }, () => connect(rig, { token: token(), protocols: ['fermata.v1'] })),
    );
    for (const client of clients)
      client.send({ type: 'rpc', id: 'h', actor: 'counter', actorId: 'c1', method: 'hold' });
    await until(() => rig.shards.held.length === members);
    const sessions = rig.shards.calls.map((call) => call[1]);
    const calls = rig.shards.held.splice(0).map(({ call }) => call);
    rig.shards.emit(0, (out) => {
      const say = (n: number) => JSON.stringify({ type: 'n', n });
      for (const session of sessions) out.add('M', session, 0, 0, say(1));
      out.add('P', 9, 0, 0, say(0));
      for (const session of sessions) out.add('S', session, 9, 0, '');
      out.add('P', 9, 0, 0, say(2));
      for (const session of sessions) out.add('M', session, 0, 0, say(3));
      out.add('P', 9, 0, 0, say(4));
      out.add('P', 9, 0, 0, say(5));
      for (const call of calls) out.add('K', call, 1, 0, '6');
      out.add('P', 9, 0, 0, say(7));
      for (const [at, session] of sessions.entries()) if (at % 2 === 0) out.add('U', session, 9, 0, '');
      out.add('P', 9, 0, 0, say(7.5));
      for (const session of sessions) out.add('M', session, 0, 0, say(8));
    });
    for (const [at, client] of clients.entries()) {
      await until(() => client.messages.some((message) => message['n'] === 8));
      const order = client.messages.slice(1).map((message) => message['n'] ?? message['result']);
      // Every second one has left the topic before the last publication.
      expect(order).toEqual(at % 2 === 0 ? [1, 2, 3, 4, 5, 6, 7, 8] : [1, 2, 3, 4, 5, 6, 7, 7.5, 8]);
    }
  });
});

describe('the outlet', () => {
  it('keeps topics of two shards apart', async () => {
    const rig = await startRig({ shards: 2 });
    const client = await connect(rig, { token: token() });
    rig.shards.emit(0, (out) => out.add('S', 1, 1, 0, ''));
    rig.shards.emit(1, (out) => out.add('P', 1, 0, 0, '{"type":"wrong"}'));
    rig.shards.emit(0, (out) => out.add('P', 1, 0, 0, '{"type":"right"}'));
    await client.next('right');
    expect(client.messages.some(({ type }) => type === 'wrong')).toBe(false);
  });

  it('takes records about sessions, calls and topics that are gone', async () => {
    const rig = await startRig();
    rig.shards.emit(0, (out) => {
      out.add('K', 999, 1, 0, '1');
      out.add('E', 998, 0, 0, '{}');
      out.add('M', 997, 0, 0, '{}');
      out.add('S', 996, 1, 0, '');
      out.add('U', 996, 1, 0, '');
      out.add('P', 1, 0, 0, '{}');
    });
    const client = await connect(rig, { token: token() });
    expect((await client.rpc('echo', 1))['result']).toBe(1);
  });

  it('sends text of any script and length through unharmed', async () => {
    const rig = await startRig();
    const client = await connect(rig, { token: token() });
    for (const text of ['héllo 😀 \u2028', 'a;b,c\\"', '𝄐'.repeat(5000), '\ud800']) {
      expect((await client.rpc('echo', text))['result']).toBe(text);
    }
  });

  it('gathers the calls of a tick into one frame, and splits frames past a mebibyte', async () => {
    const rig = await startRig();
    const client = await connect(rig, { token: token() });
    await client.rpc('echo');
    const before = rig.shards.frames.length;
    await Promise.all(Array.from({ length: 100 }, (_, n) => client.rpc('echo', n)));
    expect(rig.shards.frames.length - before).toBeLessThan(50);
    await Promise.all(Array.from({ length: 60 }, () => client.rpc('echo', 'x'.repeat(60_000))));
    for (const frame of rig.shards.frames) expect(frame.length).toBeLessThan(1.2 * 1024 * 1024);
  });
});
