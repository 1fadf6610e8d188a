/**
 * The sessions that a shard knows: who they are, and which actors they are connected to.
 *
 * A session is opened by its gateway before its first call here and ended when its socket is gone. Being connected to an
 * actor lasts from the first allowed call or subscription to the session's end; it outlives the actor's stay in memory.
 */
import type { SessionInfo } from '../protocol/envelope.ts';
import type { Activation } from './activation.ts';

export interface Session {
  readonly gateway: number;
  readonly number: number;
  readonly info: SessionInfo;
  /** Keys of the actors that this session is connected to. */
  readonly actors: Set<string>;
  ended: boolean;
  /** The actor that it called last. */
  recent: Activation | undefined;
}

export class Sessions {
  readonly #byGateway: Map<number, Session>[];

  constructor(gateways: number) {
    this.#byGateway = Array.from({ length: gateways }, () => new Map());
  }

  open(gateway: number, number: number, info: SessionInfo): void {
    const sessions = this.#byGateway[gateway]!;
    if (!sessions.has(number))
      sessions.set(number, { gateway, number, info, actors: new Set(), ended: false, recent: undefined });
  }

  get(gateway: number, number: number): Session | undefined {
    return this.#byGateway[gateway]?.get(number);
  }

  /** Forgets the session and returns it, once. */
  end(gateway: number, number: number): Session | undefined {
    const session = this.get(gateway, number);
    if (session === undefined) return undefined;
    this.#byGateway[gateway]!.delete(number);
    session.ended = true;
    return session;
  }
}
