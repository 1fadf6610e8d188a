/**
 * The sessions of clients with a line, WebSocket or event stream, which may outlive their connections.
 *
 *   open ──▶ attached ── line lost ──▶ detached ── grace over, or too many ──▶ ended
 *               │  ▲                      │
 *               │  └── hello with token ──┘      here, or from another gateway (`Handover`)
 *               └── closed by the client, or the process stops ──▶ ended
 *
 * Only clients with the additions can come back; the session of a base client ends with its connection. Shards hear of a
 * lost connection (`detach`) and of the end, and nothing of the way back: the client subscribes anew.
 *
 * Invariants: a session has at most one connection · a resume token works for the tenant and user that it was given to,
 * until its successor is known to have arrived, and is never logged · a session that was told to a shard ends there, or is another gateway's.
 */
import type { Clock } from '../host/clock.ts';
import type { Phase } from '../host/phase.ts';
import type { Limits } from '../protocol/limits.ts';
import { closeCodes } from '../protocol/messages.ts';
import { type Claimant, type Gift, type HandedSession, Handover, type Peers } from './handover.ts';
import type { Intake, Moved } from './intake.ts';
import type { Line } from './line.ts';
import type { Outlet } from './outlet.ts';
import { type SessionRecord, SessionRecords } from './session-records.ts';
import type { Session } from './session.ts';

export interface SessionsOptions {
  readonly peers: Peers;
  /** The run of the process. */
  readonly boot: string;
  /** Attached sessions' connections, by the session's number. Written here alone. */
  readonly connections: Map<number, Line>;
  readonly intake: Intake;
  readonly outlet: Outlet;
  readonly phase: Phase;
  readonly limits: Limits;
  readonly clock: Clock;
}

export class Sessions {
  readonly #options: SessionsOptions;
  readonly #records: SessionRecords;
  readonly #handover: Handover;
  /** Sessions that can come back, attached or not, by their token. */
  readonly #byToken = new Map<string, Session>();
  /** When they lost their connection, on the monotonic clock; the longest ago first. */
  readonly #detached = new Map<Session, number>();
  #stopped = false;

  constructor(options: SessionsOptions) {
    const { peers, boot, limits } = options;
    this.#options = options;
    this.#records = new SessionRecords(boot, limits.socketsMax + limits.detachedSessionsMax);
    const give = (claimant: Claimant) => this.#give(claimant);
    this.#handover = new Handover({ peers, give, onLate: (handed) => this.#bury(handed) });
  }

  get detached(): number {
    return this.#detached.size;
  }

  /** All that shards may know, with a connection or without. */
  *all(): Iterable<Session> {
    for (const { session } of this.#options.connections.values()) yield session;
    yield* this.#detached.keys();
  }

  /** A socket has opened, with a session of its own. */
  open(connection: Line): void {
    const { session } = connection;
    this.#options.connections.set(session.number, connection);
    if (connection.additions) {
      session.resumeToken = this.#handover.newToken();
      this.#byToken.set(session.resumeToken, session);
    }
    this.#records.active(session);
    this.#welcome(connection, false);
  }

  /**
   * Gives the connection the session that the token stands for, if it lives and is the same user's; a second `welcome`
   * says which one it has now. True when that is not known yet: another gateway is asked, and `onSettled` is called.
   */
  resume(connection: Line, token: string, onSettled: () => void): boolean {
    const { tenant, userId } = connection.session.info;
    const claimant = { token, tenant, userId };
    const session = this.#find(claimant);
    // A token of another session, or the one that this connection got a moment ago.
    if (session !== undefined && session !== connection.session) {
      this.#reattach(session, connection, token);
      return false;
    }
    const asked =
      session === undefined &&
      this.#handover.ask(claimant, (handed) => {
        if (handed === undefined) this.#welcome(connection, false);
        else if (connection.open && !this.#stopping) this.#attach(handed, connection, token);
        else this.#bury(handed);
        onSettled();
      });
    if (!asked) this.#welcome(connection, false);
    return asked;
  }

  /** The client has gone on after its `welcome`: it knows the token that was in it. */
  proven({ session }: Line): void {
    if (session.formerToken === '') return;
    this.#byToken.delete(session.formerToken);
    session.formerToken = '';
  }

