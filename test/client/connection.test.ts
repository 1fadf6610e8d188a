import { WebSocket as WsWebSocket } from 'ws';
import { describe, expect, it } from 'vitest';
import { type ConnectionStatus, createClient, FermataError } from '../../src/client/client.ts';
import { socketUrl } from '../../src/client/socket.ts';
import type { Peer } from './scripted-server.ts';
import { connected, delayAfterLoss, refusal, refusedOnce, type Rig, rig, roundTrip } from './rig.ts';

describe('the handshake', () => {
  it('offers the protocol with the token beside it, at /ws', async () => {
    await using test = await rig({ token: 'aaa.bbb.ccc' });
    test.clock.advance(0);
    const peer = await test.server.accept();
    expect(peer.offered.replaceAll(' ', '')).toBe('fermata.v1,bearer.aaa.bbb.ccc');
    expect(peer.path).toBe('/ws');
  });

  it('offers no token when there is none', async () => {
    await using test = await rig();
    test.clock.advance(0);
    expect((await test.server.accept()).offered).toBe('fermata.v1');
  });

  it('asks a token function before every attempt', async () => {
    let asked = 0;
    await using test = await rig({
      token: async () => {
        asked += 1;
        return `token-${asked}`;
      },
    });
    test.clock.advance(0);
    const peer = await test.server.welcome();
    await test.client.connection.ready;
    test.clock.advance(await delayAfterLoss(test, peer));
    expect((await test.server.accept()).offered).toContain('bearer.token-2');
  });

  it('is connected only after the welcome, which names the client', async () => {
    await using test = await rig();
    const seen: ConnectionStatus[] = [];
    test.client.connection.subscribe((status) => seen.push(status));
    expect(test.client.connection.status).toBe('connecting');
    test.clock.advance(0);
    const peer = await test.server.accept();
    expect(test.client.connection.status).toBe('connecting');
    peer.send({ type: 'welcome', clientId: 'abc' });
    await test.client.connection.ready;
    expect(test.client.connection.clientId).toBe('abc');
    expect(seen).toEqual(['connected']);
  });

  it('is given up without a welcome in time, and tried again', async () => {
    await using test = await rig({ connectTimeoutMs: 1000 });
    test.clock.advance(0);
    const first = await test.server.accept();
    test.clock.advance(1000);
    await first.closed();
    expect(test.client.connection.error).toMatchObject({ code: 'CONNECTION_LOST' });
    test.clock.advance(125);
    await test.server.welcome();
    await test.status('connected');
    expect(test.client.connection.error).toBeUndefined();
  });

  it('works with the WebSocket of the package ws', async () => {
    await using test = await connected({ WebSocket: WsWebSocket });
    const answer = test.client.counter('c1').increment();
    test.peer.answer(await test.peer.frame(), 1);
    expect(await answer).toBe(1);
  });

  it('works with real time', async () => {
    await using test = await rig();
    const client = createClient<typeof import('./app.ts').app>({ url: test.server.url.replace('ws:', 'http:') });
    const answer = client.counter('c1').increment();
    const peer = await test.server.welcome();
    peer.answer(await peer.frame(), 1);
    expect(await answer).toBe(1);
    client.connection.close();
  });

  it('understands http addresses, keeps path and query, and drops the fragment', () => {
    expect(socketUrl('https://example.org')).toBe('wss://example.org/ws');
    expect(socketUrl('http://127.0.0.1:8080/')).toBe('ws://127.0.0.1:8080/ws');
    expect(socketUrl(new URL('wss://example.org/live/socket?a=1#top'))).toBe('wss://example.org/live/socket?a=1');
  });

  it('refuses an address that is none when the client is made', () => {
    expect(() => createClient({ url: 'ftp://example.org' })).toThrow(TypeError);
    expect(() => createClient({ url: 'nonsense' })).toThrow(TypeError);
  });
});

