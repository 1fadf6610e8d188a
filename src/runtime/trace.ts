/**
 * The durable trace of a turn: what the journal keeps of it. Results, never commands.
 */
import type { CallRecord, JournalEntry, StateChange, StoredOutcome } from '../storage/contract.ts';
import type { Activation } from './activation.ts';
import type { CallItem } from './mailbox.ts';

/** Undefined when nothing has to be kept: the actor lives in memory only, or the turn changed nothing and has no key. */
export function entryOf(
  activation: Activation,
  change: StateChange,
  call: CallRecord | undefined,
): JournalEntry | undefined {
  const { address, definition } = activation;
  if (definition.durability === 'memory' || (change.kind === 'none' && call === undefined)) return undefined;
  const seq = change.kind === 'none' ? activation.seq : activation.seq + 1;
  return { address, seq, version: definition.version, change, call };
}

/** Undefined for a call without a key: its outcome is told once and forgotten. */
export function recordOf(item: CallItem, outcome: StoredOutcome, atMs: number): CallRecord | undefined {
  return item.key === '' ? undefined : { key: item.key, args: item.args, outcome, atMs };
}
