import { describe, expect, it } from 'vitest';
import { connected, rig } from './rig.ts';
import type { Peer } from './scripted-server.ts';

const room = { actor: 'chat', actorId: 'r1' };

function snapshot(peer: Peer, ...texts: string[]): void {
  peer.send({ type: 'state:snapshot', ...room, state: { messages: texts.map((text) => ({ text })) } });
}

function append(peer: Peer, index: number, text: string): void {
  peer.send({ type: 'state:patch', ...room, patches: [{ op: 'add', path: `/messages/${index}`, value: { text } }] });
}

/** The states that a listener gets, with a way to wait for the n-th. */
function record<T>(): {
  readonly seen: T[];
  readonly listener: (value: T) => void;
  count(wanted: number): Promise<void>;
} {
  const seen: T[] = [];
  let check = (): void => {};
  return {
    seen,
    listener: (value) => {
      seen.push(value);
      check();
    },
    count: (wanted) =>
      new Promise((resolve) => {
        check = () => {
          if (seen.length >= wanted) resolve();
        };
        check();
      }),
  };
}

describe('a state', () => {
  it('is told from its snapshot on, then on each patch, and read with get', async () => {
    await using test = await connected();
    const { state } = test.client.chat('r1');
    const states = record<unknown>();
    expect(state.get()).toBeUndefined();
    state.subscribe(states.listener);
    expect(await test.peer.frame()).toEqual({ type: 'state:sub', ...room });
    append(test.peer, 0, 'too early');
    snapshot(test.peer, 'one');
    append(test.peer, 1, 'two');
    await states.count(2);
    expect(states.seen).toEqual([{ messages: [{ text: 'one' }] }, { messages: [{ text: 'one' }, { text: 'two' }] }]);
    expect(state.get()).toBe(states.seen[1]);
    expect(state.getSnapshot()).toBe(state.get());
  });

  it('shares what a patch did not touch', async () => {
    await using test = await connected();
    const states = record<{ messages: { text: string }[] }>();
    test.client.chat('r1').state.subscribe(states.listener);
    snapshot(test.peer, 'one');
    append(test.peer, 1, 'two');
    await states.count(2);
    expect(states.seen[1]).not.toBe(states.seen[0]);
    expect(states.seen[1]?.messages[0]).toBe(states.seen[0]?.messages[0]);
  });

  it('is told to a later listener at once, and the server is asked once', async () => {
    await using test = await connected();
    const first = record<unknown>();
    const { state } = test.client.chat('r1');
    state.subscribe(first.listener);
    await test.peer.frame();
    snapshot(test.peer, 'one');
    await first.count(1);
    const second = record<unknown>();
    state.subscribe(second.listener);
    expect(second.seen).toEqual(first.seen);
    const call = test.client.counter('c1').increment();
    const frame = await test.peer.frame();
    expect(frame.type).toBe('rpc');
    test.peer.answer(frame, 1);
    await call;
  });

  it('is given back when the last listener goes, and then unknown', async () => {
    await using test = await connected();
    const { state } = test.client.chat('r1');
    const states = record<unknown>();
    const stopFirst = state.subscribe(states.listener);
    const stopSecond = state.subscribe(() => {});
    await test.peer.frame();
    snapshot(test.peer, 'one');
    await states.count(1);
    stopFirst();
    stopFirst();
    expect(state.get()).toEqual({ messages: [{ text: 'one' }] });
    stopSecond();
    expect(await test.peer.frame()).toEqual({ type: 'state:unsub', ...room });
    expect(state.get()).toBeUndefined();
    stopSecond();
    state.subscribe(states.listener);
    expect(await test.peer.frame()).toEqual({ type: 'state:sub', ...room });
  });

  it('starts again from a snapshot when a patch does not fit', async () => {
    await using test = await connected();
    const states = record<unknown>();
    test.client.chat('r1').state.subscribe(states.listener);
    await test.peer.frame();
    snapshot(test.peer, 'one');
    append(test.peer, 7, 'off');
    expect(await test.peer.frame()).toEqual({ type: 'state:sub', ...room });
    append(test.peer, 1, 'ignored until the snapshot');
    snapshot(test.peer, 'one', 'two', 'three');
    await states.count(2);
    expect(states.seen).toEqual([
      { messages: [{ text: 'one' }] },
      { messages: [{ text: 'one' }, { text: 'two' }, { text: 'three' }] },
    ]);
    expect(test.reports).toHaveLength(1);
    expect(test.reports[0]).toMatchObject({ name: 'PatchError' });
  });

  it('survives frames that make no sense', async () => {
    await using test = await connected();
    const states = record<unknown>();
    test.client.chat('r1').state.subscribe(states.listener);
    snapshot(test.peer, 'one');
    test.peer.send({ type: 'state:patch', ...room, patches: 'nonsense' });
    test.peer.send({ type: 'state:patch', ...room, patches: [null] });
    test.peer.send({ type: 'event' }, { type: 'state:patch' }, { type: 'state:snapshot' }, { type: 'error' });
    snapshot(test.peer, 'two');
    await states.count(2);
    expect(states.seen).toEqual([{ messages: [{ text: 'one' }] }, { messages: [{ text: 'two' }] }]);
    expect(test.client.connection.status).toBe('connected');
  });

  it('is kept while the connection is away and replaced by a fresh snapshot', async () => {
    await using test = await connected();
    const { state } = test.client.chat('r1');
    const states = record<unknown>();
    state.subscribe(states.listener);
    test.client.chat('r1').on('message', () => {});
    await test.peer.frames(2);
    snapshot(test.peer, 'one');
    await states.count(1);
    test.peer.close(1011);
    await test.status('reconnecting');
    expect(state.get()).toEqual({ messages: [{ text: 'one' }] });
    test.clock.advance(250);
    const peer = await test.server.welcome();
    expect(await peer.frames(2)).toEqual([
      { type: 'state:sub', ...room },
      { type: 'event:sub', ...room },
    ]);
    append(peer, 1, 'before the snapshot');
    snapshot(peer, 'one', 'two');
    await states.count(2);
    expect(states.seen[1]).toEqual({ messages: [{ text: 'one' }, { text: 'two' }] });
  });

  it('does not let one listener keep the news from another', async () => {
    await using test = await connected();
    const { state } = test.client.chat('r1');
    const states = record<unknown>();
    state.subscribe(() => {
      throw new Error('a bad listener');
    });
    state.subscribe(states.listener);
    snapshot(test.peer, 'one');
    append(test.peer, 1, 'two');
    await states.count(2);
    expect(test.reports).toEqual([new Error('a bad listener'), new Error('a bad listener')]);
  });

  it('reports a refused subscription with its subject', async () => {
    await using test = await connected();
    const event = new Promise<void>((resolve) => {
      test.client.chat('r1').on('message', () => resolve());
    });
    test.peer.send(
      {
        type: 'error',
        re: { type: 'state:sub', ...room },
        code: 'FORBIDDEN',
        message: 'not for you',
        retryable: false,
      },
      { type: 'event', ...room, event: 'message', payload: { text: 'x' } },
    );
    await event;
    expect(test.reports[0]).toMatchObject({
      code: 'FORBIDDEN',
      outcome: 'rejected',
      message: 'state:sub chat "r1" was refused: not for you',
    });
  });
});

