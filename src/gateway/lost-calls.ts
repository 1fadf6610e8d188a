/** A shard's thread died: its calls in flight end `unknown`, and the one that it was running is named. */
import { callFingerprint } from '../host/fingerprint.ts';
import type { Logger } from '../host/log.ts';
import { AppError, type ErrorBody } from '../protocol/errors.ts';
import { logLostCalls } from './call-log.ts';
import type { Pending } from './pending.ts';

/** What a shard was doing when it died. */
export interface RunningCall {
  readonly fingerprint: string;
  readonly tenant: string;
  readonly actor: string;
  readonly actorId: string;
  readonly method: string;
  readonly key: string;
}

export interface LostCallsParts {
  readonly pending: Pending;
  readonly failAll: (calls: Iterable<number>, error: ErrorBody) => void;
  readonly log: Logger;
}

/** Returns what the call with this number asked for, if it was in flight. */
export function endLostCalls(
  { pending, failAll, log }: LostCallsParts,
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
  failAll(waiting, lost);
  if (running?.facts === undefined) return undefined;
  const { tenant } = running.session.info;
  const { actor, actorId, method, key } = running.facts;
  return { fingerprint: callFingerprint(tenant, running.facts), tenant, actor, actorId, method, key };
}

const lost = new AppError('UNKNOWN', 'The part of the server that ran this call ended; repeat it with the same key', {
  retryAfterMs: 500,
}).toBody();
