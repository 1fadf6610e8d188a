/**
 * Makes envelopes of a peer's text, or says what is wrong with it. What a gateway has checked is checked again: the text comes
 * from another process, perhaps of another version, and what it names becomes keys, file names and code's input.
 *
 * Invariants: never throws · all of a frame is legal or none of it is taken · what is returned holds nothing that is not named
 * here, and no own `__proto__` key · the tenant of every session lies in the frame's slot.
 */
import { actorIdProblem, isName, isTenant, keyProblem, parseNumberedKey } from '../protocol/address.ts';
import { type Inbound, inboundOp, type SessionInfo } from '../protocol/envelope.ts';
import { epochCharsMax } from '../protocol/limits.ts';
import { slotOf } from '../protocol/placement.ts';
import { parseJson } from '../protocol/safe-json.ts';
import type { SlotFrame } from '../transport/contract.ts';
import { slots } from '../transport/nats-names.ts';

export type CheckedFrame =
  | { readonly kind: 'legal'; readonly envelopes: readonly Inbound[] }
  /** `calls`: numbers of calls and reads that can be made out in it. */
  | { readonly kind: 'illegal'; readonly reason: string; readonly calls: readonly number[] };

/** `depthMax`: levels that a client's input may nest. */
export function checkFrame(frame: Pick<SlotFrame, 'text' | 'slot' | 'kind'>, depthMax: number): CheckedFrame {
  const parsed = parseJson(frame.text, depthMax + envelopeLevels);
  if (parsed.kind === 'syntax') return { kind: 'illegal', reason: 'the frame is no JSON', calls: [] };
  if (parsed.kind === 'refused') return { kind: 'illegal', reason: parsed.message, calls: callsIn(frame.text) };
  const envelopes = parsed.value;
  const reason = frameProblem(envelopes, frame);
  if (reason !== undefined) return { kind: 'illegal', reason, calls: callsOf(envelopes) };
  return { kind: 'legal', envelopes: (envelopes as Inbound[]).map(plain) };
}

/** The frame, the envelope, the session's info: what stands around input and claims. */
const envelopeLevels = 3;

type Place = Pick<SlotFrame, 'slot' | 'kind'>;

function frameProblem(envelopes: unknown, place: Place): string | undefined {
  if (!Array.isArray(envelopes)) return 'the frame is no list of envelopes';
  for (const [at, envelope] of (envelopes as unknown[]).entries()) {
    const problem = Array.isArray(envelope) ? envelopeProblem(envelope, place) : 'it is no list';
    if (problem !== undefined) return `envelope ${at + 1} of ${envelopes.length}: ${problem}`;
  }
  return undefined;
}

function envelopeProblem(envelope: readonly unknown[], { slot, kind }: Place): string | undefined {
  const [op, number] = envelope;
  const shape = typeof op === 'number' ? shapes.get(op) : undefined;
  if (shape === undefined) return 'its operation is unknown';
  if (envelope.length < shape.fieldsMin || envelope.length > shape.fieldsMax) {
    return `${shape.name} has ${envelope.length} fields`;
  }
  if (kind === 'presence' && (op === inboundOp.call || op === inboundOp.read)) return `${shape.name} is no presence`;
  if (op !== inboundOp.present && !isNumber(number)) return `${shape.name} names no session`;
  const problem = shape.problem(envelope, slot);
  return problem === undefined ? undefined : `${shape.name}: ${problem}`;
}

interface Shape {
  readonly name: string;
  readonly fieldsMin: number;
  readonly fieldsMax: number;
  problem(envelope: readonly unknown[], slot: number): string | undefined;
}

const nothing = (): undefined => undefined;

/** All that a gateway may say. */
const shapes: ReadonlyMap<number, Shape> = new Map<number, Shape>([
  [inboundOp.open, { name: 'open', fieldsMin: 3, fieldsMax: 3, problem: openProblem }],
  [inboundOp.end, { name: 'end', fieldsMin: 2, fieldsMax: 2, problem: nothing }],
  [inboundOp.detach, { name: 'detach', fieldsMin: 2, fieldsMax: 2, problem: nothing }],
  [inboundOp.present, { name: 'present', fieldsMin: 3, fieldsMax: 3, problem: presentProblem }],
  [inboundOp.call, { name: 'call', fieldsMin: 9, fieldsMax: 12, problem: callProblem }],
  [inboundOp.read, { name: 'read', fieldsMin: 5, fieldsMax: 5, problem: readProblem }],
  [inboundOp.subscribe, { name: 'subscribe', fieldsMin: 5, fieldsMax: 7, problem: subscribeProblem }],
  [inboundOp.unsubscribe, { name: 'unsubscribe', fieldsMin: 5, fieldsMax: 5, problem: streamProblem }],
]);

