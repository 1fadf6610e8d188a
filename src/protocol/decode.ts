/**
 * Makes a typed frame of a client's text, or says exactly what is wrong with it. One of the two places where `unknown`
 * becomes a type.
 *
 * Invariants: the text is parsed once · nesting is measured before that, so that hostile depth costs one linear scan ·
 * no value with an own `__proto__` key leaves here · an rpc whose id can be read is always answered, never dropped.
 * Which actors and methods exist is not known here: legal names pass, illegal ones are unknown by definition.
 */
import { actorIdProblem, isName, keyProblem, parseNumberedKey } from './address.ts';
import type { Stream } from './envelope.ts';
import { AppError, type ErrorBody, type ErrorCode } from './errors.ts';
import { callIdCharsMax, epochCharsMax } from './limits.ts';
import type { StreamPosition } from './messages.ts';
import { parseJson, shallowCopy } from './safe-json.ts';
import { parseTraceparent } from './trace.ts';

/** What a client put into `id`, for the answer; null when it is neither text nor number. */
export type CallId = string | number | null;

export type ClientFrame =
  | {
      readonly kind: 'rpc';
      readonly id: string;
      readonly actor: string;
      readonly actorId: string;
      readonly method: string;
      readonly input: unknown;
      /** '' without. */
      readonly key: string;
      /** -1 when the client does not number its calls. */
      readonly ack: number;
      /** 0 without. */
      readonly deadlineMs: number;
      /** '' without one, or with one that is malformed. */
      readonly traceparent: string;
    }
  | {
      readonly kind: 'subscription';
      readonly type: string;
      readonly on: boolean;
      readonly stream: Stream;
      readonly actor: string;
      readonly actorId: string;
      readonly since: StreamPosition | undefined;
    }
  | { readonly kind: 'hello'; readonly resumeToken: string }
  | { readonly kind: 'auth'; readonly token: string }
  | { readonly kind: 'ping' }
  /** An unknown type: newer clients may send more than this server knows. */
  | { readonly kind: 'ignored' }
  | { readonly kind: 'refused-rpc'; readonly id: CallId; readonly error: ErrorBody }
  | { readonly kind: 'refused'; readonly re: Refused; readonly error: ErrorBody }
  /** No JSON object at all: the connection cannot be trusted to speak the protocol. */
  | { readonly kind: 'broken'; readonly message: string };

export type Rpc = Extract<ClientFrame, { kind: 'rpc' }>;

/** The frame that an `error` is about. */
export interface Refused {
  readonly type: string;
  readonly actor?: string;
  readonly actorId?: string;
}

export function decodeFrame(text: string, depthMax: number): ClientFrame {
  const parsed = parseJson(text, depthMax);
  if (parsed.kind === 'syntax') return { kind: 'broken', message: 'A frame must be JSON text' };
  const message = parsed.kind === 'value' ? parsed.value : shallowCopy(text);
  if (!isObject(message)) return { kind: 'broken', message: 'A frame must be a JSON object' };
  if (parsed.kind === 'refused') return refuse(message, 'MALFORMED', parsed.message);
  switch (message['type']) {
    case 'rpc':
      return decodeRpc(message);
    case 'state:sub':
      return decodeSubscription(message, message['type'], true, 'state');
    case 'state:unsub':
      return decodeSubscription(message, message['type'], false, 'state');
    case 'event:sub':
      return decodeSubscription(message, message['type'], true, 'event');
    case 'event:unsub':
      return decodeSubscription(message, message['type'], false, 'event');
    case 'hello':
      return decodeHello(message);
    case 'auth':
      return decodeAuth(message);
    case 'ping':
      return { kind: 'ping' };
    default:
      return { kind: 'ignored' };
  }
}

type JsonObject = Record<string, unknown>;

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function decodeRpc(message: JsonObject): ClientFrame {
  const { id, actor, actorId, method, key, ack, deadlineMs, traceparent } = message;
  if (typeof id !== 'string') return refuse(message, 'MALFORMED', 'id must be a string');
  if (id.length > callIdCharsMax) {
    return refuse(message, 'MALFORMED', `id must have at most ${callIdCharsMax} characters, this one has ${id.length}`);
  }
  const problem = actorProblem(actor, actorId) ?? methodProblem(method);
  if (problem !== undefined) return refuse(message, problem.code, problem.message);
  const wrongOption = optionsProblem(key, ack, deadlineMs);
  if (wrongOption !== undefined) return refuse(message, 'MALFORMED', wrongOption);
  return {
    kind: 'rpc',
    id,
    actor: actor as string,
    actorId: actorId as string,
    method: method as string,
    input: message['input'],
    key: key === undefined ? '' : (key as string),
    ack: ack === undefined ? -1 : (ack as number),
    deadlineMs: wholeMs(deadlineMs as number | undefined),
    traceparent: parseTraceparent(traceparent),
  };
}

