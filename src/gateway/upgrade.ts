/**
 * From an HTTP request to a WebSocket: cheap checks first, the token last, nothing opened before all of them passed.
 *
 * Everything is read from the request before the first await, because it lives on the stack of this call; `Exchange`
 * has an abort handler attached by then, because uWebSockets ends the process without one.
 */
import type { HttpRequest, HttpResponse, us_socket_context_t } from 'uWebSockets.js';
import type { LogGate } from '../host/log-gate.ts';
import type { Phase } from '../host/phase.ts';
import { AppError, type ErrorBody } from '../protocol/errors.ts';
import { subprotocol } from '../protocol/messages.ts';
import { type Admission, bearerToken, protocolToken } from './admission.ts';
import type { Principal } from './auth.ts';
import type { SocketData } from './connection.ts';
import { Exchange, type ExchangeOptions } from './exchange.ts';
import type { Origins } from './origin.ts';

export interface UpgradeOptions {
  readonly phase: Phase;
  readonly origins: Origins;
  readonly admission: Admission;
  readonly queryToken: boolean;
  readonly socketsMax: number;
  /** Open sockets. */
  readonly sockets: () => number;
  readonly exchange: ExchangeOptions;
  readonly lines: LogGate;
  /** Calls have a request id also when the upgrade was given none. */
  readonly namesAll: boolean;
}

export type UpgradeHandler = (res: HttpResponse, req: HttpRequest, context: us_socket_context_t) => void;

export function upgradeHandler(options: UpgradeOptions): UpgradeHandler {
  /** Upgrades between their checks and their end; they count as sockets. */
  let waiting = 0;

  return (res, req, context) => {
    const exchange = new Exchange(res, req, options.exchange);
    const { requestId } = exchange;
    const refuse = (error: ErrorBody): void => {
      const { code, message } = error;
      options.lines.write('refused an upgrade', 'info', { requestId, code, reason: message }, 'refused an upgrade');
      exchange.fail(error);
    };
    const key = req.getHeader('sec-websocket-key');
    const extensions = req.getHeader('sec-websocket-extensions');
    const offered = req
      .getHeader('sec-websocket-protocol')
      .split(',')
      .map((protocol) => protocol.trim());
    const token =
      bearerToken(req.getHeader('authorization')) ??
      protocolToken(offered) ??
      (options.queryToken ? req.getQuery('token') : undefined);

    // RFC 6455, 4.2.1. Also a matter of safety: with `close` here, uWebSockets would close the socket and then upgrade it.
    const upgrades = /(^|,)\s*upgrade\s*(,|$)/i.test(req.getHeader('connection'));
    const refusal = upgrades ? refusalOf(req.getHeader('origin')) : notUpgrading;
    if (refusal !== undefined) return refuse(refusal);
    // uWebSockets speaks version 13 to whoever asks, also to drafts that mean something else.
    if (req.getHeader('sec-websocket-version') !== '13') {
      exchange.extraHeaders = [['Sec-WebSocket-Version', '13']];
      return refuse(wrongVersion);
    }
    const additions = offered.includes(subprotocol);
    const finish = (principal: Principal): void => {
      const named = options.namesAll || exchange.isNamed;
      const data: SocketData = { principal, additions, requestId: named ? requestId : '', connection: undefined };
      exchange.upgrade(data, key, additions ? subprotocol : '', extensions, context);
    };

    try {
      const admitted = options.admission.admit(token);
      if (!(admitted instanceof Promise)) return finish(admitted);
      waiting += 1;
      void admitted
        .then(finish, (error: unknown) => refuse(bodyOf(error)))
        .finally(() => {
          waiting -= 1;
        });
    } catch (error) {
      refuse(bodyOf(error));
    }
  };

  function refusalOf(origin: string): ErrorBody | undefined {
    const phase = options.phase.name;
    if (phase === 'starting') return starting;
    if (phase === 'draining') return draining;
    if (options.sockets() + waiting >= options.socketsMax) return full;
    if (!options.origins.allows(origin)) return new AppError('FORBIDDEN', 'Origin not allowed').toBody();
    return undefined;
  }
}

const notUpgrading: ErrorBody = new AppError('MALFORMED', 'A WebSocket needs the header Connection: Upgrade').toBody();
const wrongVersion: ErrorBody = new AppError('MALFORMED', 'Only WebSocket version 13 is spoken here').toBody();

/** The refusals of a whole process. */
export const starting: ErrorBody = new AppError('OVERLOADED', 'Starting', { retryAfterMs: 1000 }).toBody();
export const draining: ErrorBody = new AppError('DRAINING', 'Shutting down', { retryAfterMs: 1000 }).toBody();
export const full: ErrorBody = new AppError('OVERLOADED', 'Too many connections', { retryAfterMs: 5000 }).toBody();

/** What a client hears of an error on the way in. */
export function bodyOf(error: unknown): ErrorBody {
  return error instanceof AppError ? error.toBody() : new AppError('INTERNAL', 'Internal error').toBody();
}