  /** The connection's socket is gone, with this close code. */
  closed(connection: Line, code: number): void {
    const { session } = connection;
    const { peers } = this.#options;
    // Another connection has taken the session over.
    if (this.#options.connections.get(session.number) !== connection) return;
    session.seenMs = this.#options.clock.now();
    this.#loosen(connection);
    if (finalCodes.has(code)) this.#end(session, 'closed');
    else if (this.#stopping && !(peers.outlive && connection.additions)) this.#end(session, 'shutdown');
    else if (!connection.additions) this.#end(session, 'closed');
    else {
      this.#options.intake.detachSession(session);
      this.#wait(session);
    }
  }

  /** Ends those whose client has not come back in time. */
  sweep(): void {
    const { clock, limits } = this.#options;
    const sinceMs = clock.monotonic() - limits.sessionGraceMs;
    for (const [session, detachedMs] of this.#detached) {
      if (detachedMs > sinceMs) return;
      this.#end(session, 'expired');
    }
  }

  /** Nobody can come back here any more. To gateways of other processes sessions still go, until `close`. */
  stop(): void {
    this.#stopped = true;
    if (!this.#options.peers.outlive) this.#endDetached();
  }

  /** No other gateway is heard any more. */
  close(): void {
    this.#handover.close();
    this.#endDetached();
  }

  takeRecords(): SessionRecord[] {
    return this.#records.take();
  }

  #welcome(connection: Line, resumed: boolean): void {
    const { info, resumeToken } = connection.session;
    const { clientId, sessionId } = info;
    if (!connection.additions) return connection.sendMessage({ type: 'welcome', clientId });
    const { frameBytesMax, connectionCallsMax, socketIdleS } = this.#options.limits;
    connection.sendMessage({
      type: 'welcome',
      clientId,
      sessionId,
      resumeToken,
      resumed,
      // As often as the server pings.
      heartbeatMs: socketIdleS * 500,
      server: 'fermata',
      limits: { frameBytesMax, connectionCallsMax },
    });
  }

  /** The living session of this token, if it is the claimant's. */
  #find({ token, tenant, userId }: Claimant): Session | undefined {
    const session = this.#byToken.get(token);
    if (session?.info.tenant !== tenant || session.info.userId !== userId) return undefined;
    const { clock, limits } = this.#options;
    const detachedMs = this.#detached.get(session) ?? Infinity;
    if (clock.monotonic() - detachedMs < limits.sessionGraceMs) return session;
    this.#end(session, 'expired');
    return undefined;
  }

  /** A client that is back here: its session gets a new number, so that what is on its way to the old one reaches nobody. */
  #reattach(before: Session, connection: Line, token: string): void {
    const { connections, intake } = this.#options;
    const older = connections.get(before.number);
    if (older !== undefined) {
      this.#loosen(older);
      intake.detachSession(before);
    }
    this.#detached.delete(before);
    this.#forgetTokens(before);
    const { info, connectedMs, inFlight } = before;
    this.#attach({ info, connectedMs, inFlight, shards: [...before.shards.keys()] }, connection, token);
    intake.releaseSession(before);
    older?.end(closeCodes.normal, 'resumed elsewhere');
  }

  /** From the connection's own new session, which no shard has heard of, to the one that its client had before. */
  #attach(moved: Moved, connection: Line, token: string): void {
    const { connections, intake, clock } = this.#options;
    const fresh = connection.session;
    // The rights are those of the token that it came with now.
    const { claims } = fresh.info;
    connections.delete(fresh.number);
    intake.endSession(fresh);
    this.#records.vanished(fresh);
    const session = intake.adoptSession({ ...moved, info: { ...moved.info, claims } });
    connection.session = session;
    connections.set(session.number, connection);
    // The client knows the new token already, from its first `welcome`. Should the second one be lost, it will come with
    // the token that it had.
    session.resumeToken = fresh.resumeToken;
    session.formerToken = token;
    for (const valid of [session.resumeToken, token]) this.#byToken.set(valid, session);
    session.seenMs = clock.now();
    this.#records.active(session);
    this.#welcome(connection, true);
  }

  #forgetTokens({ resumeToken, formerToken }: Session): void {
    this.#byToken.delete(resumeToken);
    this.#byToken.delete(formerToken);
  }

  get #stopping(): boolean {
    return this.#stopped || this.#options.phase.name === 'draining';
  }

  /** Takes the connection away from its session. */
  #loosen(connection: Line): void {
    const { connections, outlet } = this.#options;
    connections.delete(connection.session.number);
    outlet.forget(connection);
  }

  #wait(session: Session): void {
    const { clock, limits } = this.#options;
    this.#detached.set(session, clock.monotonic());
    this.#records.detached(session);
    if (this.#detached.size > limits.detachedSessionsMax) this.#end(this.#leastEntitled(session), 'expired');
  }

  #endDetached(): void {
    for (const session of this.#detached.keys()) this.#end(session, 'shutdown');
  }

  /** The one that waits longest, of the tenant that has most of them: others must not pay for its clients. */
  #leastEntitled(newest: Session): Session {
    const counts = new Map<string, number>();
    for (const { info } of this.#detached.keys()) counts.set(info.tenant, (counts.get(info.tenant) ?? 0) + 1);
    const most = Math.max(...counts.values());
    for (const session of this.#detached.keys()) if (counts.get(session.info.tenant) === most) return session;
    return newest;
  }

  #end(session: Session, reason: 'closed' | 'expired' | 'shutdown'): void {
    this.#detached.delete(session);
    this.#forgetTokens(session);
    this.#options.intake.endSession(session);
    this.#records.ended(session, reason);
  }

  /** Gives a session away that came back at another gateway: it has no connection here any more, and is not told of. */
  #give(claimant: Claimant): Gift | undefined {
    const session = this.#find(claimant);
    if (session === undefined) return undefined;
    const { connections, intake } = this.#options;
    const handed = { info: session.info, connectedMs: session.connectedMs, shards: [...session.shards.keys()] };
    const older = connections.get(session.number);
    if (older !== undefined) this.#loosen(older);
    this.#detached.delete(session);
    this.#forgetTokens(session);
    this.#records.handedOver(session);
    // What shards were sent for it from here comes first.
    intake.flush();
    older?.end(closeCodes.normal, 'resumed elsewhere');
    return {
      handed,
      taken: () => intake.releaseSession(session),
      lost: () => this.#end(session, 'closed'),
    };
  }

  /** A session of another gateway that came when its client was gone again: with its token it would not be found here. */
  #bury(handed: HandedSession): void {
    this.#end(this.#options.intake.adoptSession(handed), 'closed');
  }
}

/** The client has left for good, or must not come back. 1005: it closed without giving a code. */
const finalCodes: ReadonlySet<number> = new Set([closeCodes.normal, 1001, 1005, closeCodes.forbidden]);
