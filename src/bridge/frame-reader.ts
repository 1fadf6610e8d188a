/**
 * The way in: a frame from a slot is checked, taken apart, and handed to the shards through the intake.
 *
 *   SlotFrame ─▶ checkFrame ─┬▶ open, end, detach, present ─▶ RemoteSessions
 *                            ├▶ subscribe, unsubscribe ─▶ intake
 *                            ├▶ call, read ─▶ may it still run? ─▶ intake ─▶ answer ─▶ FrameAccount
 *                            └▶ illegal ─▶ a call ends unknown, all else is as if it was not said
 *
 * Invariants: every call and read is answered exactly once, whatever becomes of it · a frame is done when its last answer was
 * sent; one that holds something illegal is put aside then · of a frame that is late only what is final is believed.
 */
import type { Intake } from '../gateway/intake.ts';
import type { LogGate } from '../host/log-gate.ts';
import { type Inbound, inboundOp } from '../protocol/envelope.ts';
import type { ErrorBody } from '../protocol/errors.ts';
import type { Limits } from '../protocol/limits.ts';
import { type StreamPosition, subscriptionRefusal } from '../protocol/messages.ts';
import { noTrace } from '../protocol/trace.ts';
import type { SlotFrame } from '../transport/contract.ts';
import type { Answers } from './answers.ts';
import { checkFrame, type IllegalEnvelope, isLegal } from './envelope-check.ts';
import { FrameAccount, type OpenFrames } from './frame-account.ts';
import type { Outgoing } from './outgoing.ts';
import type { Peer, Peers } from './peer.ts';
import { givenUp, movedOn, readRefusal, RemoteCall, timeLeft, unreadable } from './remote-call.ts';
import type { RemoteSessions, Source } from './remote-sessions.ts';

type Of<Op extends Inbound[0]> = Extract<Inbound, readonly [Op, ...unknown[]]>;

export interface FrameReaderParts {
  readonly intake: Intake;
  readonly answers: Answers;
  readonly outgoing: Outgoing;
  readonly peers: Peers;
  readonly sessions: RemoteSessions;
  readonly open: OpenFrames;
  readonly limits: Limits;
  readonly lines: LogGate;
}

/** A frame that is being read. */
interface Reading {
  readonly frame: SlotFrame;
  readonly peer: Peer;
  readonly account: FrameAccount;
  /** Characters of one of its envelopes, on average. */
  readonly chars: number;
}

export class FrameReader {
  readonly #parts: FrameReaderParts;

  constructor(parts: FrameReaderParts) {
    this.#parts = parts;
  }

