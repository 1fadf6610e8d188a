/**
 * What the runtime sees of an actor: the author's definition with its types erased and its defaults filled in.
 * Made by `actor()`, checked by `createApp()`, read by the shard; never changed after that.
 */
import type { StandardSchemaV1 } from './schema.ts';

/**
 * `durable`: fsynced before the reply (default) · `process`: journaled without fsync, survives the process, may lose
 * about a second when the host dies · `memory`: survives nothing, and replies say `durable: false`.
 */
export type Durability = 'durable' | 'process' | 'memory';

/** A logger with the actor's address, the method and the ids of the call bound. Values of `fields` must be JSON. */
export interface Log {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

/** Who is calling, for middleware and `authorize`. */
export interface Caller {
  readonly tenant: string;
  readonly actor: string;
  readonly actorId: string;
  readonly clientId: string;
  /** Subject of the verified token; null in development without one. */
  readonly userId: string | null;
  /** All verified claims. */
  readonly claims: Readonly<Record<string, unknown>>;
}

/** `kind` tells a call from a subscription or state read; only a call has a `method`. */
export type MiddlewareArgs<Ctx> = Caller & { readonly ctx: Ctx } & (
    | { readonly kind: 'call'; readonly method: string }
    | { readonly kind: 'subscribe'; readonly method: undefined }
  );

export type AnyMiddleware = (args: MiddlewareArgs<Record<string, unknown>>) => unknown;

/** An event waiting for its turn's commit. `payload` is JSON text, '' for undefined. */
export interface PendingEvent {
  readonly event: string;
  readonly payload: string;
  readonly target: { readonly kind: 'all' } | { readonly kind: 'to' | 'except'; readonly ids: ReadonlySet<string> };
}

export interface EmitTarget {
  /** To every client subscribed to this actor's events. */
  broadcast(): void;
  /** To these clients, as far as they are subscribed. */
  to(clientIds: string | readonly string[]): void;
  /** To every subscribed client but these. */
  except(clientIds: string | readonly string[]): void;
}

/** What every handler and hook gets, types erased. The runtime fills it in; `actor()` gives it its types. */
export interface AnyContext {
  readonly tenant: string;
  readonly actor: string;
  readonly actorId: string;
  readonly state: unknown;
  readonly input: unknown;
  readonly ctx: Record<string, unknown>;
  readonly emit: (event: string, payload?: unknown) => EmitTarget;
  /** '' in `onActivate` and `onDeactivate`. */
  readonly clientId: string;
  /** Ids of the clients connected to this actor now. */
  readonly clients: ReadonlySet<string>;
  readonly userId: string | null;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly log: Log;
  /** W3C trace context of the call; undefined in hooks. */
  readonly traceparent: string | undefined;
  readonly now: () => number;
  readonly random: () => number;
  readonly signal: AbortSignal;
}

export type AnyHandler = (context: AnyContext) => unknown;

export interface MethodDefinition {
  readonly input: StandardSchemaV1 | undefined;
  readonly handler: AnyHandler;
}

export interface ActorDefinition {
  readonly kind: 'fermata.actor';
  readonly state: StandardSchemaV1;
  /** Version of the state's shape, 1 or more; stored with each snapshot. */
  readonly version: number;
  /** Makes this version's state of an older one's. Without it an older state is validated as it is. */
  readonly migrate: ((state: unknown, fromVersion: number) => unknown) | undefined;
  readonly durability: Durability;
  /** Maps, so that no inherited name is ever callable. */
  readonly methods: ReadonlyMap<string, MethodDefinition>;
  readonly events: ReadonlyMap<string, StandardSchemaV1>;
  readonly middleware: readonly AnyMiddleware[];
  /** Events of an actor that are kept for clients who come back; 0 keeps none. */
  readonly historyEventsMax: number;
  /** May this caller see state and events? Only `true` lets it. Without it, middleware decides with `kind: 'subscribe'`. */
  readonly authorize: ((caller: Caller) => unknown) | undefined;
  readonly onActivate: AnyHandler | undefined;
  readonly onDeactivate: AnyHandler | undefined;
  readonly onConnect: AnyHandler | undefined;
  readonly onDisconnect: AnyHandler | undefined;
}

export interface AppDefinition {
  readonly kind: 'fermata.app';
  readonly actors: ReadonlyMap<string, ActorDefinition>;
}