function openProblem([, , info]: readonly unknown[], slot: number): string | undefined {
  if (!isFields(info)) return 'it tells nothing of the session';
  const { tenant, sessionId, clientId, userId, claims, kind, additions } = info;
  if (!isTenant(tenant)) return 'it names no legal tenant';
  if (slotOf(tenant, slots) !== slot) return `tenant ${tenant} is not in slot ${slot}`;
  if (kind !== 'ws' && kind !== 'http' && kind !== 'sse') return 'the kind of the session is unknown';
  if (typeof additions !== 'boolean') return 'it does not say whether there are additions';
  if (!(kind === 'http' ? sessionId === '' : isId(sessionId))) return 'the session id is malformed';
  if (!isId(clientId)) return 'the client id is malformed';
  if (!isUser(userId)) return 'the user id is malformed';
  return isFields(claims) ? undefined : 'the claims are malformed';
}

function presentProblem([, none, numbers]: readonly unknown[]): string | undefined {
  return none === 0 && Array.isArray(numbers) && numbers.every(isNumber) ? undefined : 'it is no list of sessions';
}

function callProblem(envelope: readonly unknown[]): string | undefined {
  const [, , call, type, id, method, key, ack, deadlineMs, , trace, noInput] = envelope;
  if (!isNumber(call)) return 'it has no number';
  const problem = actorProblem(type, id);
  if (problem !== undefined) return problem;
  if (!isName(method)) return 'it names no legal method';
  if (typeof key !== 'string') return 'key must be a string';
  const wrongKey = key === '' ? undefined : keyProblem(key);
  if (wrongKey !== undefined) return wrongKey;
  if (!isCountFrom(ack, -1)) return 'ack is malformed';
  if (ack >= 0 && parseNumberedKey(key) === undefined) return 'with ack, key must be "<client>:<n>"';
  if (!isCountFrom(deadlineMs, 0)) return 'deadlineMs is malformed';
  if (envelope.length > 10 && !isTrace(trace)) return 'the trace is malformed';
  return envelope.length > 11 && noInput !== true ? 'noInput is malformed' : undefined;
}

function readProblem([, , call, type, id]: readonly unknown[]): string | undefined {
  return isNumber(call) ? actorProblem(type, id) : 'it has no number';
}

function subscribeProblem(envelope: readonly unknown[]): string | undefined {
  const [, , , , , epoch, seq] = envelope;
  if (envelope.length === 6) return 'a position has an epoch and a number';
  if (envelope.length === 7) {
    if (typeof epoch !== 'string' || epoch.length > epochCharsMax) return 'the epoch is malformed';
    if (!isCountFrom(seq, 0)) return 'the number of the position is malformed';
  }
  return streamProblem(envelope);
}

function streamProblem([, , type, id, stream]: readonly unknown[]): string | undefined {
  return stream === 'state' || stream === 'event' ? actorProblem(type, id) : 'the stream is unknown';
}

function actorProblem(type: unknown, id: unknown): string | undefined {
  return isName(type) ? actorIdProblem(id) : 'it names no legal actor';
}

/** Without what its sender may have added to it. */
function plain(envelope: Inbound): Inbound {
  if (envelope[0] !== inboundOp.open) return envelope;
  const { tenant, sessionId, clientId, userId, claims, kind, additions } = envelope[2];
  const info: SessionInfo = { tenant, sessionId, clientId, userId, claims, kind, additions };
  return [inboundOp.open, envelope[1], info];
}

function callsIn(text: string): number[] {
  try {
    return callsOf(JSON.parse(text));
  } catch {
    return [];
  }
}

/** Whoever waits for these can be told that nothing will come of it. */
function callsOf(envelopes: unknown): number[] {
  if (!Array.isArray(envelopes)) return [];
  return (envelopes as unknown[]).flatMap((envelope) => {
    if (!Array.isArray(envelope)) return [];
    const [op, , call] = envelope as unknown[];
    return (op === inboundOp.call || op === inboundOp.read) && isNumber(call) ? [call] : [];
  });
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Of a session or a call. */
function isNumber(value: unknown): value is number {
  return isCountFrom(value, 1);
}

function isCountFrom(value: unknown, least: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= least;
}

function isId(value: unknown): boolean {
  return typeof value === 'string' && idForm.test(value);
}

function isUser(value: unknown): boolean {
  if (value === null) return true;
  return typeof value === 'string' && value !== '' && value.length <= userCharsMax && value.isWellFormed();
}

function isTrace(value: unknown): boolean {
  return typeof value === 'string' && traceForm.test(value);
}

/** As `Clock#id` makes them, and longer. */
const idForm = /^[A-Za-z0-9_-]{1,64}$/;
/** As much as a token's subject may have. */
const userCharsMax = 256;
/** Text of `trace.ts`: a traceparent of version 00 and a request id, of which either may be missing. */
const traceForm = /^([\da-f]{2}(-[\da-f]{2,32}){3})?\|[A-Za-z0-9._-]{0,64}$/;
