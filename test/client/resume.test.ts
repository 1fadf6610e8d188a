import { describe, expect, it } from 'vitest';
import { comeBack, connected, delayAfterLoss, inSession, type Rig, roundTrip } from './rig.ts';
import type { Peer } from './scripted-server.ts';

const room = { actor: 'chat', actorId: 'r1' };

const snapshot = (texts: string[], seq: number, epoch = 'e1'): object => ({
  type: 'state:snapshot',
  ...room,
  state: { messages: texts.map((text) => ({ text })) },
  epoch,
  seq,
});

const patch = (index: number, text: string, seq: number, epoch = 'e1'): object => ({
  type: 'state:patch',
  ...room,
  patches: [{ op: 'add', path: `/messages/${index}`, value: { text } }],
  epoch,
  seq,
});

/** Subscribed, with the snapshot `[one]` at 5. */
async function watching(): Promise<Rig & { readonly peer: Peer; readonly seen: string[]; states(): unknown[] }> {
  const test = await inSession();
  const seen: string[] = [];
  const states: unknown[] = [];
  test.client.chat('r1').state.subscribe((state) => {
    seen.push(state.messages.map(({ text }) => text).join());
    states.push(state);
  });
  expect(await test.peer.frame()).toEqual({ type: 'state:sub', ...room });
  test.peer.send(snapshot(['one'], 5));
  await roundTrip(test, test.peer);
  return { ...test, seen, states: () => states };
}

describe('a state after a lost connection', () => {
  it('asks for what it missed, and says nothing when that was nothing', async () => {
    await using test = await watching();
    const before = test.client.chat('r1').state.get();
    const peer = await comeBack(test, test.peer);
    expect(await peer.frame()).toEqual({ type: 'state:sub', ...room, since: { epoch: 'e1', seq: 5 } });
    await roundTrip(test, peer);
    expect(test.seen).toEqual(['one']);
    expect(test.client.chat('r1').state.get()).toBe(before);
    peer.send(patch(1, 'two', 6));
    await roundTrip(test, peer);
    expect(test.seen).toEqual(['one', 'one,two']);
  });

  it('takes the missed patches one by one, then the live ones, each once', async () => {
    await using test = await watching();
    test.peer.send(patch(1, 'two', 6));
    await roundTrip(test, test.peer);
    const peer = await comeBack(test, test.peer, false);
    expect(await peer.frame()).toMatchObject({ since: { epoch: 'e1', seq: 6 } });
    peer.send(patch(1, 'two', 6), patch(2, 'three', 7), patch(2, 'three', 7), patch(3, 'four', 8));
    await roundTrip(test, peer);
    expect(test.seen.at(-1)).toBe('one,two,three,four');
    expect(test.seen).toHaveLength(4);
  });

  it('takes a snapshot of another epoch and goes on there', async () => {
    await using test = await watching();
    const peer = await comeBack(test, test.peer);
    await peer.frame();
    peer.send(snapshot(['new'], 2, 'e2'), patch(1, 'old epoch', 3, 'e1'));
    expect(await peer.frame()).toMatchObject({ since: { epoch: 'e2', seq: 2 } });
    peer.send(patch(1, 'more', 3, 'e2'));
    await roundTrip(test, peer);
    expect(test.seen).toEqual(['one', 'new', 'new,more']);
  });

  it('starts with a snapshot when it never had one', async () => {
    await using test = await inSession();
    test.client.chat('r1').state.subscribe(() => {});
    await test.peer.frame();
    const peer = await comeBack(test, test.peer);
    expect(await peer.frame()).toEqual({ type: 'state:sub', ...room });
  });

  it('waits for a fresh snapshot where the next server numbers nothing', async () => {
    await using test = await watching();
    test.clock.advance(await delayAfterLoss(test, test.peer));
    const peer = await test.server.welcome();
    await peer.frame();
    peer.send({ type: 'state:snapshot', ...room, state: { messages: [{ text: 'base' }] } });
    const op = { op: 'add', path: '/messages/1', value: { text: 'more' } };
    peer.send({ type: 'state:patch', ...room, patches: [op] });
    await roundTrip(test, peer);
    expect(test.seen).toEqual(['one', 'base', 'base,more']);
    const next = await comeBackToBase(test, peer);
    expect(await next.frame()).toEqual({ type: 'state:sub', ...room });
  });
});

async function comeBackToBase(test: Rig, peer: Peer): Promise<Peer> {
  test.clock.advance(await delayAfterLoss(test, peer));
  return test.server.welcome();
}

