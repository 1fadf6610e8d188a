/** A shard's thread died: the calls that it had from all gateways end `unknown`, and the one that it was running is named. */
import { logLostCalls } from '../gateway/call-log.ts';
import type { RunningCall } from '../gateway/lost-calls.ts';
import type { Pending } from '../gateway/pending.ts';
import { callFingerprint } from '../host/fingerprint.ts';
import type { Logger } from '../host/log.ts';
import { AppError } from '../protocol/errors.ts';
import type { Answers } from './answers.ts';

export interface LostCallsParts {
  readonly pending: Pending;
  readonly answers: Answers;
  readonly log: Logger;
}

/** Returns what the call with this number asked for, if it was in flight. */
export function endLostCalls(
  { pending, answers, log }: LostCallsParts,
  shard: number,
  runningCall: number,
): RunningCall | undefined {
  const running = pending.get(runningCall);
  const waiting = pending.ofShard(shard);
  logLostCalls(
    log,
    shard,
    waiting.map((call) => pending.get(call)!),
    running,
  );
  answers.failAll(waiting, lost);
  if (running?.facts === undefined) return undefined;
  const { tenant } = running.session.info;
  const { actor, actorId, method, key } = running.facts;
  return { fingerprint: callFingerprint(tenant, running.facts), tenant, actor, actorId, method, key };
}

const lost = new AppError('UNKNOWN', 'The part of the server that ran this call ended; repeat it with the same key', {
  retryAfterMs: 500,
}).toBody();
