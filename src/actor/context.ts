/**
 * What handlers and hooks get, with the author's types on it: the typed faces of `AnyContext`. Types only; the runtime
 * fills one object per turn, and each kind of turn shows as much of it as makes sense there.
 */
import type { EmitTarget, Log } from './definition.ts';
import type { InferInput, StandardSchemaV1 } from './schema.ts';

export type EventSchemas = Readonly<Record<string, StandardSchemaV1>>;

/** Sends a declared event once the turn is committed: `emit('message', payload).broadcast()`. Without a target nobody gets it. */
export type Emit<Events> = <Name extends keyof Events & string>(
  event: Name,
  ...payload: InputArguments<Events[Name]>
) => EmitTarget;

/** The argument that a schema asks for: optional when it takes undefined, none at all without a schema. */
export type InputArguments<Schema> = unknown extends Schema
  ? []
  : undefined extends InferInput<Schema>
    ? [input?: InferInput<Schema>]
    : [input: InferInput<Schema>];

/** In `onActivate` and `onDeactivate`. */
export interface ActorContext<State, Events> {
  readonly tenant: string;
  /** Name of the actor's type in the app. */
  readonly actor: string;
  readonly actorId: string;
  /** A draft: change it in place. Kept when the turn ends well, forgotten when it throws. */
  readonly state: State;
  readonly emit: Emit<Events>;
  /** Ids of the clients connected to this actor now. */
  readonly clients: ReadonlySet<string>;
  readonly log: Log;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** 0 ≤ x < 1. Not for secrets. */
  readonly random: () => number;
  /** Aborted when the turn is over its time or its actor is given up. Hand it to `fetch` and the like. */
  readonly signal: AbortSignal;
}

/** In `onConnect` and `onDisconnect`. */
export interface ConnectionContext<State, Events> extends ActorContext<State, Events> {
  readonly clientId: string;
  /** Subject of the verified token; null in development without one. */
  readonly userId: string | null;
  /** All verified claims. */
  readonly claims: Readonly<Record<string, unknown>>;
}

/** In the handler of a method. */
export interface MethodContext<State, Events, Input, Ctx> extends ConnectionContext<State, Events> {
  /** What the method's schema made of the caller's input; undefined without a schema. */
  readonly input: Input;
  /** What middleware returned. */
  readonly ctx: Ctx;
  /**
   * The W3C trace context that the caller sent, to be passed on to services that the handler asks: a header `traceparent`.
   * Undefined when there was none, or a malformed one.
   */
  readonly traceparent: string | undefined;
}
