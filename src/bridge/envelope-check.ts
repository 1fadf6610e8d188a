/**
 * Makes envelopes of a peer's text, or says what is wrong with it. What a gateway has checked is checked again: the text comes
 * from another process, perhaps of another version, and what it names becomes keys, file names and code's input.
 *
 * Invariants: never throws · what is wrong with one envelope says nothing of the others: they may be other clients' · what is
 * returned as legal holds nothing that is not named here, and no own `__proto__` key · the tenant of every session lies in the
 * frame's slot.
 */
import { actorIdProblem, isName, isTenant, keyProblem, parseNumberedKey } from '../protocol/address.ts';
import { type Inbound, inboundOp, type SessionInfo } from '../protocol/envelope.ts';
import { epochCharsMax } from '../protocol/limits.ts';
import { slotOf } from '../protocol/placement.ts';
import { parseJson } from '../protocol/safe-json.ts';
import { isTrace } from '../protocol/trace.ts';
import type { SlotFrame } from '../transport/contract.ts';
import { slots } from '../transport/nats-names.ts';

/** An envelope that is not handled. */
export interface IllegalEnvelope {
  readonly reason: string;
  /** Its number, when it is a call or a read: whoever waits for that can be told. */
  readonly call: number | undefined;
}

export type CheckedFrame =
  /** In the order of the frame, each legal or not. */
  | { readonly kind: 'envelopes'; readonly envelopes: readonly (Inbound | IllegalEnvelope)[] }
  /** No list of anything. */
  | { readonly kind: 'illegal'; readonly reason: string };

/** `depthMax`: levels that a client's input may nest. */
export function checkFrame(frame: Pick<SlotFrame, 'text' | 'slot' | 'kind'>, depthMax: number): CheckedFrame {
  const parsed = parseJson(frame.text, depthMax + infoLevels + 1);
  if (parsed.kind === 'syntax') return { kind: 'illegal', reason: 'the frame is no JSON' };
  const isRefused = parsed.kind === 'refused';
  const list = isRefused ? unboundedly(frame.text) : parsed.value;
  if (!Array.isArray(list)) return { kind: 'illegal', reason: 'the frame is no list of envelopes' };
  const envelopes = (list as unknown[]).map((envelope, at): Inbound | IllegalEnvelope => {
    const problem = (isRefused ? valueProblem(envelope, depthMax) : undefined) ?? envelopeProblem(envelope, frame);
    if (problem === undefined) return plain(envelope as Inbound);
    return { reason: `envelope ${at + 1} of ${list.length}: ${problem}`, call: callOf(envelope) };
  });
  return { kind: 'envelopes', envelopes };
}

export function isLegal(envelope: Inbound | IllegalEnvelope): envelope is Inbound {
  return Array.isArray(envelope);
}

/** The envelope and the session's info: what stands around claims. Around an input there is less. */
const infoLevels = 2;

/** Text that was refused for something in it, which is then looked for in each envelope. */
function unboundedly(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What keeps a value that was parsed without bounds from going any further. */
function valueProblem(value: unknown, depthMax: number): string | undefined {
  try {
    const parsed = parseJson(JSON.stringify(value), depthMax + infoLevels);
    return parsed.kind === 'refused' ? parsed.message : undefined;
  } catch {
    return 'it nests too deep to be written';
  }
}

type Place = Pick<SlotFrame, 'slot' | 'kind'>;

function envelopeProblem(envelope: unknown, { slot, kind }: Place): string | undefined {
  if (!isList(envelope)) return 'it is no list';
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
  if (envelope.length > 10 && !(typeof trace === 'string' && isTrace(trace))) return 'the trace is malformed';
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

/** Whoever waits for it can be told that nothing will come of it. */
function callOf(envelope: unknown): number | undefined {
  if (!isList(envelope)) return undefined;
  const [op, , call] = envelope;
  return (op === inboundOp.call || op === inboundOp.read) && isNumber(call) ? call : undefined;
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
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

/** As `Clock#id` makes them, and longer. */
const idForm = /^[A-Za-z0-9_-]{1,64}$/;
/** As much as a token's subject may have. */
const userCharsMax = 256;
