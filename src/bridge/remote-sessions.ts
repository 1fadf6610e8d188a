/**
 * The sessions of all gateways, and what stands for each of them towards the shards.
 *
 *   gateway key, slot, its number ──▶ RemoteSession ──▶ Session with a number of this process ──▶ shards
 *
 * A client that came back through another gateway, or whose gateway presents it again, gets a new number here, so that what is
 * on its way to the old one reaches nobody; the shards move it by its session id, and no hook runs.
 *
 * Invariants: a session id is under one number at most · what a frame says that a former runtime may have begun with opens
 * no session of a client and moves none: presence is newer, and has named those that live · nor does what was sent before a
 * session was presented move that one · an end is final.
 */
import type { Intake } from '../gateway/intake.ts';
import type { SessionRecords } from '../gateway/session-records.ts';
import type { Session } from '../gateway/session.ts';
import type { Clock } from '../host/clock.ts';
import { InboundFrame, inboundOp, type SessionInfo } from '../protocol/envelope.ts';
import type { GatewayLink } from '../transport/contract.ts';
import type { Peer, Peers, RemoteSession } from './peer.ts';
import type { Topic, Topics } from './topics.ts';

/** Where an `open` was found: in the answer to a turnover, in a queue, or in what a former runtime may have begun with. */
export type Source = 'presence' | 'calls' | 'former';

export interface RemoteSessionsParts {
  readonly intake: Intake;
  readonly link: Pick<GatewayLink, 'shards' | 'send'>;
  readonly peers: Peers;
  readonly topics: Topics;
  readonly records: SessionRecords;
  readonly clock: Clock;
}

export class RemoteSessions {
  readonly #parts: RemoteSessionsParts;
  /** By the number that the shards know. */
  readonly #byNumber = new Map<number, RemoteSession>();
  /** By session id; callers over HTTP have none. */
  readonly #byId = new Map<string, RemoteSession>();
  readonly #allShards: readonly number[];

  constructor(parts: RemoteSessionsParts) {
    this.#parts = parts;
    this.#allShards = Array.from({ length: parts.link.shards }, (_, shard) => shard);
  }

  get size(): number {
    return this.#byNumber.size;
  }

  /** By the number that the shards know. */
  find(number: number): RemoteSession | undefined {
    return this.#byNumber.get(number);
  }

  *all(): Iterable<Session> {
    for (const { session } of this.#byNumber.values()) yield session;
  }

  open(peer: Peer, number: number, info: SessionInfo, source: Source, ageMs: number): void {
    const known = peer.sessions.get(number);
    if (info.kind === 'http') {
      if (known === undefined) this.#open(peer, number, info, [], ageMs);
    } else if (source === 'presence') this.#presented(peer, number, info, ageMs);
    else if (source === 'calls' && known === undefined) this.#opened(peer, number, info, ageMs);
  }

  /** The client is gone. */
  end(peer: Peer, number: number): void {
    const remote = peer.sessions.get(number);
    if (remote !== undefined) this.#end(remote, remote.detached ? 'expired' : 'closed');
  }

  /** The client's connection is lost; it may come back, under another number. */
  detach(peer: Peer, number: number): void {
    const remote = peer.sessions.get(number);
    if (remote === undefined || remote.detached) return;
    remote.detached = true;
    remote.session.seenMs = this.#parts.clock.now();
    this.#parts.topics.forget(remote);
    this.#parts.intake.detachSession(remote.session);
    this.#parts.records.detached(remote.session);
  }

  /** These are all sessions of the peer. */
  present(peer: Peer, numbers: readonly number[]): void {
    const alive = new Set(numbers);
    for (const [number, remote] of peer.sessions) if (!alive.has(number)) this.#end(remote, 'closed');
  }

  gatewayGone(gateway: string): void {
    for (const peer of this.#parts.peers.where((one) => one.gateway === gateway)) {
      for (const remote of peer.sessions.values()) this.#end(remote, 'shutdown');
    }
  }

  /** Another process has the slot: its sessions live on there, and nobody here is told goodbye. */
  forgetSlot(slot: number): void {
    const { intake, link, peers, records } = this.#parts;
    const leaving = peers.where((peer) => peer.slot === slot).flatMap((peer) => [...peer.sessions.values()]);
    const frames = this.#allShards.map(() => new InboundFrame());
    for (const { session } of leaving) {
      for (const shard of session.shards.keys()) frames[shard]!.add([inboundOp.leave, session.number]);
    }
    intake.flush();
    for (const [shard, frame] of frames.entries()) {
      const text = frame.take();
      if (text !== undefined) link.send(shard, text);
    }
    for (const remote of leaving) {
      this.#drop(remote);
      if (isClient(remote.session.info)) records.handedOver(remote.session);
      intake.releaseSession(remote.session);
      peers.release(remote.peer);
    }
  }

  /**
   * All shards hear of it: its visits may be on record from a former process, and which actors it is with is not known here.
   * What it is subscribed to is said anew, whatever was known of it.
   */
  #presented(peer: Peer, number: number, info: SessionInfo, ageMs: number): void {
    const known = peer.sessions.get(number);
    if (known !== undefined && known.session.info.sessionId !== info.sessionId) this.#end(known, 'closed');
    const before = this.#before(info);
    if (before === 'of another tenant') return;
    if (before === undefined) this.#open(peer, number, info, this.#allShards, ageMs);
    else this.#move(before, peer, number, info, this.#allShards);
    peer.sessions.get(number)!.presentedMs = this.#parts.clock.monotonic();
  }

