/**
 * `actor()`: turns what an author wrote into a definition that the runtime can trust, and keeps its types for clients.
 *
 * Invariants: a definition that comes out of here has legal names, schemas where schemas belong and functions where
 * functions belong, and is never changed again. Names live in Maps made of own properties, so that `constructor` or
 * `__proto__` can never be called.
 *
 * How the types are inferred: `methods` is read backwards through two mapped types. One takes each method's schema out
 * of `input` before its handler is looked at, so that the handler's `input` has a type; the other takes what each
 * handler returns. Nobody writes a type argument.
 */
import { DefinitionError, isPlainObject, refuseUnknownOptions } from './definition-error.ts';
import type { ActorContext, ConnectionContext, EventSchemas, MethodContext } from './context.ts';
import type { ActorDefinition, AnyMiddleware, Caller, Durability } from './definition.ts';
import type { Actor, ClientEvents, ClientMethods, HandlerInput } from './infer.ts';
import {
  checkEvents,
  checkHistory,
  checkMethods,
  checkSchema,
  checkVersion,
  durabilityOf,
  optionalFunction,
  checkFirstState,
} from './rules.ts';
import type { InferInput, InferOutput, StandardSchemaV1 } from './schema.ts';

/** Schema of a state: what it makes of `{}` is the first state of every new actor. */
export type StateSchema = StandardSchemaV1<unknown, object>;

export type MethodOptions<State, Events, Ctx, Inputs, Results> = {
  readonly [Name in keyof Inputs]: {
    /** Any Standard Schema. Calls with other input are refused before the handler runs. Without it, input is ignored. */
    readonly input?: Inputs[Name] & StandardSchemaV1;
    readonly handler: (context: MethodContext<State, Events, HandlerInput<Inputs[Name]>, Ctx>) => unknown;
  };
} & { readonly [Name in keyof Results]: { readonly handler: (context: never) => Results[Name] } };

export interface ActorOptions<State extends StateSchema, Events, Inputs, Results, Ctx> {
  /** Schema of the state. What it makes of `{}` is the first state. */
  readonly state: State;
  /** What clients may call. */
  readonly methods: MethodOptions<InferOutput<State>, Events, Ctx, Inputs, Results>;
  /** Schemas of the events that handlers may emit. */
  readonly events?: Events & EventSchemas;
  /** Version of the state's shape: a whole number, 1 by default. Raise it together with `migrate`. */
  readonly version?: number;
  /** Makes a state of this version from a stored one of an older version; the schema checks what it returns. */
  readonly migrate?: (state: unknown, fromVersion: number) => InferInput<State> | Promise<InferInput<State>>;
  /** What an acknowledged call survives; `durable` by default. */
  readonly durability?: Durability;
  /**
   * Keeps the last `events` events of each actor (and at most 1 MiB of them), with their turn's commit: a client that was
   * away gets what it missed, once and in order. Without it an event reaches who is there. Not for `memory` actors.
   */
  readonly history?: { readonly events: number };
  /** May this caller see state and events? Only `true` lets it. Without it, middleware decides. */
  readonly authorize?: (caller: Caller) => boolean | Promise<boolean>;
  /** Before the first call after the actor came into memory. Also the place to tidy up after a crash. */
  readonly onActivate?: (context: ActorContext<InferOutput<State>, Events>) => unknown;
  /** Before the actor leaves memory. Not called when the process dies. */
  readonly onDeactivate?: (context: ActorContext<InferOutput<State>, Events>) => unknown;
  /** When a client calls or subscribes for the first time in its session. */
  readonly onConnect?: (context: ConnectionContext<InferOutput<State>, Events>) => unknown;
  /**
   * When that client's session has ended: it left, or its connection was lost for longer than the grace. Exactly once for
   * each `onConnect`; after a crash of the process it runs when the actor is next in memory, before any call.
   */
  readonly onDisconnect?: (context: ConnectionContext<InferOutput<State>, Events>) => unknown;
}

/** The signature of `actor`, for handlers that get `Ctx` from middleware. */
export type DefineActor<Ctx> = <State extends StateSchema, Events = object, Inputs = object, Results = object>(
  options: ActorOptions<State, Events, Inputs, Results, Ctx>,
) => Actor<{ state: InferOutput<State>; methods: ClientMethods<Inputs, Results>; events: ClientEvents<Events> }>;

/**
 * Defines an actor.
 * @throws DefinitionError that names what is wrong and what would be right
 */
export const actor: DefineActor<object> = (options) => defineActor(options, []);

const optionNames = [
  'state',
  'methods',
  'events',
  'version',
  'migrate',
  'durability',
  'history',
  'authorize',
  'onActivate',
  'onDeactivate',
  'onConnect',
  'onDisconnect',
];

/** The same with middleware, types erased: what is given is checked, not believed. */
export function defineActor(options: unknown, middleware: readonly AnyMiddleware[]): ActorDefinition {
  if (!isPlainObject(options)) throw new DefinitionError('actor() takes one object: actor({ state, methods })');
  refuseUnknownOptions('actor()', options, optionNames);
  const state = checkSchema('state', options.state);
  checkFirstState(state);
  const version = checkVersion(options.version);
  const migrate = optionalFunction('migrate', options);
  if (migrate !== undefined && version === 1) {
    throw new DefinitionError(
      'actor(): "migrate" needs "version" 2 or more: raise the version when the shape of the state changes',
    );
  }
  const durability = durabilityOf(options.durability);
  return Object.freeze<ActorDefinition>({
    kind: 'fermata.actor',
    state,
    version,
    migrate,
    durability,
    historyEventsMax: checkHistory(options.history, durability),
    methods: checkMethods(options.methods),
    events: checkEvents(options.events),
    middleware,
    authorize: optionalFunction('authorize', options),
    onActivate: optionalFunction('onActivate', options),
    onDeactivate: optionalFunction('onDeactivate', options),
    onConnect: optionalFunction('onConnect', options),
    onDisconnect: optionalFunction('onDisconnect', options),
  });
}
