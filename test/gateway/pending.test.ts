import { expect, it } from 'vitest';
import { Pending } from '../../src/gateway/pending.ts';
import { Session } from '../../src/gateway/session.ts';

const info = {
  tenant: 't',
  sessionId: '',
  clientId: 'c',
  userId: null,
  claims: {},
  kind: 'http',
  additions: false,
} as const;
const waiter = { ok: () => {}, failed: () => {} };
const newSession = (number: number) =>
  new Session(number, info, { calls: 0, sessions: 1 }, { connectedMs: 0, nowMs: 0 }, { calls: 0 });
const facts = (deadlineMs: number) => ({
  actor: 'a',
  actorId: 'i',
  method: 'm',
  key: '',
  input: 1,
  trace: '',
  deadlineMs,
});

it('calls are overdue past their own deadline or the bound, whichever is shorter, and the grace', () => {
  const pending = new Pending(1);
  const session = newSession(1);
  const read = pending.add(waiter, session, 0, 0);
  const plain = pending.add(waiter, session, 0, 0, facts(0));
  const long = pending.add(waiter, session, 0, 0, facts(1e6));
  const short = pending.add(waiter, session, 0, 10, facts(50));
  const later = pending.add(waiter, session, 0, 500, facts(1));
  const at = (nowMs: number) => pending.overdue(nowMs, 1000, 100);
  expect(at(159)).toEqual([]);
  expect(at(160)).toEqual([short]);
  expect(at(600)).toEqual([short]);
  expect(at(601)).toEqual([short, later]);
  expect(at(1100)).toEqual([read, plain, long, short, later]);
  for (const call of [plain, short, later]) pending.take(call);
  expect(at(1100)).toEqual([read, long]);
});

it('the sessions of a shard are those whose calls wait for it', () => {
  const pending = new Pending(2);
  const [one, other] = [newSession(1), newSession(2)];
  pending.add(waiter, one, 0, 0);
  pending.add(waiter, one, 0, 0);
  const call = pending.add(waiter, other, 1, 0);
  expect([...pending.sessionsOf(0)]).toEqual([one]);
  expect([...pending.sessionsOf(1)]).toEqual([other]);
  pending.take(call);
  expect([...pending.sessionsOf(1)]).toEqual([]);
});
