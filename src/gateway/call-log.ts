/**
 * What a gateway logs of calls: at level `debug` one line for each and for each connection, and at any level those that
 * ended badly because their shard did.
 *
 * A `CallLog` exists only when the level asks for it, so that otherwise a call pays for one comparison.
 */
import type { Logger } from '../host/log.ts';
import type { ErrorBody } from '../protocol/errors.ts';
import { traceFields } from '../protocol/trace.ts';
import type { Connection } from './connection.ts';
import type { CallFacts, Entry, Waiter } from './pending.ts';

type Named = Pick<Connection, 'session' | 'requestId' | 'additions'>;

export class CallLog {
  readonly #log: Logger;
  readonly #monotonic: () => number;

  constructor(log: Logger, monotonic: () => number) {
    this.#log = log;
    this.#monotonic = monotonic;
  }

  /** The waiter for a call that is on its way, with a line when its answer comes. */
  watch(waiter: Waiter, tenant: string, call: CallFacts): Waiter {
    const beganMs = this.#monotonic();
    const write = (outcome: string, code?: string): void => {
      const ms = Math.round((this.#monotonic() - beganMs) * 1000) / 1000;
      this.#log.debug({ ...callFields(tenant, call), outcome, code, ms }, 'call');
    };
    return {
      ok(result, durable, seq) {
        write('ok');
        waiter.ok(result, durable, seq);
      },
      failed(error) {
        write(error.outcome, error.code);
        waiter.failed(error);
      },
    };
  }

  /** Nothing was sent anywhere. */
  refused(tenant: string, call: CallFacts, { outcome, code }: ErrorBody): void {
    this.#log.debug({ ...callFields(tenant, call), outcome, code, ms: 0 }, 'call');
  }

  connected({ session, requestId, additions }: Named): void {
    const { tenant, sessionId, clientId } = session.info;
    this.#log.debug({ requestId, tenant, sessionId, clientId, additions }, 'connected');
  }

  disconnected({ session, requestId }: Named, code: number): void {
    const { tenant, sessionId } = session.info;
    this.#log.debug({ requestId, tenant, sessionId, code }, 'disconnected');
  }
}

export function callFields(tenant: string, { actor, actorId, method, trace }: CallFacts): object {
  return { tenant, actor, actorId, method, ...traceFields(trace) };
}

/** A shard died: the call that it ran, if that is known, and those that waited for it. */
export function logLostCalls(log: Logger, shard: number, waiting: readonly Entry[], running: Entry | undefined): void {
  if (running?.facts !== undefined) {
    const fields = { shard, ...callFields(running.session.info.tenant, running.facts) };
    log.error(fields, 'a shard died while it ran this call');
  }
  if (waiting.length === 0) return;
  const calls = waiting.flatMap(({ session, facts }) =>
    facts === undefined || facts.trace === '' ? [] : [callFields(session.info.tenant, facts)],
  );
  log.warn(
    { shard, ended: waiting.length, calls: calls.slice(0, callsMax) },
    'calls to a shard that died ended unknown',
  );
}

/** Calls that one line names. */
const callsMax = 20;