  read(frame: SlotFrame): void {
    this.#settle(frame, (reading, envelopes) => {
      if (frame.late) frame.callers(openings(reading.peer, envelopes));
      for (const envelope of envelopes) this.#handle(reading, envelope);
      // What asks for no answer is with the shards before it is forgotten elsewhere.
      if (reading.account.owesNothing) this.#parts.intake.flush();
    });
  }

  /** Its slot is given up before anything of it was begun: its calls may be sent again, and reach who serves the slot then. */
  refuse(frame: SlotFrame): void {
    this.#settle(frame, (reading, envelopes) => {
      for (const envelope of envelopes) {
        if (envelope[0] !== inboundOp.call && envelope[0] !== inboundOp.read) continue;
        this.#waiter(reading, envelope[2], frame.doubtful && envelope[0] === inboundOp.call).failed(givenUp);
      }
    });
  }

  /** `settle` sees to what is legal in the frame. */
  #settle(frame: SlotFrame, settle: (reading: Reading, envelopes: readonly Inbound[]) => void): void {
    const { peers, outgoing, open, limits, answers } = this.#parts;
    const checked = checkFrame(frame, limits.depthMax);
    if (checked.kind === 'illegal') {
      this.#log(frame, checked.reason);
      return frame.bury(checked.reason);
    }
    const peer = peers.of(frame.gateway, frame.slot);
    const account = new FrameAccount(frame, peer, outgoing, open);
    const { envelopes } = checked;
    const reading = { frame, peer, account, chars: Math.ceil(frame.text.length / Math.max(1, envelopes.length)) };
    for (const envelope of envelopes) if (!isLegal(envelope)) this.#deny(reading, envelope);
    settle(reading, envelopes.filter(isLegal));
    account.read();
    answers.flush();
    peers.release(peer);
  }

  #deny(reading: Reading, { reason, call }: IllegalEnvelope): void {
    const { frame, account } = reading;
    this.#log(frame, reason);
    account.condemn(reason);
    if (call !== undefined) this.#waiter(reading, call, false).failed(unreadable);
  }

  #log({ slot, gateway }: SlotFrame, reason: string): void {
    this.#parts.lines.write(
      'an illegal frame',
      'error',
      { slot, gateway, reason },
      'a frame of a gateway holds what no gateway of this version says; that is not done, its calls end unknown, and a copy is put aside. Hint: run the same version everywhere, and let only gateways publish to NATS',
    );
  }

  #handle(reading: Reading, envelope: Inbound): void {
    const { peer, frame } = reading;
    const { sessions } = this.#parts;
    switch (envelope[0]) {
      case inboundOp.open:
        return sessions.open(peer, envelope[1], envelope[2], sourceOf(frame), frame.ageMs);
      case inboundOp.end:
        return sessions.end(peer, envelope[1]);
      case inboundOp.detach:
        return sessions.detach(peer, envelope[1]);
      case inboundOp.present:
        // In a queue it is older than the presence that came before the queue.
        return frame.kind === 'presence' ? sessions.present(peer, envelope[2]) : undefined;
      case inboundOp.subscribe:
        return this.#subscribe(reading, envelope);
      case inboundOp.unsubscribe:
        return this.#unsubscribe(reading, envelope);
      case inboundOp.call:
        return this.#call(reading, envelope);
      case inboundOp.read:
        return this.#read(reading, envelope);
      case inboundOp.leave:
        return undefined;
    }
  }

  #call(reading: Reading, envelope: Of<typeof inboundOp.call>): void {
    const [, number, call, actor, actorId, method, key, ack, deadlineMs, given, trace = noTrace, noInput] = envelope;
    const { frame, peer, chars } = reading;
    const { intake, limits } = this.#parts;
    const waiter = this.#waiter(reading, call, frame.doubtful);
    const session = peer.sessions.get(number)?.session;
    const leftMs = timeLeft(frame, { key, deadlineMs }, limits.queuedCallMsMax);
    const input = noInput === true ? undefined : given;
    let refusal: ErrorBody | undefined;
    if (typeof leftMs !== 'number') refusal = leftMs;
    else if (session === undefined) refusal = movedOn;
    else {
      const asked = { actor, actorId, method, key, ack, deadlineMs: leftMs, input, chars, trace };
      refusal = intake.call(session, asked, waiter);
    }
    if (refusal !== undefined) waiter.failed(refusal);
  }

  #read(reading: Reading, [, number, call, actor, actorId]: Of<typeof inboundOp.read>): void {
    const { frame, peer } = reading;
    const { intake, limits } = this.#parts;
    const waiter = this.#waiter(reading, call, false);
    const session = peer.sessions.get(number)?.session;
    const refusal =
      readRefusal(frame, limits.queuedCallMsMax) ??
      (session === undefined ? movedOn : intake.read(session, actor, actorId, waiter));
    if (refusal !== undefined) waiter.failed(refusal);
  }

  #waiter({ peer, account }: Reading, call: number, mayHaveRun: boolean): RemoteCall {
    return new RemoteCall(this.#parts.outgoing, account, peer, call, mayHaveRun);
  }

  #subscribe({ frame, peer }: Reading, envelope: Of<typeof inboundOp.subscribe>): void {
    const [, number, actor, actorId, stream, epoch, seq] = envelope;
    const remote = peer.sessions.get(number);
    if (remote === undefined || remote.detached || isPast(frame)) return;
    const since: StreamPosition | undefined = epoch === undefined || seq === undefined ? undefined : { epoch, seq };
    const refusal = this.#parts.intake.subscribe(remote.session, actor, actorId, stream, since);
    if (refusal === undefined || !remote.session.info.additions) return;
    const text = subscriptionRefusal(`${stream}:sub`, actor, actorId, refusal);
    this.#parts.outgoing.add(peer, 'M', number, 0, 0, text);
  }

  #unsubscribe({ frame, peer }: Reading, envelope: Of<typeof inboundOp.unsubscribe>): void {
    const [, number, actor, actorId, stream] = envelope;
    const remote = peer.sessions.get(number);
    if (remote !== undefined && !isPast(frame)) this.#parts.intake.unsubscribe(remote.session, actor, actorId, stream);
  }
}

/** What it says of subscriptions is older than the presence that the gateway sent since. */
function isPast({ doubtful, late }: SlotFrame): boolean {
  return doubtful || late;
}

/** Of the sessions that calls in it speak of, and that it does not open itself. */
function openings(peer: Peer, envelopes: readonly Inbound[]): string {
  const numbers = new Set(envelopes.flatMap(([op, number]) => (op === inboundOp.call ? [number] : [])));
  for (const [op, number] of envelopes) if (op === inboundOp.open) numbers.delete(number);
  const texts = Array.from(numbers, (number) => {
    const info = peer.sessions.get(number)?.session.info;
    return info === undefined ? [] : [JSON.stringify([inboundOp.open, number, info])];
  });
  return texts.flat().join(',');
}

function sourceOf(frame: SlotFrame): Source {
  if (frame.kind === 'presence') return 'presence';
  return isPast(frame) ? 'former' : 'calls';
}
