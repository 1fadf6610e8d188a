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
  /** Addition: idempotency key. The same key and arguments give the stored outcome. With `ack`: `<client>:<n>`. */
  key?: string;
  /**
   * Addition, for clients that number their calls: `key` is then `<client>:<n>`, with a name that the client made up at
   * random and n rising from 1, and the outcomes of all its calls to this actor up to `ack` have reached it or are wanted
   * no more. The server forgets those, and never runs a call to this actor numbered `ack` or below.
   */
  ack?: number;
  /** Addition: milliseconds for which the client still cares. */
  deadlineMs?: number;
  /** Addition: the caller's W3C trace context. One that is malformed is ignored. */
  traceparent?: string;
}

export interface SubscriptionMessage {
  type: 'state:sub' | 'state:unsub' | 'event:sub' | 'event:unsub';
  actor: string;
  actorId: string;
  /** Addition, with `sub`: where the client was; what it missed is sent, or a snapshot. */
  since?: StreamPosition;
}

/**
 * A place in the patches or events of one actor. `seq` rises by one with each; positions of different epochs cannot be
 * compared.
 */
export interface StreamPosition {
  epoch: string;
  seq: number;
}

/** Addition, as the first frame: go on with the session that the token stands for. Answered by a second `welcome`. */
export interface HelloMessage {
  type: 'hello';
  resumeToken: string;
}

/** Addition: a new token before the old one expires. Tenant and subject may not change. */
export interface AuthMessage {
  type: 'auth';
  token: string;
}

export type ClientMessage = HelloMessage | RpcMessage | SubscriptionMessage | AuthMessage | { type: 'ping' };

export type ServerMessage =
  | {
      type: 'welcome';
      clientId: string;
      /** Additions from here on. */
      sessionId?: string;
      /** What `hello` takes after a lost connection; a secret of this client. */
      resumeToken?: string;
      /** True when `hello` took the old session: same `clientId`, and no actor heard of the interruption. */
      resumed?: boolean;
      /** Milliseconds of silence after which a client that cannot see WebSocket pings should send `ping`. */
      heartbeatMs?: number;
      server?: string;
      limits?: { frameBytesMax: number; connectionCallsMax: number };
    }
  | ({ type: 'rpc:result'; id: string; result?: unknown; error?: string } & Partial<RpcResultAdditions>)
  | { type: 'event'; actor: string; actorId: string; event: string; payload: unknown; seq?: number }
  | ({ type: 'state:snapshot'; actor: string; actorId: string; state: unknown } & Partial<StreamPosition>)
  | ({ type: 'state:patch'; actor: string; actorId: string; patches: JsonPatchOp[] } & Partial<StreamPosition>)
  | { type: 'server:shutdown'; reason: string; reconnectInMs: number }
  /**
   * Additions from here on. `event:position` answers `event:sub` of an actor that keeps a history of events: what follows
   * comes after this position, missed events first. `gap`: some that were missed are not kept any more.
   */
  | ({ type: 'event:position'; actor: string; actorId: string; gap: boolean } & StreamPosition)
  /** `re` says what was refused. */
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

/** Close codes from 4000 on are ours; the rest are RFC 6455's. */
export const closeCodes = {
  normal: 1000,
  /** Only from clients: the line seems dead, they come back for their session. */
  lost: 4000,
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
  const { message, status: _, ...rest } = error;
  return JSON.stringify({ type: 'rpc:result', id, error: message, ...(additions ? rest : {}) });
}

/** `actorHead` is the shared start of every frame about one actor. */
export function actorHead(actor: string, actorId: string): string {
  return `"actor":${quote(actor)},"actorId":${quote(actorId)}`;
}

// A position is for clients with the additions; without one the frame is of the base set.

export function stateSnapshot(head: string, state: string, at: StreamPosition | undefined): string {
  return `{"type":"state:snapshot",${head},"state":${state}${positionText(at)}}`;
}

export function statePatch(head: string, patches: string, at: StreamPosition | undefined): string {
  return `{"type":"state:patch",${head},"patches":${patches}${positionText(at)}}`;
}

/** `seq` 0: for clients of the base set, and from actors that keep no history of events. */
export function eventMessage(head: string, event: string, payload: string, seq: number): string {
  const body = payload === '' ? '' : `,"payload":${payload}`;
  return `{"type":"event",${head},"event":${quote(event)}${body}${seq === 0 ? '' : `,"seq":${seq}`}}`;
}

function positionText(at: StreamPosition | undefined): string {
  return at === undefined ? '' : `,"epoch":"${at.epoch}","seq":${at.seq}`;
}

export function eventPosition(head: string, epoch: string, seq: number, gap: boolean): string {
  return `{"type":"event:position",${head},"epoch":"${epoch}","seq":${seq},"gap":${gap}}`;
}

/** Addition: a subscription was refused. */
export function subscriptionRefusal(type: string, actor: string, actorId: string, error: ErrorBody): string {
  const { code, message, retryable, retryAfterMs } = error;
  return JSON.stringify({ type: 'error', re: { type, actor, actorId }, code, message, retryable, retryAfterMs });
}
