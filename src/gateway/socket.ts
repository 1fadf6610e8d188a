/**
 * The life of a WebSocket, as uWebSockets tells it: open, message, dropped, close. Each message is decoded once, judged
 * here and handed to the intake; nothing is computed on this thread for a client beyond that.
 */
import type { WebSocket, WebSocketBehavior } from 'uWebSockets.js';
import type { Clock } from '../host/clock.ts';
import type { Phase } from '../host/phase.ts';
import { type ClientFrame, decodeFrame, type Rpc } from '../protocol/decode.ts';
import { AppError, type ErrorBody } from '../protocol/errors.ts';
import type { Limits } from '../protocol/limits.ts';
import { closeCodes, okResult } from '../protocol/messages.ts';
import { callRequestId, traceText } from '../protocol/trace.ts';
import type { Verify } from './auth.ts';
import type { CallLog } from './call-log.ts';
import { Connection, type SocketData } from './connection.ts';
import { HeldFrames, type WholeFrame } from './held-frames.ts';
import type { Intake } from './intake.ts';
import type { GatewayMeters } from './meters.ts';
import type { Outlet } from './outlet.ts';
import type { Waiter } from './pending.ts';
import type { Sessions } from './sessions.ts';
import { bodyOf, draining, type UpgradeHandler } from './upgrade.ts';

export interface SocketOptions {
  readonly sessions: Sessions;
  readonly intake: Intake;
  readonly outlet: Outlet;
  readonly upgrade: UpgradeHandler;
  readonly verify: Verify;
  readonly phase: Phase;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly meters: GatewayMeters;
  /** At level `debug` only. */
  readonly callLog: CallLog | undefined;
}

type Subscription = Extract<ClientFrame, { kind: 'subscription' }>;

export function socketBehavior(options: SocketOptions): WebSocketBehavior<SocketData> {
  const { sessions, intake, outlet, phase, limits, clock, meters, callLog } = options;
  const isLimited = limits.messagesPerSecond > 0;
  return {
    upgrade: options.upgrade,
    // uWebSockets drops the line on larger messages without a close frame (1006). Up to twice the bound we still read
    // them and can say 1009.
    maxPayloadLength: limits.frameBytesMax * 2,
    // Our own check ends slow readers at socketBufferBytesMax. This one is behind it, with room for what one turn may
    // add at once, because past it even the close frame would be dropped.
    maxBackpressure: limits.socketBufferBytesMax * 2 + Math.max(limits.stateBytesMax, limits.resultBytesMax),
    idleTimeout: limits.socketIdleS,
    sendPingsAutomatically: true,

    open(ws) {
      const data = ws.getUserData();
      const session = intake.openSession(data.principal, 'ws', data.additions);
      const connection = new Connection(ws, session, limits, clock.monotonic(), meters);
      data.connection = connection;
      sessions.open(connection);
      callLog?.connected(connection);
    },

    message(ws, bytes, isBinary) {
      const connection = connectionOf(ws);
      if (connection === undefined || !connection.open) return;
      meters.received(bytes.byteLength);
      if (bytes.byteLength > limits.frameBytesMax) return connection.end(closeCodes.tooBig, 'frame too big');
      if (isBinary) return breakOff(connection, 'Frames must be text');
      const text = utf8.decode(bytes);
      const frame = connection.calls.decode(text, limits.depthMax) ?? decodeFrame(text, limits.depthMax);
      handle(connection, frame, text.length);
    },

    ping: heard,
    pong: heard,

    dropped(ws) {
      connectionOf(ws)?.lost();
    },

    close(ws, code) {
      meters.closed(code);
      const connection = connectionOf(ws);
      if (connection === undefined) return;
      connection.closed();
      callLog?.disconnected(connection, code);
      sessions.closed(connection, code);
    },
  };

  function handle(connection: Connection, frame: ClientFrame, chars: number): void {
    connection.frames += 1;
    if (connection.frames === 2) sessions.proven(connection);
    if (frame.kind === 'broken') return breakOff(connection, frame.message);
    const retryAfterMs = isLimited ? connection.throttle(clock.monotonic()) : 0;
    if (retryAfterMs > 0) return refuse(connection, frame, rateLimited(retryAfterMs));
    if (connection.held === undefined) return follow(connection, frame, chars);
    if (!connection.held.add(frame, chars)) breakOff(connection, 'Too much was sent before the answer to hello');
  }

  function follow(connection: Connection, frame: WholeFrame, chars: number): void {
    // For base clients these do not exist, as any other unknown type.
    if (!connection.additions && additionKinds.has(frame.kind)) return;
    switch (frame.kind) {
      case 'rpc':
        return call(connection, frame, chars);
      case 'subscription':
        return subscribe(connection, frame);
      case 'hello':
        return resume(connection, frame.resumeToken);
      case 'auth':
        void renew(connection, frame.token);
        return;
      case 'ping':
        return connection.sendMessage({ type: 'pong' });
      case 'refused-rpc':
        return connection.send(connection.errorText(frame.id, frame.error));
      case 'refused':
        return connection.sendRefusal(frame.re, frame.error);
      case 'ignored':
        return;
    }
  }

  /** The client comes back for the session that it had before. What it sends until that is settled is held, in order. */
  function resume(connection: Connection, resumeToken: string): void {
    if (connection.frames > 1) return connection.sendRefusal({ type: 'hello' }, lateHello);
    const waits = sessions.resume(connection, resumeToken, () => {
      const frames = connection.held?.values() ?? [];
      connection.held = undefined;
      for (const { frame, chars } of frames) if (connection.open) follow(connection, frame, chars);
    });
    if (waits) connection.held = new HeldFrames(limits.connectionCallsMax, limits.socketBufferBytesMax);
  }

  function call(connection: Connection, frame: Rpc, chars: number): void {
    const { id, actor, actorId, method, key, deadlineMs, input } = frame;
    const ack = connection.additions ? frame.ack : -1;
    const refusal =
      phase.name === 'draining'
        ? draining
        : intake.call(
            connection.session,
            { actor, actorId, method, key, ack, deadlineMs, input, chars, trace: traceOf(connection, frame) },
            new RpcWaiter(connection, id, outlet),
          );
    if (refusal !== undefined) connection.send(connection.errorText(id, refusal));
  }

  function subscribe(connection: Connection, frame: Subscription): void {
    const { actor, actorId, stream } = frame;
    if (!frame.on) return intake.unsubscribe(connection.session, actor, actorId, stream);
    const since = connection.additions ? frame.since : undefined;
    const refusal =
      phase.name === 'draining' ? draining : intake.subscribe(connection.session, actor, actorId, stream, since);
    if (refusal !== undefined) refuse(connection, frame, refusal);
  }

  /** A new token for the old one. What shards were told of the session stays; only its end moves. */
  async function renew(connection: Connection, token: string): Promise<void> {
    try {
      const principal = await options.verify(token);
      const { tenant, userId } = principal;
      const { info } = connection.session;
      if (tenant !== info.tenant || userId !== info.userId)
        return connection.end(closeCodes.forbidden, 'other subject');
      connection.principal = principal;
      connection.sendMessage({ type: 'auth:ok' });
    } catch (error) {
      connection.sendRefusal({ type: 'auth' }, bodyOf(error));
    }
  }
}

