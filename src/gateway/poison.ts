/**
 * Calls that killed their shard again and again: refused here, before they reach one. Main counts the crashes and keeps
 * the list; a gateway only knows it.
 *
 * A call is recognised by what it asks for (actor, method, input, key), because whoever sends it again sends that again.
 */
import { callFingerprint } from '../host/fingerprint.ts';
import type { LogGate } from '../host/log-gate.ts';
import { AppError, type ErrorBody } from '../protocol/errors.ts';
import { callFields } from './call-log.ts';
import type { CallFacts } from './pending.ts';

export class PoisonCalls {
  readonly #lines: LogGate;
  #fingerprints: ReadonlySet<string> = new Set();

  constructor(lines: LogGate) {
    this.#lines = lines;
  }

  /** Replaces the list. */
  set(fingerprints: readonly string[]): void {
    this.#fingerprints = new Set(fingerprints);
  }

  refusal(tenant: string, call: CallFacts): ErrorBody | undefined {
    // Nothing is hashed while nothing is quarantined, which is nearly always.
    if (this.#fingerprints.size === 0 || !this.#fingerprints.has(callFingerprint(tenant, call))) return undefined;
    this.#lines.write('a quarantined call', 'warn', callFields(tenant, call), 'refused a quarantined call');
    return quarantined;
  }
}

const quarantined = new AppError(
  'QUARANTINED',
  'This call ended its shard several times and is not run again until an operator releases it',
).toBody();
