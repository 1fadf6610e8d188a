import { describe, expect, it } from 'vitest';
import { comeBack, inSession, type Rig, roundTrip } from './rig.ts';
import type { Peer } from './scripted-server.ts';

const room = { actor: 'chat', actorId: 'r1' };
const asked = { type: 'state:sub', ...room };

const snapshot = (seq: number): object => ({
  type: 'state:snapshot',
  ...room,
  state: { messages: [] },
  epoch: 'e1',
  seq,
});

function refusal(code: string, more: object = {}, type = 'state:sub'): object {
  return { type: 'error', re: { type, ...room }, code, message: 'no', retryable: false, ...more };
}

interface Watching extends Rig {
  readonly peer: Peer;
  /** What the listener was told, in order: `state`, a code, or `clear`. */
  readonly heard: string[];
  readonly stop: () => void;
}

/** Asked for the state of the room. */
async function watching(): Promise<Watching> {
  const test = await inSession();
  const heard: string[] = [];
  const { state } = test.client.chat('r1');
  const stop = state.subscribe(() => heard.push('state'), { onError: (error) => heard.push(error?.code ?? 'clear') });
  expect(await test.peer.frame()).toEqual(asked);
  return { ...test, heard, stop };
}

/** The same, and refused. */
async function refused(): Promise<Watching> {
  const test = await watching();
  test.peer.send(refusal('FORBIDDEN'));
  await roundTrip(test, test.peer);
  expect(test.heard.splice(0)).toEqual(['FORBIDDEN']);
  return test;
}

describe('a state that is refused for good', () => {
  it.each(['FORBIDDEN', 'UNKNOWN_ACTOR', 'MALFORMED', 'NO_SUCH_ROOM'])('has the error %s instead', async (code) => {
    await using test = await watching();
    const { state } = test.client.chat('r1');
    expect(state.error).toBeUndefined();
    test.peer.send(refusal(code));
    await roundTrip(test, test.peer);
    expect(test.heard).toEqual([code]);
    expect(state.get()).toBeUndefined();
    expect(state.error).toMatchObject({
      name: 'FermataError',
      code,
      outcome: 'rejected',
      retryable: false,
      message: 'state:sub chat "r1" was refused: no',
    });
    expect(test.reports).toEqual([]);
  });

  it('is reported when no listener wants to hear of it, and can be read all the same', async () => {
    await using test = await inSession();
    const { state } = test.client.chat('r1');
    state.subscribe(() => {});
    await test.peer.frame();
    test.peer.send(refusal('FORBIDDEN'));
    await roundTrip(test, test.peer);
    expect(test.reports).toMatchObject([{ code: 'FORBIDDEN' }]);
    expect(state.error).toBe(test.reports[0]);
  });

  it('is so no longer when a state arrives', async () => {
    await using test = await refused();
    const { state } = test.client.chat('r1');
    test.peer.send(snapshot(1));
    await roundTrip(test, test.peer);
    expect(test.heard).toEqual(['clear', 'state']);
    expect(state.error).toBeUndefined();
  });

  it('keeps the last state, and is asked for from there by the next connection', async () => {
    await using test = await watching();
    const { state } = test.client.chat('r1');
    test.peer.send(snapshot(5));
    const second = await comeBack(test, test.peer);
    await second.frame();
    second.send(refusal('FORBIDDEN'));
    await roundTrip(test, second);
    expect(test.heard).toEqual(['state', 'FORBIDDEN']);
    expect(state.get()).toEqual({ messages: [] });
    const third = await comeBack(test, second);
    expect(await third.frame()).toEqual({ ...asked, since: { epoch: 'e1', seq: 5 } });
    // Accepted, and nothing was missed: there is nothing to say.
    await roundTrip(test, third);
    expect(test.heard).toEqual(['state', 'FORBIDDEN', 'clear']);
    expect(state.error).toBeUndefined();
  });

  it('may be refused again by the next connection', async () => {
    await using test = await refused();
    const peer = await comeBack(test, test.peer);
    expect(await peer.frame()).toEqual(asked);
    peer.send(refusal('UNAUTHORIZED'));
    await roundTrip(test, peer);
    expect(test.heard).toEqual(['clear', 'UNAUTHORIZED']);
    expect(test.reports).toEqual([]);
  });

  it('is asked for anew by the next listener, once', async () => {
    await using test = await refused();
    const { state } = test.client.chat('r1');
    state.subscribe(() => {});
    state.subscribe(() => {});
    expect(state.error).toBeUndefined();
    expect(await test.peer.frame()).toEqual(asked);
    await roundTrip(test, test.peer);
    expect(test.heard).toEqual(['clear']);
    test.peer.send(refusal('FORBIDDEN'));
    await roundTrip(test, test.peer);
    expect(test.heard).toEqual(['clear', 'FORBIDDEN']);
  });

  it('is asked for anew when the server took a new token, and so are its events', async () => {
    await using test = await refused();
    const handle = test.client.chat('r1');
    handle.on('message', () => {});
    expect((await test.peer.frame()).type).toBe('event:sub');
    test.peer.send(refusal('FORBIDDEN', {}, 'event:sub'));
    await roundTrip(test, test.peer);
    expect(test.reports).toMatchObject([{ code: 'FORBIDDEN' }]);
    test.peer.send({ type: 'auth:ok' });
    expect(await test.peer.frames(2)).toEqual([asked, { ...asked, type: 'event:sub' }]);
    test.peer.send(snapshot(1), { type: 'auth:ok' });
    await roundTrip(test, test.peer);
    expect(test.heard).toEqual(['clear', 'state']);
  });

  it('is forgotten with the last listener, who may leave when it hears', async () => {
    await using test = await inSession();
    const { state } = test.client.chat('r1');
    const stop = state.subscribe(() => {}, { onError: () => stop() });
    await test.peer.frame();
    test.peer.send(refusal('FORBIDDEN'));
    expect(await test.peer.frame()).toEqual({ ...asked, type: 'state:unsub' });
    expect(state.error).toBeUndefined();
    expect(test.reports).toEqual([]);
    state.subscribe(() => {});
    expect(await test.peer.frame()).toEqual(asked);
  });

  it('is told to nobody after the handle was disposed of', async () => {
    await using test = await watching();
    test.client.chat('r1').meta.dispose();
    await test.peer.frame();
    test.peer.send(refusal('FORBIDDEN'));
    await roundTrip(test, test.peer);
    expect(test.heard).toEqual([]);
    expect(test.reports).toMatchObject([{ code: 'FORBIDDEN' }]);
  });

  it('does not let one listener keep the news from another', async () => {
    await using test = await watching();
    const bad = (): never => {
      throw new Error('a bad listener');
    };
    test.client.chat('r1').state.subscribe(() => {}, { onError: bad });
    test.peer.send(refusal('FORBIDDEN'));
    await roundTrip(test, test.peer);
    expect(test.heard).toEqual(['FORBIDDEN']);
    expect(test.reports).toEqual([new Error('a bad listener')]);
  });
});