describe('a lost connection', () => {
  it('is tried again after a random share of a doubling delay, at most 10 s', async () => {
    await using test = await rig();
    await test.server[Symbol.asyncDispose]();
    test.clock.chance = 1;
    const delays: (number | undefined)[] = [];
    test.clock.advance(0);
    for (let attempt = 0; attempt < 8; attempt += 1) {
      await refusedOnce(test);
      delays.push(test.clock.pendingMs[0]);
      test.clock.advance(test.clock.pendingMs[0] ?? 0);
    }
    expect(delays).toEqual([250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
    expect(test.client.connection.status).toBe('connecting');
  });

  it('spreads the attempts over the whole delay', async () => {
    await using test = await connected();
    test.clock.chance = 0.01;
    expect(await delayAfterLoss(test, test.peer)).toBeCloseTo(2.5);
  });

  it('doubles on when the server accepts, welcomes and drops', async () => {
    await using test = await rig();
    test.clock.chance = 1;
    test.clock.advance(0);
    const delays: number[] = [];
    for (let attempt = 0; attempt < 4; attempt += 1) {
      const peer = await test.server.welcome();
      await test.status('connected');
      delays.push(await delayAfterLoss(test, peer));
      test.clock.advance(delays.at(-1) ?? 0);
    }
    expect(delays).toEqual([250, 500, 1000, 2000]);
  });

  it('starts over after 5 s of life, or a successful call', async () => {
    await using test = await connected();
    test.clock.chance = 1;
    const next = async (peer: Peer): Promise<Peer> => {
      test.clock.advance(await delayAfterLoss(test, peer));
      const welcomed = await test.server.welcome();
      await test.status('connected');
      return welcomed;
    };
    const second = await next(test.peer);
    const third = await next(second);
    test.clock.advance(5000);
    expect(await delayAfterLoss(test, third)).toBe(250);
    test.clock.advance(250);
    const fourth = await test.server.welcome();
    await test.status('connected');
    const answer = test.client.counter('c1').increment();
    fourth.answer(await fourth.frame(), 1);
    await answer;
    expect(await delayAfterLoss(test, fourth)).toBe(250);
  });

  it('comes back when a leaving server said so, and holds calls back until then', async () => {
    await using test = await connected();
    const sent = test.client.counter('c1').add({ amount: 1 });
    const first = await test.peer.frame();
    const heard = new Promise<void>((resolve) => {
      test.client.chat('r1').on('message', () => resolve());
    });
    await test.peer.frame();
    test.peer.send(
      { type: 'server:shutdown', reason: 'deployment', reconnectInMs: 777 },
      { type: 'event', actor: 'chat', actorId: 'r1', event: 'message', payload: { text: 'last' } },
    );
    await heard;
    const held = test.client.counter('c1').add({ amount: 2 });
    test.peer.answer(first, 'before it left');
    expect(await sent).toBe('before it left');
    expect(await delayAfterLoss(test, test.peer, 1012)).toBe(777);
    test.clock.advance(777);
    const peer = await test.server.welcome();
    const [subscription, call] = await peer.frames(2);
    expect(subscription?.type).toBe('event:sub');
    expect(call?.['input']).toEqual({ amount: 2 });
    peer.answer(call ?? { type: '' }, 2);
    expect(await held).toBe(2);
  });

  it('replaces ready by a promise of the next connection', async () => {
    await using test = await connected();
    const first = test.client.connection.ready;
    const delay = await delayAfterLoss(test, test.peer);
    const second = test.client.connection.ready;
    expect(second).not.toBe(first);
    test.clock.advance(delay);
    await test.server.welcome();
    await second;
  });

  it('is the cause that a call names when it timed out waiting', async () => {
    await using test = await rig({ callTimeoutMs: 60 });
    await test.server[Symbol.asyncDispose]();
    const error = refusal(test.client.counter('c1').increment());
    test.clock.advance(0);
    await refusedOnce(test);
    test.clock.advance(60);
    expect(await error).toMatchObject({
      code: 'TIMEOUT',
      outcome: 'rejected',
      cause: { code: 'CONNECTION_LOST', message: expect.stringContaining('cannot be reached') },
    });
  });

  it('survives a token function that fails, and says so', async () => {
    let broken = true;
    await using test = await rig({
      token: () => {
        if (broken) throw new Error('no token today');
        return 'fresh';
      },
    });
    test.clock.advance(0);
    await refusedOnce(test);
    expect(test.reports).toEqual([new Error('no token today')]);
    broken = false;
    test.clock.advance(125);
    expect((await test.server.welcome()).offered).toContain('bearer.fresh');
    await test.status('connected');
  });
});

describe('a token function', () => {
  it.each([() => '', refuse])('may close the client, which then stays closed', async (answer) => {
    const token = (): string => {
      test.client.connection.close();
      return answer();
    };
    await using test: Rig = await rig({ token });
    test.clock.advance(0);
    await expect(test.client.connection.ready).rejects.toMatchObject({ code: 'CLOSED' });
    // Time for a socket, if there were one.
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(test.client.connection.status).toBe('closed');
    expect(test.clock.pendingMs).toEqual([]);
    expect(test.server.opened).toBe(0);
  });
});

function refuse(): never {
  throw new Error('signed out');
}

describe('listeners of the status', () => {
  it('may throw, close the client, and be removed', async () => {
    await using test = await rig();
    const seen: string[] = [];
    test.client.connection.subscribe(() => {
      throw new Error('a bad listener');
    });
    test.client.connection.subscribe((status) => {
      seen.push(`first ${status}`);
      if (status === 'connected') test.client.connection.close();
    });
    const stop = test.client.connection.subscribe((status) => seen.push(`second ${status}`));
    stop();
    test.clock.advance(0);
    const peer = await test.server.welcome();
    await test.status('closed');
    await peer.closed();
    expect(seen).toEqual(['first connected', 'first closed']);
    expect(test.reports).toEqual([new Error('a bad listener'), new Error('a bad listener')]);
  });

  it('and others hear everything though onError throws, which is uncaught', async () => {
    const onError = (): never => {
      throw new Error('a bad onError');
    };
    await using test = await connected({ onError });
    const seen: number[] = [];
    const { state } = test.client.counter('c1');
    state.subscribe(({ count }) => {
      throw new Error(`cannot show ${count}`);
    });
    state.subscribe(({ count }) => seen.push(count));
    await test.peer.frame();
    test.peer.send({ type: 'state:snapshot', actor: 'counter', actorId: 'c1', state: { count: 3 } });
    await roundTrip(test, test.peer);
    expect(seen).toEqual([3]);
    expect(() => test.clock.advance(0)).toThrow('a bad onError');
  });

  it('hears nothing of frames that are no messages, which are reported', async () => {
    await using test = await connected();
    for (const text of ['nonsense', '[1]', 'null', '{"no":"type"}', '{"type":"of the future"}'])
      test.peer.sendText(text);
    await roundTrip(test, test.peer);
    expect(test.reports).toHaveLength(4);
    expect(test.client.connection.status).toBe('connected');
  });

  it('finds FermataError to be an Error with a name', () => {
    const error = new FermataError('X', 'why', { outcome: 'failed' });
    expect(error).toBeInstanceOf(Error);
    expect(String(error)).toBe('FermataError: why');
    expect(error.retryable).toBe(false);
  });
});