describe('an event', () => {
  it('reaches the listeners of its name and actor, in order', async () => {
    await using test = await connected();
    const messages = record<{ text: string }>();
    const others: unknown[] = [];
    test.client.chat('r1').on('message', messages.listener);
    test.client.chat('r1').on('cleared', (payload) => others.push(payload));
    test.client.chat('r2').on('message', (payload) => others.push(payload));
    expect(await test.peer.frames(2)).toEqual([
      { type: 'event:sub', ...room },
      { type: 'event:sub', actor: 'chat', actorId: 'r2' },
    ]);
    for (const text of ['a', 'b', 'c']) test.peer.send({ type: 'event', ...room, event: 'message', payload: { text } });
    await messages.count(3);
    expect(messages.seen.map(({ text }) => text)).toEqual(['a', 'b', 'c']);
    expect(others).toEqual([]);
  });

  it('is given up with the last listener of any name', async () => {
    await using test = await connected();
    const stopMessage = test.client.chat('r1').on('message', () => {});
    const stopCleared = test.client.chat('r1').on('cleared', () => {});
    await test.peer.frame();
    stopMessage();
    stopMessage();
    stopCleared();
    expect(await test.peer.frame()).toEqual({ type: 'event:unsub', ...room });
  });

  it('may remove and add listeners while it is told', async () => {
    await using test = await connected();
    const seen: string[] = [];
    const handle = test.client.chat('r1');
    const done = record<unknown>();
    handle.on('message', () => {
      seen.push('first');
      stopSecond();
      handle.on('message', () => seen.push('third'));
    });
    const stopSecond = handle.on('message', () => seen.push('second'));
    handle.on('message', done.listener);
    test.peer.send({ type: 'event', ...room, event: 'message', payload: { text: 'a' } });
    await done.count(1);
    expect(seen).toEqual(['first']);
  });
});

describe('disposing of a handle', () => {
  it('ends what was listened to through it and leaves it usable', async () => {
    await using test = await connected();
    const handle = test.client.chat('r1');
    const heard: unknown[] = [];
    const stop = handle.on('message', (payload) => heard.push(payload));
    handle.state.subscribe((state) => heard.push(state));
    await test.peer.frames(2);
    handle.meta.dispose();
    handle.meta.dispose();
    stop();
    expect(await test.peer.frames(2)).toEqual([
      { type: 'state:unsub', ...room },
      { type: 'event:unsub', ...room },
    ]);
    snapshot(test.peer, 'late');
    const sent = handle.sendMessage({ text: 'still here' });
    test.peer.answer(await test.peer.frame());
    await sent;
    expect(heard).toEqual([]);
  });
});

describe('subscribing before there is a connection', () => {
  it('goes ahead of the calls that wait', async () => {
    await using test = await rig();
    const sent = test.client.chat('r1').sendMessage({ text: 'hi' });
    test.client.chat('r1').state.subscribe(() => {});
    test.clock.advance(0);
    const peer = await test.server.welcome();
    const frames = await peer.frames(2);
    expect(frames.map(({ type }) => type)).toEqual(['state:sub', 'rpc']);
    peer.answer(frames[1] ?? { type: '' });
    await sent;
  });
});