describe('a state that is refused for now', () => {
  it.each(['RATE_LIMITED', 'DRAINING', 'OVERLOADED'])(
    '%s has no error: it is asked for again, later each time',
    async (code) => {
      await using test = await watching();
      test.clock.chance = 0.999_999_999;
      for (const delayMs of [200, 400, 800, 1600]) {
        test.peer.send(refusal(code, { retryable: true }));
        await roundTrip(test, test.peer);
        test.clock.advance(delayMs - 1);
        await roundTrip(test, test.peer);
        test.clock.advance(1);
        expect(await test.peer.frame()).toEqual(asked);
        expect(test.client.chat('r1').state.error).toBeUndefined();
      }
      test.peer.send(snapshot(1));
      await roundTrip(test, test.peer);
      expect(test.heard).toEqual(['state']);
      expect(test.reports).toEqual([]);
    },
  );

  it('and then for good is not asked for again', async () => {
    await using test = await watching();
    const timers = test.clock.pendingMs.length;
    test.peer.send(refusal('OVERLOADED', { retryable: true }), refusal('FORBIDDEN'));
    await roundTrip(test, test.peer);
    expect(test.heard).toEqual(['FORBIDDEN']);
    expect(test.clock.pendingMs).toHaveLength(timers);
  });
});

describe('events that are refused for good', () => {
  it('are asked for anew by the next listener, once', async () => {
    await using test = await inSession();
    const handle = test.client.chat('r1');
    handle.on('message', () => {});
    await test.peer.frame();
    test.peer.send(refusal('FORBIDDEN', {}, 'event:sub'));
    await roundTrip(test, test.peer);
    expect(test.reports).toMatchObject([{ code: 'FORBIDDEN' }]);
    handle.on('cleared', () => {});
    handle.on('message', () => {});
    expect(await test.peer.frame()).toEqual({ ...asked, type: 'event:sub' });
    await roundTrip(test, test.peer);
  });
});
