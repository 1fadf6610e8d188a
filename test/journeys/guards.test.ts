/** Whoever may not call may not look either: middleware and `authorize` stand before calls, states and events. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BaseClient } from '../support/base-client.ts';
import { getState, post } from '../support/http.ts';
import type { ServerProcess } from '../support/server.ts';
import { Stage } from '../support/stage.ts';
import { mint } from '../support/token.ts';

const stage = new Stage();
afterAll(() => stage.end());

let server: ServerProcess;
/** By what it may do: `member`, or a `guest` with the additions, or a guest without them. */
let member: BaseClient;
let guest: BaseClient;
let baseGuest: BaseClient;
let guestToken: string;

beforeAll(async () => {
  server = await stage.serve({ app: 'guarded' });
  member = await stage.connect(server, { sub: 'mia', claims: { role: 'member' }, v1: true });
  guest = await stage.connect(server, { sub: 'gus', claims: { role: 'guest' }, v1: true });
  baseGuest = await stage.connect(server, { sub: 'gus' });
  guestToken = await mint({ sub: 'gus', claims: { role: 'guest' } });
});

function subscribeAll(client: BaseClient, actor: string): void {
  client.send({ type: 'state:sub', actor, actorId: 'g' });
  client.send({ type: 'event:sub', actor, actorId: 'g' });
}

const refusals = { club: 'Members only', ballot: 'Not allowed to see this actor', broken: 'the guard fell asleep' };

test.each(['club', 'ballot', 'broken'] as const)('%s shows a guest nothing, by any way', async (actor) => {
  const starts = [guest.frames.length, baseGuest.frames.length];
  subscribeAll(guest, actor);
  subscribeAll(baseGuest, actor);
  const refused = await guest.settled(actor, 'g', starts[0]);
  expect(refused).toEqual(
    ['state:sub', 'event:sub'].map((type) => ({
      type: 'error',
      re: { type, actor, actorId: 'g' },
      code: 'FORBIDDEN',
      message: refusals[actor],
      retryable: false,
    })),
  );
  await baseGuest.settled(actor, 'g', starts[1]);
  const from = [guest.frames.length, baseGuest.frames.length];
  expect(await member.call({ actor, actorId: 'g', method: 'write', input: 'for members' })).toMatchObject({
    outcome: 'ok',
  });
  expect(await guest.settled(actor, 'g', from[0])).toEqual([]);
  expect(await baseGuest.settled(actor, 'g', from[1])).toEqual([]);
  expect(baseGuest.texts.slice(starts[1]).join('\n')).not.toContain('secret');
  const http = await getState(server.address, actor, 'g', { token: guestToken });
  expect([http.status, http.json().error]).toEqual([
    403,
    expect.objectContaining({ code: 'FORBIDDEN', message: refusals[actor] }),
  ]);
});

test('middleware that refuses stops the call before it starts', async () => {
  const call = { actor: 'club', actorId: 'c', method: 'write', input: 'by a guest' };
  expect(await guest.call(call)).toMatchObject({ outcome: 'rejected', code: 'FORBIDDEN', error: 'Members only' });
  expect(await post(server.address, ['club', 'c', 'write'], { token: guestToken, input: 'x' })).toMatchObject({
    status: 403,
  });
  expect(await member.subscribe('club', 'c')).toEqual({ text: 'secret' });
});

test('a guest who may call but not look gets an answer and no frame', async () => {
  const from = guest.frames.length;
  expect(await guest.call({ actor: 'ballot', actorId: 'b', method: 'write', input: 'my vote' })).toMatchObject({
    outcome: 'ok',
  });
  expect(guest.frames.slice(from).map(({ type }) => type)).toEqual(['rpc:result']);
  expect(await member.subscribe('ballot', 'b')).toEqual({ text: 'my vote' });
});

test('a guest who may look but not call sees what members write', async () => {
  expect(await guest.subscribe('board', 'x')).toEqual({ text: 'secret' });
  expect(await guest.call({ actor: 'board', actorId: 'x', method: 'write', input: 'no' })).toMatchObject({
    code: 'FORBIDDEN',
  });
  await member.rpc('board', 'x', 'write', 'news');
  const patch = await guest.until((frame) => frame.type === 'state:patch' && frame['actor'] === 'board');
  expect(patch['patches']).toEqual([{ op: 'replace', path: '/text', value: 'news' }]);
});

test('a guard that breaks lets nobody in, members included', async () => {
  const from = member.frames.length;
  subscribeAll(member, 'broken');
  const types = (await member.settled('broken', 'g', from)).map(({ type }) => type);
  expect(types).toEqual(['error', 'error']);
});

test('what middleware gathers reaches the handler, the later word over the earlier', async () => {
  expect(await member.rpc('chain', 'x', 'ctx')).toEqual({ first: 'mia', word: 'one, two' });
});
