/**
 * The sessions that a shard knows: who they are, and which actors they are connected to.
 *
 * A session is opened by its gateway before its first call here. It ends when its client has left, or was away for longer
 * than its grace; a lost connection alone does not end it. Being connected to an actor lasts from the first allowed call or
 * subscription to the session's end; it outlives the actor's stay in memory.
 */
import type { SessionInfo } from '../protocol/envelope.ts';
import type { Visitor } from '../storage/contract.ts';
import type { Activation } from './activation.ts';

export interface Session {
  readonly gateway: number;
  readonly number: number;
  readonly info: SessionInfo;
  /** Keys of the actors that this session is connected to. */
  readonly actors: Set<string>;
  /** How many connections it has lost: what was asked for on an earlier one is not wanted any more. */
  lost: number;
  ended: boolean;
  /** The actor that it called last. */
  recent: Activation | undefined;
}

export class Sessions {
  readonly #byGateway: Map<number, Session>[];
  readonly #byId = new Map<string, Session>();

  constructor(gateways: number) {
    this.#byGateway = Array.from({ length: gateways }, () => new Map());
  }

  /** Returns the session that this one takes the place of, when its client came back through another gateway. */
  open(gateway: number, number: number, info: SessionInfo): { session: Session; predecessor: Session | undefined } {
    const sessions = this.#byGateway[gateway]!;
    const known = sessions.get(number);
    if (known !== undefined) return { session: known, predecessor: undefined };
    const predecessor = info.sessionId === '' ? undefined : this.#byId.get(info.sessionId);
    const actors = predecessor?.actors ?? new Set<string>();
    const session = { gateway, number, info, actors, lost: 0, ended: false, recent: undefined };
    if (predecessor !== undefined) this.end(predecessor.gateway, predecessor.number);
    sessions.set(number, session);
    if (info.sessionId !== '') this.#byId.set(info.sessionId, session);
    return { session, predecessor };
  }

  get(gateway: number, number: number): Session | undefined {
    return this.#byGateway[gateway]?.get(number);
  }

  /** The living session that a visitor belongs to. */
  find(sessionId: string): Session | undefined {
    return this.#byId.get(sessionId);
  }

  /** Numbers of all sessions of a gateway. */
  numbers(gateway: number): number[] {
    return [...this.#byGateway[gateway]!.keys()];
  }

  /** Forgets the session and returns it, once. */
  end(gateway: number, number: number): Session | undefined {
    const session = this.get(gateway, number);
    if (session === undefined) return undefined;
    this.#byGateway[gateway]!.delete(number);
    if (this.#byId.get(session.info.sessionId) === session) this.#byId.delete(session.info.sessionId);
    session.ended = true;
    return session;
  }
}

/** Stands for a client whose session is gone, for the `onDisconnect` that it is still owed. */
export function ghostOf(tenant: string, { clientId, sessionId, userId, claims }: Visitor): Session {
  const info: SessionInfo = { tenant, sessionId, clientId, userId, claims, kind: 'ws', additions: false };
  return { gateway: -1, number: -1, info, actors: new Set(), lost: 0, ended: true, recent: undefined };
}

/** What is put on record of a session that connects to an actor. */
export function visitorOf({ info: { clientId, sessionId, userId, claims } }: Session): Visitor {
  return { clientId, sessionId, userId, claims };
}
