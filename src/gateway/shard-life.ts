/**
 * What becomes of sessions, subscriptions and calls here when the other end of a shard changes.
 *
 *   one process:        shardLost ─▶ its calls end `unknown`, new ones are refused ─▶ shardBack
 *   several processes:  onTurnover ─▶ the newcomer is told who is here; calls under way are its now
 *                       onLost ─▶ calls under way end `unknown` ─▶ onTurnover
 *
 * In one process main says so. Over a link to other processes the link does; there nobody may ever answer, and a call that
 * is too old ends `unknown` as well.
 *
 * Invariant: while the handler of a turnover runs nothing is sent but what the newcomer is told, ended by `present`.
 */
import type { Clock } from '../host/clock.ts';
import type { Logger } from '../host/log.ts';
import type { LogGate } from '../host/log-gate.ts';
import { type Sample, sample } from '../host/meters.ts';
import { AppError } from '../protocol/errors.ts';
import type { Limits } from '../protocol/limits.ts';
import type { GatewayLink, RemoteLink } from '../transport/contract.ts';
import type { EventStreams } from './event-streams.ts';
import type { Intake } from './intake.ts';
import { endLostCalls, type RunningCall } from './lost-calls.ts';
import type { Outlet } from './outlet.ts';
import type { Pending } from './pending.ts';
import type { Sessions } from './sessions.ts';

export interface ShardLifeParts {
  readonly link: GatewayLink | RemoteLink;
  readonly pending: Pending;
  readonly intake: Intake;
  readonly outlet: Outlet;
  readonly sessions: Sessions;
  readonly eventStreams: EventStreams;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly log: Logger;
  readonly lines: LogGate;
}

/** What an answer may be late: whoever looks at the deadline on the other side must be heard first. */
const graceMs = 1000;

export class ShardLife {
  readonly #parts: ShardLifeParts;
  /** Undefined in one process. */
  readonly #remote: RemoteLink | undefined;

  /** Frames come in from here on. */
  constructor(parts: ShardLifeParts) {
    const { link, intake, outlet } = parts;
    this.#parts = parts;
    this.#remote = isRemote(link) ? link : undefined;
    if (this.#remote === undefined) {
      link.onFrame((frame, shard) => outlet.receive(frame, shard));
      // A shard may know sessions of a predecessor. To another process every gateway is a new one.
      for (let shard = 0; shard < link.shards; shard += 1) intake.present(shard, []);
      return;
    }
    this.#remote.onFrame((frame, shard) => this.#hear(frame, shard));
    this.#remote.onTurnover((shard) => this.#turnover(shard));
    this.#remote.onLost((shard) => this.#lost(shard));
  }

  shardLost(shard: number, runningCall: number): RunningCall | undefined {
    const { intake, eventStreams, outlet } = this.#parts;
    intake.shardLost(shard);
    eventStreams.shardLost(shard);
    outlet.forgetShard(shard);
    const { pending, log } = this.#parts;
    return endLostCalls({ pending, log, failAll: outlet.failAll.bind(outlet) }, shard, runningCall);
  }

  shardBack(shard: number): void {
    const { intake, sessions } = this.#parts;
    intake.shardBack(shard, sessions.all());
  }

  /** Called once per second: ends what nobody has answered in time. In one process a shard that is there answers. */
  sweep(): void {
    if (this.#remote === undefined) return;
    const { pending, outlet, eventStreams, limits, clock, lines } = this.#parts;
    const overdue = pending.overdue(clock.monotonic(), limits.remoteCallMsMax, graceMs);
    eventStreams.endUnaccepted(limits.remoteCallMsMax);
    if (overdue.length === 0) return;
    lines.write('unanswered', 'warn', { ended: overdue.length }, 'calls that nobody answered in time ended unknown');
    outlet.failAll(overdue, unanswered);
  }

  samples(): Sample[] {
    const frames = this.#remote?.unackedFrames;
    return frames === undefined ? [] : [sample('fermata_nats_unacked_frames', frames)];
  }

  /** A frame from another process that cannot be read must not end this one. */
  #hear(frame: string, shard: number): void {
    const { outlet, lines } = this.#parts;
    try {
      outlet.receive(frame, shard);
    } catch (error) {
      lines.write(
        'unreadable',
        'error',
        { shard, err: error },
        'a frame of answers cannot be read; the rest of it is lost',
      );
      outlet.flush();
    }
  }

  #turnover(shard: number): void {
    const { intake, eventStreams, outlet, sessions } = this.#parts;
    intake.forgotten(shard);
    // Those that wait for the slot too: their ends go after what still waits of them in the slot's queue.
    eventStreams.shardLost(shard);
    outlet.forgetShard(shard);
    intake.turnover(shard, sessions.all());
  }

  #lost(shard: number): void {
    const { intake, pending, outlet, lines } = this.#parts;
    intake.forgotten(shard);
    intake.discard(shard);
    const waiting = pending.ofShard(shard);
    const fields = { shard, ended: waiting.length };
    lines.write('lost', 'warn', fields, 'answers were lost on the way; calls that waited for them ended unknown');
    outlet.failAll(waiting, lost);
  }
}

function isRemote(link: GatewayLink | RemoteLink): link is RemoteLink {
  return 'onTurnover' in link;
}

const lost = new AppError('UNKNOWN', 'The answer was lost on its way; repeat the call with the same key', {
  retryAfterMs: 500,
}).toBody();
const unanswered = new AppError('UNKNOWN', 'No answer came in time; repeat the call with the same key', {
  retryAfterMs: 500,
}).toBody();
