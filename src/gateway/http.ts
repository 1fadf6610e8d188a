/**
 * The HTTP routes: calls, states and events of actors, who one is, health and readiness, and in development the pages.
 *
 *   request ── Origin, route, method ──▶ body ──▶ principal ──▶ intake ┄┄ shard ┄┄▶ waiter ──▶ answer
 *
 * One handler takes every path, so that a wrong method is 405 and a wrong path 404, both with all headers. Paths are
 * split before they are decoded: an id may hold `/` as `%2F`, and `..` means nothing.
 */
import type { HttpRequest, HttpResponse } from 'uWebSockets.js';
import type { Phase } from '../host/phase.ts';
import { keyProblem } from '../protocol/address.ts';
import { actorProblem, methodProblem } from '../protocol/decode.ts';
import { AppError, type ErrorBody } from '../protocol/errors.ts';
import type { Limits } from '../protocol/limits.ts';
import { parseJson } from '../protocol/safe-json.ts';
import { parseTraceparent, traceText } from '../protocol/trace.ts';
import { type Admission, bearerToken } from './admission.ts';
import type { Principal } from './auth.ts';
import type { EventStreams } from './event-streams.ts';
import { Exchange, type ExchangeOptions } from './exchange.ts';
import { corsHeaders, pageHeaders, preflightHeaders } from './headers.ts';
import { CallWaiter, ReadWaiter } from './http-waiters.ts';
import type { Intake } from './intake.ts';
import type { Origins } from './origin.ts';
import type { Principals } from './principals.ts';
import { allowedMethods, findRoute, type Route } from './routes.ts';
import type { Session } from './session.ts';
import { bodyOf, draining, starting } from './upgrade.ts';

/** A page of the development server, or undefined when there is none at this path. */
export type DevFiles = (path: string) => { type: string; body: string | Buffer } | undefined;

export interface HttpOptions {
  readonly phase: Phase;
  readonly origins: Origins;
  readonly admission: Admission;
  readonly intake: Intake;
  readonly principals: Principals;
  readonly eventStreams: EventStreams;
  readonly limits: Limits;
  readonly devFiles: DevFiles | undefined;
  readonly exchange: ExchangeOptions;
}

type ActorRoute = Extract<Route, { kind: 'actor' }>;