  #opened(peer: Peer, number: number, info: SessionInfo, ageMs: number): void {
    const before = this.#before(info);
    if (before === 'of another tenant') return;
    if (before === undefined) return this.#open(peer, number, info, [], ageMs);
    const { presentedMs = -Infinity } = before;
    const isOlder = this.#parts.clock.monotonic() - ageMs < presentedMs - clocksApartMs;
    if (!isOlder) this.#move(before, peer, number, info, [...before.session.shards.keys()]);
  }

  /** The one that has this session id now. Ids are not to be guessed: the tenant of another is an attempt to take its place. */
  #before({ sessionId, tenant }: SessionInfo): RemoteSession | 'of another tenant' | undefined {
    const before = this.#byId.get(sessionId);
    return before === undefined || before.session.info.tenant === tenant ? before : 'of another tenant';
  }

  #open(peer: Peer, number: number, info: SessionInfo, shards: readonly number[], ageMs: number): void {
    const { intake, clock } = this.#parts;
    this.#keep(peer, number, intake.adoptSession({ info, connectedMs: clock.now() - ageMs, shards }));
  }

  #move(before: RemoteSession, peer: Peer, number: number, info: SessionInfo, shards: readonly number[]): void {
    const { intake, peers } = this.#parts;
    const { connectedMs, inFlight } = before.session;
    this.#drop(before);
    const session = intake.adoptSession({ info, connectedMs, shards, inFlight });
    intake.releaseSession(before.session);
    this.#keep(peer, number, session);
    peers.release(before.peer);
  }

  #keep(peer: Peer, number: number, session: Session): void {
    const remote = { peer, number, session, topics: new Set<Topic>(), presentedMs: undefined, detached: false };
    peer.sessions.set(number, remote);
    this.#byNumber.set(session.number, remote);
    if (!isClient(session.info)) return;
    this.#byId.set(session.info.sessionId, remote);
    this.#parts.records.active(session);
  }

  #end(remote: RemoteSession, reason: 'closed' | 'expired' | 'shutdown'): void {
    const { intake, records, peers } = this.#parts;
    const { session } = remote;
    this.#drop(remote);
    if (isClient(session.info)) {
      intake.endSession(session);
      records.ended(session, reason);
    } else intake.retireSession(session);
    peers.release(remote.peer);
  }

  /** Out of all tables. */
  #drop(remote: RemoteSession): void {
    const { peer, number, session } = remote;
    this.#parts.topics.forget(remote);
    peer.sessions.delete(number);
    this.#byNumber.delete(session.number);
    this.#byId.delete(session.info.sessionId);
  }
}

/** What clocks of two machines may differ by, and few who hurry from one gateway to another come in. */
const clocksApartMs = 1000;

/** Not a caller over HTTP, who has no presence. */
function isClient({ kind }: SessionInfo): boolean {
  return kind !== 'http';
}