/** uWebSockets has checked that it is UTF-8. */
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

const additionKinds: ReadonlySet<ClientFrame['kind']> = new Set(['hello', 'auth', 'ping']);

/** A call over a socket is named by its connection's id and its own. */
function traceOf({ requestId, additions }: Connection, { id, traceparent }: Rpc): string {
  return traceText(requestId === '' ? '' : callRequestId(requestId, id), additions ? traceparent : '');
}

/** uWebSockets answers pings itself, also those of a client that reads no answer. */
function heard(ws: WebSocket<SocketData>): void {
  const connection = connectionOf(ws);
  if (connection === undefined) return;
  connection.controls += 1;
  connection.endIfSlow();
}

function connectionOf(ws: WebSocket<SocketData>): Connection | undefined {
  return ws.getUserData().connection;
}

/** A client that does not speak the protocol. */
function breakOff(connection: Connection, message: string): void {
  connection.sendRefusal(undefined, new AppError('MALFORMED', message).toBody());
  connection.end(closeCodes.malformed, 'malformed');
}

const lateHello = new AppError('MALFORMED', 'hello must be the first frame').toBody();

function rateLimited(retryAfterMs: number): ErrorBody {
  return new AppError('RATE_LIMITED', 'Too many messages', { retryAfterMs }).toBody();
}

/** Says no to a frame in the way that its kind has for that. */
function refuse(connection: Connection, frame: ClientFrame, error: ErrorBody): void {
  if (frame.kind === 'rpc' || frame.kind === 'refused-rpc') {
    connection.send(connection.errorText(frame.id, error));
  } else if (frame.kind === 'subscription') {
    const { type, actor, actorId } = frame;
    connection.sendRefusal({ type, actor, actorId }, error);
  } else if (frame.kind === 'hello') {
    connection.sendRefusal({ type: frame.kind }, error);
  } else if (frame.kind === 'refused') connection.sendRefusal(frame.re, error);
}

/** Answers the connection that the call came in on. When that is gone the answer is dropped: the client asks again by key. */
class RpcWaiter implements Waiter {
  readonly #connection: Connection;
  readonly #id: string;
  readonly #outlet: Outlet;

  constructor(connection: Connection, id: string, outlet: Outlet) {
    this.#connection = connection;
    this.#id = id;
    this.#outlet = outlet;
  }

  ok(result: string, durable: boolean): void {
    const additions = this.#connection.additions ? { durable } : undefined;
    this.#outlet.queue(this.#connection, okResult(this.#id, result, additions));
  }

  failed(error: ErrorBody): void {
    this.#outlet.queue(this.#connection, this.#connection.errorText(this.#id, error));
  }
}