export function httpHandler(options: HttpOptions): (res: HttpResponse, req: HttpRequest) => void {
  const { phase, origins, admission, intake, principals, limits } = options;

  return (res, req) => {
    const exchange = new Exchange(res, req, options.exchange);
    const origin = req.getHeader('origin');
    if (!origins.allows(origin)) return exchange.fail(forbidden('Origin not allowed'));
    if (!origins.allowsHost(req.getHeader('host'))) return exchange.fail(forbidden('Host not allowed'));
    exchange.extraHeaders = corsHeaders(origin);
    const { method, path } = exchange;
    const route = findRoute(path);
    if (route.kind === 'malformed') return exchange.fail(new AppError('MALFORMED', route.message).toBody());
    const page =
      route.kind === 'unknown' && (method === 'get' || method === 'head') ? options.devFiles?.(path) : undefined;
    if (page !== undefined) return exchange.answer(200, page.body, [...pageHeaders, ['Content-Type', page.type]]);
    if (route.kind === 'unknown') return exchange.fail(new AppError('UNKNOWN_ROUTE', 'Unknown route').toBody());
    if (method === 'options') return exchange.json(204, '', [...preflightHeaders, ['Allow', allowedMethods(route)]]);
    if (!isAllowed(route, method)) return wrongMethod(exchange, route);
    switch (route.kind) {
      case 'health':
        return exchange.json(phase.healthy ? 200 : 503, `{"status":"${phase.health}"}`);
      case 'ready':
        return exchange.json(
          phase.takesTraffic ? 200 : 503,
          `{"status":"${phase.impaired ? 'impaired' : phase.name}"}`,
        );
      case 'socket':
        return exchange.fail(new AppError('MALFORMED', 'This route takes WebSocket upgrades').toBody(), {
          status: 426,
          headers: [['Upgrade', 'websocket']],
        });
      case 'auth':
        return authRequest(exchange, bearerToken(req.getHeader('authorization')));
      case 'actor':
        return actorRequest(exchange, req, route);
    }
  };

  /**
   * `GET /v1/auth`: 200 `{"tenant":…,"userId":…}` when the token in `Authorization` is good, else the refusal that an
   * upgrade would get, 401, 403 or 503. Browsers do not tell a page why its WebSocket was refused; it can ask here.
   */
  function authRequest(exchange: Exchange, token: string | undefined): void {
    const answer = ({ tenant, userId }: Principal): void => exchange.json(200, JSON.stringify({ tenant, userId }));
    const refuse = (error: unknown): void => exchange.fail(bodyOf(error));
    const refusal = phaseRefusal(phase);
    if (refusal !== undefined) return exchange.fail(refusal);
    try {
      const admitted = admission.admit(token);
      if (admitted instanceof Promise) void admitted.then(answer, refuse);
      else answer(admitted);
    } catch (error) {
      refuse(error);
    }
  }

  function actorRequest(exchange: Exchange, req: HttpRequest, route: ActorRoute): void {
    const refusal = refusalOf(route, req.getHeader('idempotency-key'));
    if (refusal !== undefined) return exchange.fail(refusal);
    const token = bearerToken(req.getHeader('authorization'));
    if (exchange.method !== 'post' && route.method === 'events') {
      const { actor, actorId } = route;
      const lastEventId = req.getHeader('last-event-id');
      return options.eventStreams.open(exchange, { actor, actorId, token, lastEventId, state: req.getQuery('state') });
    }
    if (exchange.method !== 'post') {
      const etags = req.getHeader('if-none-match');
      return withSession(exchange, token, (session) => {
        const waiter = new ReadWaiter(exchange, etags);
        return intake.read(session, route.actor, route.actorId, waiter);
      });
    }
    const key = req.getHeader('idempotency-key');
    // Its caller is told the request id, so that it must be found in the log, also one that was made here.
    const trace = traceText(exchange.requestId, parseTraceparent(req.getHeader('traceparent')));
    exchange.readBody(limits.frameBytesMax, (body) => {
      withSession(exchange, token, (session) => {
        const input = inputOf(body, limits.depthMax);
        if (input.kind === 'refused') return new AppError('MALFORMED', input.message).toBody();
        const call = { ...route, key, ack: -1, deadlineMs: 0, input: input.value, chars: body.length, trace };
        return intake.call(session, call, new CallWaiter(exchange));
      });
    });
  }

  /** What can be said before anybody is asked who they are. */
  function refusalOf(route: ActorRoute, key: string): ErrorBody | undefined {
    const refusal = phaseRefusal(phase);
    if (refusal !== undefined) return refusal;
    const { actor, actorId, method } = route;
    const problem = actorProblem(actor, actorId) ?? methodProblem(method);
    if (problem !== undefined) return new AppError(problem.code, problem.message).toBody();
    const wrongKey = key === '' ? undefined : keyProblem(key);
    if (wrongKey !== undefined) return new AppError('MALFORMED', wrongKey).toBody();
    return undefined;
  }

  /** `ask` gives the refusal, or undefined when the exchange will be answered by a waiter. */
  function withSession(
    exchange: Exchange,
    token: string | undefined,
    ask: (session: Session) => ErrorBody | undefined,
  ): void {
    const go = (session: Session): void => {
      // Nobody waits any more, and nothing was started.
      if (!exchange.open) return;
      const refusal = phase.name === 'draining' ? draining : ask(session);
      if (refusal !== undefined) exchange.fail(refusal);
    };
    try {
      void principals.withSession(token, go)?.catch((error: unknown) => exchange.fail(bodyOf(error)));
    } catch (error) {
      exchange.fail(bodyOf(error));
    }
  }
}

function phaseRefusal(phase: Phase): ErrorBody | undefined {
  if (phase.name === 'starting') return starting;
  return phase.name === 'draining' ? draining : undefined;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The JSON value of a body; an empty body is no input. */
function inputOf(
  body: Buffer,
  depthMax: number,
): { kind: 'value'; value: unknown } | { kind: 'refused'; message: string } {
  if (body.length === 0) return { kind: 'value', value: undefined };
  try {
    const parsed = parseJson(utf8.decode(body), depthMax);
    return parsed.kind === 'syntax' ? { kind: 'refused', message: 'The body must be JSON' } : parsed;
  } catch {
    return { kind: 'refused', message: 'The body must be UTF-8' };
  }
}

function forbidden(message: string): ErrorBody {
  return new AppError('FORBIDDEN', message).toBody();
}

function isAllowed(route: Route, method: string): boolean {
  return allowedMethods(route).split(', ').includes(method.toUpperCase());
}

function wrongMethod(exchange: Exchange, route: Route): void {
  const error = new AppError('MALFORMED', 'Method not allowed').toBody();
  exchange.fail(error, { status: 405, headers: [['Allow', allowedMethods(route)]] });
}
