/**
 * The types that travel from `actor({...})` to the client: every definition carries them under `~types`, which exists
 * for the compiler only. A client names an app by `typeof app` and reads the rest with the helpers below.
 */
import type { ActorDefinition, AppDefinition } from './definition.ts';
import type { InputArguments } from './context.ts';
import type { InferOutput, StandardSchemaV1 } from './schema.ts';

export interface ActorTypes {
  readonly state: object;
  /** Name → function, as `ClientMethods` makes them. */
  readonly methods: object;
  /** Name → payload. */
  readonly events: object;
}

/** What `actor()` returns. */
export interface Actor<Types extends ActorTypes = ActorTypes> extends ActorDefinition {
  readonly '~types'?: Types | undefined;
}

export type ActorMap = Readonly<Record<string, Actor>>;

/** What `createApp()` returns. */
export interface App<Actors extends ActorMap = ActorMap> extends AppDefinition {
  readonly '~types'?: Actors | undefined;
}

/** Name → actor, of an app. */
export type ActorsOf<AnyApp extends App> = NonNullable<AnyApp['~types']>;
/** The state that subscribers see. */
export type StateOf<AnyActor extends Actor> = NonNullable<AnyActor['~types']>['state'];
/** Name → `(input) => Promise<result>`: without argument where the method has no schema, optional where it takes undefined. */
export type MethodsOf<AnyActor extends Actor> = NonNullable<AnyActor['~types']>['methods'];
/** Name → payload, as the event's schema passes it on. */
export type EventsOf<AnyActor extends Actor> = NonNullable<AnyActor['~types']>['events'];

/**
 * Of the schemas and results that `actor()` inferred, by method name. The results have every name; the compiler leaves
 * `Inputs` empty when no method has a schema.
 */
export type ClientMethods<Inputs, Results> = {
  readonly [Name in keyof Results]: (
    ...input: InputArguments<Name extends keyof Inputs ? Inputs[Name] : unknown>
  ) => Promise<OverJson<Awaited<Results[Name]>>>;
};

export type ClientEvents<Events> = { readonly [Name in keyof Events]: OverJson<InferOutput<Events[Name]>> };

/** What arrives of a value that travels as JSON: a Date is a string at the other end, a function is not there. */
export type OverJson<T> = 0 extends 1 & T
  ? T
  : T extends string | number | boolean | null | undefined | void
    ? T
    : T extends { toJSON(): infer Written }
      ? Written
      : T extends (...args: never[]) => unknown
        ? undefined
        : T extends object
          ? { [Key in keyof T]: OverJson<T[Key]> }
          : T;

/** What a handler gets of its schema; undefined where there is none. */
export type HandlerInput<Schema> = unknown extends Schema
  ? undefined
  : Schema extends StandardSchemaV1
    ? InferOutput<Schema>
    : undefined;
