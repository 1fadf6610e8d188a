/**
 * The wire: every JSON text frame between a client and a gateway, told apart by `type`.
 *
 * The base set is the one that Zocket clients speak (zocket.io, core/protocol); fields and frames marked "addition" are
 * sent only to clients that asked for the subprotocol `fermata.v1`, and unknown fields and types are ignored by both sides.
 */
import type { ErrorBody } from './errors.ts';
import type { JsonPatchOp } from './json-patch.ts';
import { quote } from './json-text.ts';

/** Subprotocol that turns the additions on. */
export const subprotocol = 'fermata.v1';
/** Browsers cannot set headers: they offer the token as a second subprotocol, `bearer.<token>`. */
export const bearerProtocolPrefix = 'bearer.';

export interface RpcMessage {
  type: 'rpc';
  id: string;
  actor: string;
  actorId: string;
  method: string;
  input?: unknown;
  /** Addition: idempotency key. The same key and arguments give the stored outcome. */
  key?: string;
  /** Addition: milliseconds for which the client still cares. */
  deadlineMs?: number;
}

export interface SubscriptionMessage {
  type: 'state:sub' | 'state:unsub' | 'event:sub' | 'event:unsub';
  actor: string;
  actorId: string;
}

/** Addition: a new token before the old one expires. Tenant and subject may not change. */
export interface AuthMessage {
  type: 'auth';
  token: string;
}

export type ClientMessage = RpcMessage | SubscriptionMessage | AuthMessage | { type: 'ping' };

export type ServerMessage =
  | {
      type: 'welcome';
      clientId: string;
      server?: string;
      limits?: { frameBytesMax: number; connectionCallsMax: number };
    }
  | ({ type: 'rpc:result'; id: string; result?: unknown; error?: string } & Partial<RpcResultAdditions>)
  | { type: 'event'; actor: string; actorId: string; event: string; payload: unknown }
  | { type: 'state:snapshot'; actor: string; actorId: string; state: unknown }
  | { type: 'state:patch'; actor: string; actorId: string; patches: JsonPatchOp[] }
  | { type: 'server:shutdown'; reason: string; reconnectInMs: number }
  /** Additions from here on. `re` says what was refused. */
  | ({ type: 'error'; re?: { type: string; actor?: string; actorId?: string } } & Omit<ErrorBody, 'outcome'>)
  | { type: 'auth:ok' }
  | { type: 'pong' };

export interface RpcResultAdditions {
  outcome: 'ok' | ErrorBody['outcome'];
  code: string;
  retryable: boolean;
  retryAfterMs: number;
  /** True when the outcome was fsynced before this was sent; false for `process` and `memory` actors. */
  durable: boolean;
}

/** Close codes above 4000 are ours; the rest are RFC 6455's. */
export const closeCodes = {
  normal: 1000,
  tooBig: 1009,
  restart: 1012,
  malformed: 4400,
  unauthorized: 4401,
  forbidden: 4403,
  tooSlow: 4408,
  rateLimited: 4429,
} as const;

// Builders of the frames that are assembled from ready-made JSON text, so that nothing is parsed or serialised twice.

/** `result` is JSON text, or '' when the handler returned undefined. */
export function okResult(id: string, result: string, additions: { durable: boolean } | undefined): string {
  const head = `{"type":"rpc:result","id":${quote(id)}`;
  const body = result === '' ? head : `${head},"result":${result}`;
  return additions === undefined ? `${body}}` : `${body},"outcome":"ok","durable":${additions.durable}}`;
}

/** Base clients get the message as a string; clients with the additions get the code and what to do next as well. */
export function errorResult(id: string | number | null, error: ErrorBody, additions: boolean): string {
  const { message, ...rest } = error;
  return JSON.stringify({ type: 'rpc:result', id, error: message, ...(additions ? rest : {}) });
}

/** `actorHead` is the shared start of every frame about one actor. */
export function actorHead(actor: string, actorId: string): string {
  return `"actor":${quote(actor)},"actorId":${quote(actorId)}`;
}

export function stateSnapshot(head: string, state: string): string {
  return `{"type":"state:snapshot",${head},"state":${state}}`;
}

export function statePatch(head: string, patches: string): string {
  return `{"type":"state:patch",${head},"patches":${patches}}`;
}

export function eventMessage(head: string, event: string, payload: string): string {
  return `{"type":"event",${head},"event":${quote(event)}${payload === '' ? '' : `,"payload":${payload}`}}`;
}

/** Addition: a subscription was refused. */
export function subscriptionRefusal(type: string, actor: string, actorId: string, error: ErrorBody): string {
  const { code, message, retryable } = error;
  return JSON.stringify({ type: 'error', re: { type, actor, actorId }, code, message, retryable });
}
