/**
 * How a call ended, as two items of a JSON array: `"ok","result as JSON text"` or `"error",{error body}`. A result is
 * quoted as it is: it was made to text once, and nobody here looks into it.
 */
import type { ErrorBody } from '../protocol/errors.ts';
import type { StoredOutcome } from './contract.ts';
import { quoted } from './quoted.ts';

export function encodeOutcome(outcome: StoredOutcome): string {
  return outcome.kind === 'ok' ? `"ok",${quoted(outcome.result)}` : `"error",${JSON.stringify(outcome.error)}`;
}

export function decodeOutcome(kind: string, end: unknown): StoredOutcome {
  return kind === 'ok' ? { kind, result: end as string } : { kind: 'error', error: end as ErrorBody };
}
