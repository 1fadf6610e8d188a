/** What a dead letter holds: the calls of its frame, each with who made it, as far as that can be made out. */
import { actorIdProblem, isName, isTenant, keyProblem } from '../protocol/address.ts';
import { type Inbound, inboundOp, type SessionInfo } from '../protocol/envelope.ts';
import { slotOf } from '../protocol/placement.ts';
import { parseJson } from '../protocol/safe-json.ts';
import type { ShelvedLetter } from '../transport/nats-dead-letter-shelf.ts';
import { slots } from '../transport/nats-names.ts';

export type CallEnvelope = Extract<Inbound, readonly [typeof inboundOp.call, ...unknown[]]>;

export interface DeadCall {
  readonly envelope: CallEnvelope;
  /** Undefined: nobody knew any more when it was put aside. */
  readonly caller: SessionInfo | undefined;
}

/** More than any server lets a client's input nest, and few enough to read. */
const depthMax = 512;

/** The envelopes; undefined when they cannot be made out. */
export function envelopesOf({ frame }: Pick<ShelvedLetter, 'frame'>): readonly (readonly unknown[])[] | undefined {
  if (frame === undefined) return undefined;
  const parsed = parseJson(frame.text, depthMax);
  if (parsed.kind !== 'value' || !Array.isArray(parsed.value)) return undefined;
  const envelopes = parsed.value as unknown[];
  return envelopes.every((envelope): envelope is unknown[] => Array.isArray(envelope)) ? envelopes : undefined;
}

/** In their order. Calls that no runtime would take are left out. */
export function callsOf(letter: Pick<ShelvedLetter, 'frame' | 'slot'>): DeadCall[] {
  const callers = new Map<unknown, SessionInfo>();
  const calls: DeadCall[] = [];
  for (const envelope of envelopesOf(letter) ?? []) {
    const [op, number, info] = envelope;
    if (op === inboundOp.open && isCaller(info, letter.slot)) callers.set(number, info);
    else if (isCall(envelope)) calls.push({ envelope, caller: callers.get(number) });
  }
  return calls;
}

function isCaller(info: unknown, slot: number): info is SessionInfo {
  const { tenant, clientId, claims } = Object(info) as Partial<Record<keyof SessionInfo, unknown>>;
  return (
    isTenant(tenant) && slotOf(tenant, slots) === slot && typeof clientId === 'string' && Object(claims) === claims
  );
}

function isCall(envelope: readonly unknown[]): envelope is CallEnvelope {
  const [op, , , type, id, method, key, ack] = envelope;
  if (op !== inboundOp.call || !isName(type) || actorIdProblem(id) !== undefined || !isName(method)) return false;
  return (key === '' || keyProblem(key) === undefined) && Number.isSafeInteger(ack);
}
