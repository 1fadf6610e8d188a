/**
 * The front door for authors of actors: `import { actor, createApp } from 'fermata'`. Clients enter by `fermata/client`.
 */
export { actor } from './actor/actor.ts';
export { createApp } from './actor/app.ts';
export { middleware } from './actor/middleware.ts';
export { presence } from './actor/presence.ts';
export { AppError } from './protocol/errors.ts';

export type { ActorOptions, DefineActor, MethodOptions } from './actor/actor.ts';
export type { ActorContext, ConnectionContext, Emit, InputArguments, MethodContext } from './actor/context.ts';
export type {
  ActorDefinition,
  AppDefinition,
  Caller,
  Durability,
  EmitTarget,
  Log,
  MiddlewareArgs,
} from './actor/definition.ts';
export type {
  Actor,
  ActorsOf,
  ActorTypes,
  App,
  ClientEvents,
  ClientMethods,
  EventsOf,
  MethodsOf,
  OverJson,
  StateOf,
} from './actor/infer.ts';
export type { ExtendedCtx, Middleware } from './actor/middleware.ts';
export type { PresenceHooks, PresentClient } from './actor/presence.ts';
export type { InferInput, InferOutput, StandardSchemaV1 } from './actor/schema.ts';
export type { AppErrorOptions, ErrorCode, Outcome } from './protocol/errors.ts';
