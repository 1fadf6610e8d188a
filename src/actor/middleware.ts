/**
 * Middleware: functions that run before each call and each subscription, in order. What they return is merged into the
 * `ctx` of handlers; what they throw refuses the caller. A builder never changes, so that one chain can be shared and
 * extended in two directions.
 */
import { type DefineActor, defineActor } from './actor.ts';
import { DefinitionError, describeValue } from './definition-error.ts';
import type { AnyMiddleware, MiddlewareArgs } from './definition.ts';

export interface Middleware<Ctx> {
  /**
   * A new chain with `fn` at its end. `fn` may be async; it returns an object for `ctx`, or nothing.
   * Its `kind` is `call` or `subscribe`; only a call has a `method`.
   */
  use<Result extends object | void>(
    fn: (args: MiddlewareArgs<Ctx>) => Result | Promise<Result>,
  ): Middleware<ExtendedCtx<Ctx, Result>>;
  /** Like `actor()`, with everything that the chain returned in `ctx`. */
  readonly actor: DefineActor<Ctx>;
}

/** `ctx` after one more function; what it returns wins over what was there. */
export type ExtendedCtx<Ctx, Result> = [Result] extends [void] ? Ctx : Flat<Omit<Ctx, keyof Result> & Result>;
type Flat<T> = { [Key in keyof T]: T[Key] };

/** An empty chain: `middleware().use(…).use(…).actor({…})`. */
export function middleware(): Middleware<object> {
  return chain([]);
}

function chain<Ctx>(functions: readonly AnyMiddleware[]): Middleware<Ctx> {
  return Object.freeze<Middleware<Ctx>>({
    use: (fn) => {
      if (typeof fn !== 'function')
        throw new DefinitionError(`middleware(): use() takes a function, not ${describeValue(fn)}`);
      return chain(Object.freeze([...functions, fn as AnyMiddleware]));
    },
    actor: (options) => defineActor(options, functions),
  });
}
