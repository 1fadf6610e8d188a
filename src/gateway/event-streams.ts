/**
 * `GET /v1/actors/:type/:id/events`: opens event streams, and cares for those that are open.
 *
 * A stream has a session of its own, as a WebSocket has, and counts as a socket. Its session is connected to the actor, so
 * that who watches is present, and ends with the stream.
 */
import type { Clock } from '../host/clock.ts';
import type { Phase } from '../host/phase.ts';
import { AppError, type ErrorBody } from '../protocol/errors.ts';
import { epochCharsMax, type Limits } from '../protocol/limits.ts';
import type { StreamPosition } from '../protocol/messages.ts';
import type { Admission } from './admission.ts';
import type { Principal } from './auth.ts';
import type { CallLog } from './call-log.ts';
import { EventFrames } from './event-frames.ts';
import { EventStream } from './event-stream.ts';
import type { Exchange } from './exchange.ts';
import type { Intake } from './intake.ts';
import type { GatewayMeters } from './meters.ts';
import type { Sessions } from './sessions.ts';
import { bodyOf, draining, full } from './upgrade.ts';

export interface EventStreamsOptions {
  readonly admission: Admission;
  readonly sessions: Sessions;
  readonly intake: Intake;
  readonly phase: Phase;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly meters: GatewayMeters;
  /** Open sockets, streams included. */
  readonly sockets: () => number;
  /** At level `debug` only. */
  readonly callLog: CallLog | undefined;
}

/** What a request asks for, read before anything waits. */
export interface EventsAsk {
  readonly actor: string;
  readonly actorId: string;
  readonly token: string | undefined;
  /** The header; '' without. */
  readonly lastEventId: string;
  /** `?state=`, undefined without. */
  readonly state: string | undefined;
}

export class EventStreams {
  readonly #options: EventStreamsOptions;
  readonly #frames = new EventFrames();
  readonly #streams = new Set<EventStream>();

  constructor(options: EventStreamsOptions) {
    this.#options = options;
  }

  /** Answers the exchange, sooner or later. */
  open(exchange: Exchange, ask: EventsAsk): void {
    const since = placeOf(ask.lastEventId);
    if (since === 'malformed') return exchange.fail(malformed('Last-Event-ID must be an id that this server gave'));
    if (ask.state !== undefined && ask.state !== '1') return exchange.fail(malformed('state must be 1, or left out'));
    const go = (principal: Principal): void => this.#begin(exchange, principal, ask, since);
    const refuse = (error: unknown): void => exchange.fail(bodyOf(error));
    try {
      const admitted = this.#options.admission.admit(ask.token);
      if (admitted instanceof Promise) void admitted.then(go, refuse);
      else go(admitted);
    } catch (error) {
      refuse(error);
    }
  }

  /** Called once per second. */
  keepAlive(): void {
    for (const stream of this.#streams) stream.keepAlive();
  }

  /** Called once per second, where a shard may be nowhere: ends those that have waited for it for so long. */
  endUnaccepted(msMax: number): void {
    for (const stream of this.#streams) if (stream.waitedS * 1000 >= msMax) stream.leaveTopic();
  }

  /** Whoever served the shard does so no more: its streams end, and their clients come back with the place where they were. */
  shardLost(shard: number): void {
    for (const stream of this.#streams) if (stream.session.shards.has(shard)) stream.leaveTopic();
  }

  #begin(exchange: Exchange, principal: Principal, ask: EventsAsk, since: StreamPosition | undefined): void {
    const { phase, sockets, limits, intake, sessions, clock, meters, callLog } = this.#options;
    // Nobody waits any more, and nothing was started.
    if (!exchange.open) return;
    if (phase.name === 'draining') return exchange.fail(draining);
    if (sockets() >= limits.socketsMax) return exchange.fail(full);
    const session = intake.openSession(principal, 'sse', true);
    const withState = ask.state !== undefined;
    const retryMs = retryMsMin + Math.floor(clock.random() * retryMsMin);
    const onEnd = (ended: EventStream, code: number): void => {
      this.#streams.delete(ended);
      sessions.closed(ended, code);
      callLog?.disconnected(ended, code);
    };
    const own = { exchange, session, principal, withState, since, retryMs };
    const stream = new EventStream({ ...own, frames: this.#frames, limits, meters, onEnd });
    this.#streams.add(stream);
    sessions.open(stream);
    callLog?.connected(stream);
    const { actor, actorId } = ask;
    const refusal =
      (withState ? intake.subscribe(session, actor, actorId, 'state', undefined) : undefined) ??
      intake.subscribe(session, actor, actorId, 'event', since);
    if (refusal !== undefined) stream.refuse(refusal);
  }
}

/** Each stream's own is up to twice that, so that not all come back at once. */
const retryMsMin = 1000;

function placeOf(lastEventId: string): StreamPosition | undefined | 'malformed' {
  if (lastEventId === '') return undefined;
  const [, epoch = '', digits = ''] = /^([\w-]+):(\d{1,16})$/.exec(lastEventId) ?? [];
  const seq = Number(digits);
  const isPlace = epoch !== '' && epoch.length <= epochCharsMax && Number.isSafeInteger(seq);
  return isPlace ? { epoch, seq } : 'malformed';
}

function malformed(message: string): ErrorBody {
  return new AppError('MALFORMED', message).toBody();
}
