import { describe, expect, it } from 'vitest';
import { comeBack, inSession, type Rig, roundTrip } from './rig.ts';
import type { Peer } from './scripted-server.ts';

const room = { actor: 'chat', actorId: 'r1' };

const message = (text: string, seq?: number): object => ({
  type: 'event',
  ...room,
  event: 'message',
  payload: { text },
  ...(seq === undefined ? {} : { seq }),
});

const position = (seq: number, gap = false, epoch = 'e1'): object => ({
  type: 'event:position',
  ...room,
  epoch,
  seq,
  gap,
});

/** Subscribed at 10. What is heard is in `seen`, a gap as `gap`. */
async function listening(
  options: { readonly onGap?: boolean } = {},
): Promise<Rig & { readonly peer: Peer; readonly seen: string[] }> {
  const test = await inSession();
  const seen: string[] = [];
  test.client
    .chat('r1')
    .on('message', ({ text }) => seen.push(text), options.onGap === false ? {} : { onGap: () => seen.push('gap') });
  expect(await test.peer.frame()).toEqual({ type: 'event:sub', ...room });
  test.peer.send(position(10));
  return { ...test, seen };
}

describe('events with a history', () => {
  it('go on after a lost connection where they were, each once and in order, holes included', async () => {
    await using test = await listening();
    test.peer.send(message('a', 11), message('b', 14));
    await roundTrip(test, test.peer);
    const peer = await comeBack(test, test.peer);
    expect(await peer.frame()).toEqual({ type: 'event:sub', ...room, since: { epoch: 'e1', seq: 14 } });
    peer.send(position(14), message('b', 14), message('c', 15), message('c', 15), message('d', 20), message('a', 11));
    await roundTrip(test, peer);
    expect(test.seen).toEqual(['a', 'b', 'c', 'd']);
    const third = await comeBack(test, peer, false);
    expect(await third.frame()).toMatchObject({ since: { epoch: 'e1', seq: 20 } });
    expect(test.reports).toEqual([]);
  });

  it('that were told are not told again when the server starts further back', async () => {
    await using test = await listening();
    test.peer.send(message('a', 11), message('b', 12));
    await roundTrip(test, test.peer);
    const peer = await comeBack(test, test.peer);
    await peer.frame();
    peer.send(position(10), message('a', 11), message('b', 12), message('c', 13));
    await roundTrip(test, peer);
    expect(test.seen).toEqual(['a', 'b', 'c']);
  });

  it('go on from the place of the subscription when nothing was emitted', async () => {
    await using test = await listening();
    await roundTrip(test, test.peer);
    const peer = await comeBack(test, test.peer);
    expect(await peer.frame()).toMatchObject({ since: { epoch: 'e1', seq: 10 } });
  });

  it('are asked for when the server goes on by itself, further on than they were told', async () => {
    await using test = await listening();
    test.peer.send(message('a', 11), position(15), message('d', 16));
    expect(await test.peer.frame()).toEqual({ type: 'event:sub', ...room, since: { epoch: 'e1', seq: 11 } });
    test.peer.send(message('e', 17));
    test.peer.send(position(11), message('b', 13), message('d', 16), message('e', 17), message('f', 18));
    await roundTrip(test, test.peer);
    expect(test.seen).toEqual(['a', 'b', 'd', 'e', 'f']);
    expect(test.reports).toEqual([]);
  });

  it('tell a gap before what follows it', async () => {
    await using test = await listening();
    test.peer.send(message('a', 11));
    await roundTrip(test, test.peer);
    const peer = await comeBack(test, test.peer);
    await peer.frame();
    peer.send(position(500, true), message('z', 501));
    await roundTrip(test, peer);
    expect(test.seen).toEqual(['a', 'gap', 'z']);
    expect(test.reports).toEqual([]);
  });

  it('report a gap that no listener asked to hear of', async () => {
    await using test = await listening({ onGap: false });
    test.client.chat('r1').on('cleared', () => {}, { onGap: () => test.seen.push('gap') });
    await roundTrip(test, test.peer);
    const peer = await comeBack(test, test.peer);
    await peer.frame();
    peer.send(position(500, true), message('z', 501));
    await roundTrip(test, peer);
    expect(test.seen).toEqual(['gap', 'z']);
    expect(test.reports).toMatchObject([{ name: 'FermataError', code: 'GAP', retryable: false }]);
    expect(String(test.reports[0])).toContain('chat "r1"');
  });

  it('start over in another epoch, which is a gap whatever the server calls it', async () => {
    await using test = await listening();
    test.peer.send(message('a', 11));
    await roundTrip(test, test.peer);
    const peer = await comeBack(test, test.peer);
    await peer.frame();
    peer.send(position(2, false, 'e2'), message('b', 3), message('b', 3));
    await roundTrip(test, peer);
    expect(test.seen).toEqual(['a', 'gap', 'b']);
    const third = await comeBack(test, peer);
    expect(await third.frame()).toMatchObject({ since: { epoch: 'e2', seq: 3 } });
  });

  it('tell a gap when the actor keeps no history any more', async () => {
    await using test = await listening();
    test.peer.send(message('a', 11));
    await roundTrip(test, test.peer);
    const peer = await comeBack(test, test.peer);
    await peer.frame();
    peer.send(message('b'), message('c'));
    await roundTrip(test, peer);
    expect(test.seen).toEqual(['a', 'gap', 'b', 'c']);
  });

  it('count on while nobody listens to their name, and start anew when the last listener of the actor goes', async () => {
    await using test = await listening();
    const stop = test.client.chat('r1').on('cleared', () => test.seen.push('cleared'));
    stop();
    test.peer.send({ ...message('x', 11), event: 'cleared', payload: { by: 'x' } });
    await roundTrip(test, test.peer);
    const peer = await comeBack(test, test.peer);
    expect(await peer.frame()).toMatchObject({ since: { seq: 11 } });
    test.client.chat('r1').meta.dispose();
    await peer.frame();
    const again = test.client.chat('r1').on('message', () => {});
    expect(await peer.frame()).toEqual({ type: 'event:sub', ...room });
    again();
  });

  it('tell a gap when the answer to the subscription was lost, and none when nothing was asked before', async () => {
    await using test = await inSession();
    const seen: string[] = [];
    test.client.chat('r1').on('message', ({ text }) => seen.push(text), { onGap: () => seen.push('gap r1') });
    await test.peer.frame();
    test.peer.cut();
    await test.status('reconnecting');
    test.client.chat('r2').on('message', () => {}, { onGap: () => seen.push('gap r2') });
    test.clock.advance(125);
    const peer = await test.server.resumed(true);
    await peer.frames(2);
    peer.send(position(40), message('a', 41), { ...position(7), actorId: 'r2' });
    await roundTrip(test, peer);
    expect(seen).toEqual(['gap r1', 'a']);
    const third = await comeBack(test, peer);
    await third.frames(2);
    third.send(position(41), { ...position(7), actorId: 'r2' });
    await roundTrip(test, third);
    expect(seen).toEqual(['gap r1', 'a']);
  });

  it.each([true, false])('tell no gap after a refusal (for now: %s), which is an answer', async (retryable) => {
    await using test = await inSession();
    const refusal = { type: 'error', re: { type: 'event:sub', ...room }, code: 'NO', message: 'no', retryable };
    const seen: string[] = [];
    test.client.chat('r1').on('message', ({ text }) => seen.push(text), { onGap: () => seen.push('gap') });
    await test.peer.frame();
    test.peer.send(refusal);
    await roundTrip(test, test.peer);
    if (retryable) test.clock.advance(100);
    else test.client.chat('r1').on('cleared', () => {}, { onGap: () => seen.push('gap') });
    expect(await test.peer.frame()).toEqual({ type: 'event:sub', ...room });
    test.peer.send(refusal);
    await roundTrip(test, test.peer);
    const peer = await comeBack(test, test.peer);
    expect(await peer.frame()).toEqual({ type: 'event:sub', ...room });
    peer.send(position(40), message('a', 41));
    await roundTrip(test, peer);
    expect(seen).toEqual(['a']);
  });

  it('tell a gap when an answer was lost, though the next one was a refusal', async () => {
    await using test = await inSession();
    const seen: string[] = [];
    test.client.chat('r1').on('message', ({ text }) => seen.push(text), { onGap: () => seen.push('gap') });
    await test.peer.frame();
    const peer = await comeBack(test, test.peer);
    await peer.frame();
    peer.send({
      type: 'error',
      re: { type: 'event:sub', ...room },
      code: 'OVERLOADED',
      message: 'no',
      retryable: true,
    });
    await roundTrip(test, peer);
    test.clock.advance(100);
    await peer.frame();
    peer.send(position(40), message('a', 41));
    await roundTrip(test, peer);
    expect(seen).toEqual(['gap', 'a']);
  });

  it('are asked for once by a listener that comes while everything is subscribed anew', async () => {
    await using test = await inSession();
    const handle = test.client.chat('r1');
    const seen: string[] = [];
    const onGap = (): void => void seen.push('gap');
    handle.state.subscribe(() => {}, {
      onError: (error) => {
        if (error === undefined) handle.on('message', ({ text }) => seen.push(text), { onGap });
      },
    });
    await test.peer.frame();
    test.peer.send({ type: 'error', re: { type: 'state:sub', ...room }, code: 'NO', message: 'no', retryable: false });
    await roundTrip(test, test.peer);
    const peer = await comeBack(test, test.peer);
    expect((await peer.frames(2)).map(({ type }) => type)).toEqual(['state:sub', 'event:sub']);
    peer.send(position(40), message('a', 41));
    await roundTrip(test, peer);
    expect(seen).toEqual(['a']);
  });

  it('call no onGap of a listener that is gone', async () => {
    await using test = await listening();
    const stop = test.client.chat('r1').on('cleared', () => {}, { onGap: () => test.seen.push('gone') });
    stop();
    stop();
    test.peer.send(position(700, true));
    await roundTrip(test, test.peer);
    expect(test.seen).toEqual(['gap']);
    expect(test.reports).toEqual([]);
  });
});

describe('events without a history', () => {
  it('are told as they come, and nothing is asked for after a lost connection', async () => {
    await using test = await inSession();
    const seen: string[] = [];
    test.client.chat('r1').on('message', ({ text }) => seen.push(text), { onGap: () => seen.push('gap') });
    await test.peer.frame();
    test.peer.send(message('a'), message('a'));
    await roundTrip(test, test.peer);
    const peer = await comeBack(test, test.peer);
    expect(await peer.frame()).toEqual({ type: 'event:sub', ...room });
    peer.send(message('b'));
    await roundTrip(test, peer);
    expect(seen).toEqual(['a', 'a', 'b']);
  });
});