/** What is wrong with what a call may have beside its input. */
export function optionsProblem(key: unknown, ack: unknown, deadlineMs: unknown): string | undefined {
  const wrongKey = key === undefined ? undefined : keyProblem(key);
  if (wrongKey !== undefined) return wrongKey;
  const wrongAck = ack === undefined ? undefined : ackProblem(key, ack);
  if (wrongAck !== undefined) return wrongAck;
  if (deadlineMs === undefined || (Number.isFinite(deadlineMs) && Number(deadlineMs) > 0)) return undefined;
  return 'deadlineMs must be a number above 0';
}

/** A deadline as a timer can hold it; 0 for none. */
export function wholeMs(deadlineMs: number | undefined): number {
  return deadlineMs === undefined ? 0 : Math.min(Math.ceil(deadlineMs), deadlineMsMax);
}

/** The longest wait that a timer can hold: 2^31 - 1 ms, 24.8 days. */
const deadlineMsMax = 0x7fff_ffff;

function decodeSubscription(message: JsonObject, type: string, on: boolean, stream: Stream): ClientFrame {
  const { actor, actorId } = message;
  const problem = actorProblem(actor, actorId);
  if (problem !== undefined) return refuse(message, problem.code, problem.message);
  const since = on ? positionOf(message['since']) : undefined;
  if (since === null) {
    return refuse(message, 'MALFORMED', 'since must be {"epoch": text, "seq": whole number of 0 or more}');
  }
  return { kind: 'subscription', type, on, stream, actor: actor as string, actorId: actorId as string, since };
}

/** Undefined when there is none, null when it is wrong. */
function positionOf(since: unknown): StreamPosition | undefined | null {
  if (since === undefined) return undefined;
  if (!isObject(since)) return null;
  const { epoch, seq } = since;
  if (typeof epoch !== 'string' || epoch.length > epochCharsMax || !isCount(seq)) return null;
  return { epoch, seq };
}

function decodeHello(message: JsonObject): ClientFrame {
  const { resumeToken } = message;
  return typeof resumeToken === 'string'
    ? { kind: 'hello', resumeToken }
    : refuse(message, 'MALFORMED', 'resumeToken must be a string');
}

/** What is wrong with the numbering of a call. */
function ackProblem(key: unknown, ack: unknown): string | undefined {
  if (!isCount(ack)) return 'ack must be a whole number of 0 or more';
  const numbered = typeof key === 'string' ? parseNumberedKey(key) : undefined;
  if (numbered === undefined) return 'with ack, key must be "<client>:<n>": 8 to 64 of A-Z a-z 0-9 _ -, and a number';
  return numbered.n > ack ? undefined : `the call is numbered ${numbered.n}, and ack ${ack} says that it has ended`;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function decodeAuth(message: JsonObject): ClientFrame {
  const { token } = message;
  return typeof token === 'string' ? { kind: 'auth', token } : refuse(message, 'MALFORMED', 'token must be a string');
}

export interface Problem {
  readonly code: ErrorCode;
  readonly message: string;
}

/** What is wrong with an actor's name and id. A name that no actor can have is an unknown one. */
export function actorProblem(actor: unknown, actorId: unknown): Problem | undefined {
  if (typeof actor !== 'string') return { code: 'MALFORMED', message: 'actor must be a string' };
  const legal: boolean = isName(actor);
  if (!legal) return { code: 'UNKNOWN_ACTOR', message: `Unknown actor: ${actor}` };
  const problem = actorIdProblem(actorId);
  return problem === undefined ? undefined : { code: 'MALFORMED', message: problem };
}

export function methodProblem(method: unknown): Problem | undefined {
  if (typeof method !== 'string') return { code: 'MALFORMED', message: 'method must be a string' };
  const legal: boolean = isName(method);
  return legal ? undefined : { code: 'UNKNOWN_METHOD', message: `Unknown method: ${method}` };
}

function refuse(message: JsonObject, code: ErrorCode, text: string): ClientFrame {
  const error = new AppError(code, text).toBody();
  const { type, id, actor, actorId } = message;
  if (type === 'rpc') {
    return { kind: 'refused-rpc', id: typeof id === 'string' || Number.isFinite(id) ? (id as CallId) : null, error };
  }
  if (typeof type !== 'string') return { kind: 'ignored' };
  const re = {
    type,
    ...(typeof actor === 'string' ? { actor } : {}),
    ...(typeof actorId === 'string' ? { actorId } : {}),
  };
  return { kind: 'refused', re, error };
}
