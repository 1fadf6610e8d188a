/** Dead letters that nobody can replay: looked at, refused, dropped. Those that can are in test/journeys/dead-letters.test.ts. */
import { headers, type NatsConnection } from 'nats';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { isSettled, keyOf } from '../../src/cli/dlq-replay.ts';
import { inboundOp } from '../../src/protocol/envelope.ts';
import { AppError } from '../../src/protocol/errors.ts';
import { slotOf } from '../../src/protocol/placement.ts';
import { deadLetterHeaders } from '../../src/transport/nats-dead-letters.ts';
import { slots, streams, subjects } from '../../src/transport/nats-names.ts';
import { writeCalls } from '../../src/transport/nats-wire.ts';
import { dial, ensureOn } from '../cluster/fixtures.ts';
import { NatsServer } from '../support/nats-server.ts';
import { fermata } from './command-fixture.ts';

const tenant = 't1';
const slot = slotOf(tenant, slots);
const header = {
  gateway: 'gateway-a'.replace('-', ''),
  link: 1,
  seq: 9,
  sentAtMs: 1_700_000_000_000,
  sends: 0,
  epoch: 3,
};
let server: NatsServer;
let nc: NatsConnection;
beforeAll(async () => {
  server = await NatsServer.start();
  nc = await dial(server);
});
afterAll(async () => {
  await nc.close();
  await server.close();
});
beforeEach(async () => {
  await ensureOn(nc)();
  await (await nc.jetstreamManager()).streams.purge(streams.dead);
});

const dlq = (...words: string[]) => fermata(['dlq', ...words], { NATS_URL: server.url });

/** Returns its number. */
async function shelve(kind: string, data: Uint8Array, reason = 'because'): Promise<string> {
  const about = headers();
  for (const [name, text] of [
    ['kind', kind],
    ['reason', reason],
  ] as const)
    about.set(deadLetterHeaders[name], text);
  return String((await nc.jetstream().publish(subjects.dead(slot), data, { headers: about })).seq);
}

const frameOf = (...envelopes: unknown[]) => writeCalls(header, JSON.stringify(envelopes));
const callOf = (key: string) => [inboundOp.call, 1, 4, 'room', 'r1', 'add', key, -1, 0, { amount: 1 }];

test('no letters are no mistake', async () => {
  expect(await dlq()).toMatchObject({ exitCode: 0, out: 'there are no dead letters' });
  expect(await dlq('replay', '--all')).toMatchObject({ exitCode: 0, out: 'there are no dead letters' });
  expect(await dlq('show', '5')).toMatchObject({
    exitCode: 1,
    err: expect.stringContaining('there is no dead letter 5') as string,
  });
});

test('letters are listed with what is known of them, also those that are no frame', async () => {
  const first = await shelve('undone', frameOf(callOf('k1'), callOf('')), 'it was delivered 6 times');
  const second = await shelve('unreadable', Buffer.from('\u001b[2Jnonsense'), 'it cannot be read');
  const { out } = await dlq('list');
  expect(out).toMatch(new RegExp(`^${first} .* ${slot} +undone +2 .*it was delivered 6 times$`, 'm'));
  expect(out).toMatch(new RegExp(`^${second} .* unreadable +0 .*it cannot be read$`, 'm'));
  expect((await dlq('show', second)).out).toContain('nothing in it can be read');
  expect(JSON.parse((await dlq('list', '--json')).out)).toMatchObject([
    { kind: 'undone', calls: 2, sent: '2023-11-14T22:13:20.000Z' },
    { kind: 'unreadable', calls: 0 },
  ]);
});

test('a letter shows its calls, and claims only to who asks for them', async () => {
  const info = {
    tenant,
    sessionId: 's',
    clientId: 'c',
    userId: 'ann',
    claims: { card: '4711' },
    kind: 'ws',
    additions: true,
  };
  const seq = await shelve('undone', frameOf([inboundOp.open, 1, info], callOf('k1\u009b')));
  for (const more of [[], ['--json']]) {
    const { out } = await dlq('show', seq, ...more);
    expect(out).toContain('ann');
    expect(out).toContain('\\u009b');
    expect(out).not.toContain('4711');
    expect((await dlq('show', seq, '--claims', ...more)).out).toContain('4711');
  }
});

test('what cannot be replayed says why, and stays', async () => {
  const illegal = await shelve('illegal', frameOf(callOf('k1')));
  const orphan = await shelve('undone', frameOf(callOf('k1')));
  expect(await dlq('replay', illegal)).toMatchObject({
    exitCode: 1,
    err: expect.stringContaining('is illegal') as string,
  });
  expect(await dlq('replay', orphan)).toMatchObject({
    exitCode: 1,
    out: expect.stringContaining('nobody knows who made it') as string,
  });
  expect(JSON.parse((await dlq('list', '--json')).out)).toHaveLength(2);
});

test('a caller of a tenant of another slot is nobody', async () => {
  const other = ['t2', 't3', 't4'].find((name) => slotOf(name, slots) !== slot);
  const info = {
    tenant: other,
    sessionId: '',
    clientId: 'c',
    userId: null,
    claims: {},
    kind: 'http',
    additions: false,
  };
  const seq = await shelve('undone', frameOf([inboundOp.open, 1, info], callOf('k1')));
  expect((await dlq('replay', seq)).out).toContain('nobody knows who made it');
});

test('letters are dropped by number or all, never without --yes', async () => {
  const first = await shelve('undone', frameOf(callOf('k1')));
  await shelve('undone', frameOf(callOf('k2')));
  expect(await dlq('drop', first)).toMatchObject({ exitCode: 64, err: expect.stringContaining('--yes') as string });
  expect(await dlq('drop', '--all')).toMatchObject({ exitCode: 64 });
  expect(await dlq('drop', first, '--all', '--yes')).toMatchObject({ exitCode: 64 });
  expect(await dlq('drop', first, '--yes')).toMatchObject({ exitCode: 0, out: 'dropped 1 dead letter' });
  expect(await dlq('drop', '--all', '--yes')).toMatchObject({ exitCode: 0, out: 'dropped 1 dead letter' });
});

test.each([['shoe'], ['show'], ['show', '0'], ['show', 'one'], ['list', '3'], ['show', '--all'], ['replay']])(
  'dlq %s %s is refused',
  async (...words) => {
    expect((await dlq(...words)).exitCode).toBe(64);
  },
);

test('a call has an end when nothing more can become of it', () => {
  const ended = (code: string) => isSettled({ kind: 'error', error: new AppError(code, 'x').toBody() });
  expect(['HANDLER', 'SEAT_TAKEN', 'INVALID', 'KEY_REUSED', 'TURN_TIMEOUT'].filter((code) => !ended(code))).toEqual([]);
  expect(['UNKNOWN', 'OVERLOADED', 'QUARANTINED', 'DEADLINE', 'READ_ONLY'].filter(ended)).toEqual([]);
  expect(isSettled({ kind: 'none', why: 'x' })).toBe(false);
});

test('a call without a key gets the same one whenever its letter is replayed', () => {
  const call = [inboundOp.call, 1, 4, 'room', 'r1', 'add', '', -1, 0] as const;
  expect(keyOf(header, call)).toBe(keyOf({ ...header, sentAtMs: 5, sends: 2 }, call));
  expect(keyOf({ ...header, seq: 10 }, call)).not.toBe(keyOf(header, call));
});