describe('a gap in the patches', () => {
  it('is healed by asking once, and nothing that does not fit counts meanwhile', async () => {
    await using test = await watching();
    test.peer.send(patch(3, 'four', 8), patch(4, 'five', 9));
    expect(await test.peer.frame()).toEqual({ type: 'state:sub', ...room, since: { epoch: 'e1', seq: 5 } });
    await roundTrip(test, test.peer);
    expect(test.seen).toEqual(['one']);
    test.peer.send(patch(1, 'two', 6), patch(2, 'three', 7), patch(3, 'four', 8), patch(4, 'five', 9));
    await roundTrip(test, test.peer);
    expect(test.seen.at(-1)).toBe('one,two,three,four,five');
    // The next gap is asked for again.
    test.peer.send(patch(6, 'seven', 11));
    expect(await test.peer.frame()).toMatchObject({ since: { epoch: 'e1', seq: 9 } });
    test.peer.send(snapshot(['all'], 11), patch(1, 'and', 12));
    await roundTrip(test, test.peer);
    expect(test.seen.slice(-2)).toEqual(['all', 'all,and']);
    expect(test.reports).toEqual([]);
  });

  it('is what a patch of another epoch is', async () => {
    await using test = await watching();
    test.peer.send(patch(1, 'other', 6, 'e2'));
    expect(await test.peer.frame()).toMatchObject({ since: { epoch: 'e1', seq: 5 } });
    await roundTrip(test, test.peer);
    expect(test.seen).toEqual(['one']);
  });

  it('that is still open when the connection is lost is closed by the next one', async () => {
    await using test = await watching();
    test.peer.send(patch(3, 'four', 8));
    await test.peer.frame();
    const peer = await comeBack(test, test.peer);
    expect(await peer.frame()).toMatchObject({ since: { epoch: 'e1', seq: 5 } });
    peer.send(patch(3, 'four', 8));
    expect(await peer.frame()).toMatchObject({ type: 'state:sub', since: { epoch: 'e1', seq: 5 } });
  });
});

describe('a patch that does not fit the state', () => {
  it('is reported, and a snapshot without a place is asked for', async () => {
    await using test = await watching();
    test.peer.send(patch(9, 'off', 6), patch(1, 'ignored', 7));
    expect(await test.peer.frame()).toEqual({ type: 'state:sub', ...room });
    test.peer.send(snapshot(['fresh'], 7), patch(1, 'more', 8));
    await roundTrip(test, test.peer);
    expect(test.seen).toEqual(['one', 'fresh', 'fresh,more']);
    expect(test.reports).toMatchObject([{ name: 'PatchError' }]);
  });
});

describe('a state that has gone apart', () => {
  it('starts with a snapshot after a lost connection', async () => {
    await using test = await watching();
    test.peer.send(patch(9, 'off', 6));
    await test.peer.frame();
    const peer = await comeBack(test, test.peer);
    expect(await peer.frame()).toEqual({ type: 'state:sub', ...room });
    peer.send(patch(1, 'ignored', 7), snapshot(['fresh'], 7));
    await roundTrip(test, peer);
    expect(test.seen).toEqual(['one', 'fresh']);
  });
});

describe('a subscription that is refused for now', () => {
  it('is tried again from its place, and not reported', async () => {
    await using test = await watching();
    const peer = await comeBack(test, test.peer);
    await peer.frame();
    const re = { type: 'state:sub', ...room };
    const error = { type: 'error', re, code: 'OVERLOADED', message: 'later', retryable: true, retryAfterMs: 300 };
    for (const bound of [200, 400]) {
      peer.send(error);
      await roundTrip(test, peer);
      test.clock.advance(300 + bound / 2);
      expect(await peer.frame()).toEqual({ type: 'state:sub', ...room, since: { epoch: 'e1', seq: 5 } });
    }
    peer.send(patch(1, 'two', 6));
    await roundTrip(test, peer);
    expect(test.seen.at(-1)).toBe('one,two');
    expect(test.reports).toEqual([]);
  });

  it('is forgotten with its last listener, and with the client', async () => {
    await using test = await connected();
    const stop = test.client.chat('r1').on('message', () => {});
    test.client.chat('r2').on('message', () => {});
    await test.peer.frames(2);
    for (const actorId of ['r1', 'r2']) {
      const re = { type: 'event:sub', actor: 'chat', actorId };
      test.peer.send({ type: 'error', re, code: 'RATE_LIMITED', message: 'later', retryable: true });
    }
    await roundTrip(test, test.peer);
    const timers = test.clock.pendingMs.length;
    stop();
    expect(test.clock.pendingMs).toHaveLength(timers - 1);
    test.client.connection.close();
    expect(test.clock.pendingMs).toEqual([]);
  });
});
