import pino from 'pino';
import { setImmediate as tick } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Principal } from '../../src/gateway/auth.ts';
import { Intake } from '../../src/gateway/intake.ts';
import { GatewayMeters } from '../../src/gateway/meters.ts';
import { Pending } from '../../src/gateway/pending.ts';
import { PoisonCalls } from '../../src/gateway/poison.ts';
import { systemClock } from '../../src/host/clock.ts';
import { LogGate } from '../../src/host/log-gate.ts';
import { decodeInbound, inboundOp } from '../../src/protocol/envelope.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { FakeRemote } from './fake-remote.ts';

const { open, call, present } = inboundOp;
const principal = { tenant: 'acme', userId: 'u', claims: {} } as unknown as Principal;
const waiter = { ok: () => {}, failed: () => {} };
const facts = { actor: 'a', actorId: 'i', method: 'm', key: '', ack: -1, deadlineMs: 0, input: 1, chars: 1, trace: '' };

function start() {
  const link = new FakeRemote(1);
  const pending = new Pending(1);
  const poison = new PoisonCalls(new LogGate(pino({ level: 'silent' }), systemClock.monotonic));
  const meters = new GatewayMeters(systemClock);
  const intake = new Intake({ link, pending, poison, meters, limits: defaultLimits, clock: systemClock });
  return { link, pending, intake };
}

/** What the frames hold, each as operation and session. */
const told = (frames: readonly string[]) =>
  frames.map((frame) =>
    decodeInbound(frame).map(([op, session, list]) => (op === present ? [op, list] : [op, session])),
  );

it('what was gathered when a slot changes hands is sent after all that the newcomer is told', async () => {
  const { link, intake } = start();
  const session = intake.openSession(principal, 'ws', true);
  const caller = intake.openSession(principal, 'http', false);
  intake.call(session, facts, waiter);
  intake.call(caller, facts, waiter);
  intake.forgotten(0);
  intake.turnover(0, [session]);
  expect(told(link.frames)).toEqual([
    [
      [open, 1],
      [open, 2],
      [present, [1, 2]],
    ],
  ]);
  intake.call(session, facts, waiter);
  await tick();
  expect(told(link.frames.slice(1))).toEqual([
    [
      [open, 1],
      [call, 1],
      [open, 2],
      [call, 2],
      [call, 1],
    ],
  ]);
});

it('a newcomer is told of many sessions in several frames, none of which holds a call', async () => {
  const { link, intake } = start();
  const sessions = Array.from({ length: 150 }, () => intake.openSession(principal, 'ws', true));
  for (const session of sessions) intake.call(session, facts, waiter);
  await tick();
  const before = link.frames.length;
  intake.call(sessions[0]!, facts, waiter);
  intake.forgotten(0);
  intake.turnover(0, sessions);
  const presented = told(link.frames.slice(before));
  expect(presented.length).toBeGreaterThan(1);
  expect(presented.flat()).toEqual([
    ...sessions.map(({ number }) => [open, number]),
    [present, sessions.map(({ number }) => number)],
  ]);
  await tick();
  expect(told(link.frames.slice(before + presented.length))).toEqual([[[call, 1]]]);
});

it('what was gathered for a slot whose answers were lost is not sent, and new calls open their session anew', async () => {
  const { link, intake } = start();
  const session = intake.openSession(principal, 'ws', true);
  intake.call(session, facts, waiter);
  intake.forgotten(0);
  intake.discard(0);
  await tick();
  expect(link.frames).toEqual([]);
  intake.call(session, facts, waiter);
  await tick();
  expect(told(link.frames)).toEqual([
    [
      [open, 1],
      [call, 1],
    ],
  ]);
});

it('a session that ends between the loss and the turnover is not told of, nor is its end', async () => {
  const { link, intake } = start();
  const session = intake.openSession(principal, 'ws', true);
  intake.call(session, facts, waiter);
  await tick();
  intake.forgotten(0);
  intake.discard(0);
  intake.endSession(session);
  intake.forgotten(0);
  intake.turnover(0, []);
  await tick();
  expect(told(link.frames.slice(1))).toEqual([[[present, []]]]);
});
