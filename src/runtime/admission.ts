/**
 * What stands before a handler: is the input valid, does middleware let this caller through, may it subscribe.
 * All of it computes and returns or throws an AppError; nothing here touches state.
 */
import type { Caller, MiddlewareArgs } from '../actor/definition.ts';
import type { SchemaResult, StandardSchemaV1 } from '../actor/schema.ts';
import { AppError } from '../protocol/errors.ts';
import type { Activation } from './activation.ts';
import type { Session } from './sessions.ts';
import { isThenable, type Step } from './turn.ts';

/** @throws AppError INVALID with the schema's issues */
export function* validateInput(schema: StandardSchemaV1 | undefined, method: string, input: unknown): Step<unknown> {
  if (schema === undefined) return undefined;
  const validated = schema['~standard'].validate(input);
  const result = isThenable(validated) ? ((yield validated) as SchemaResult<unknown>) : validated;
  if (result.issues === undefined) return result.value;
  throw new AppError('INVALID', `Validation failed for ${method}: ${JSON.stringify(result.issues)}`);
}

/** Runs the chain for a call and returns what it gathered. @throws whatever a middleware throws */
export function* runMiddleware(
  activation: Activation,
  session: Session,
  method: string | undefined,
): Step<Record<string, unknown>> {
  let ctx: Record<string, unknown> = {};
  const caller = callerOf(activation, session);
  for (const middleware of activation.definition.middleware) {
    const args: MiddlewareArgs<Record<string, unknown>> =
      method === undefined ? { ...caller, ctx, kind: 'subscribe', method } : { ...caller, ctx, kind: 'call', method };
    const returned = middleware(args);
    const added = isThenable(returned) ? yield returned : returned;
    if (typeof added === 'object' && added !== null) ctx = { ...ctx, ...added };
  }
  return ctx;
}

/**
 * May this session see the actor's state and events? The actor's own `authorize` decides; without it, middleware does.
 * @throws AppError FORBIDDEN when `authorize` returns false, or what it or a middleware throws
 */
export function* allowSubscription(activation: Activation, session: Session): Step<void> {
  const { authorize, middleware } = activation.definition;
  if (authorize !== undefined) {
    const returned = authorize(callerOf(activation, session));
    const allowed = isThenable(returned) ? yield returned : returned;
    if (allowed === false) throw new AppError('FORBIDDEN', 'Not allowed to see this actor');
  } else if (middleware.length > 0) {
    yield* runMiddleware(activation, session, undefined);
  }
}

function callerOf(activation: Activation, session: Session): Caller {
  const { tenant, type: actor, id: actorId } = activation.address;
  const { clientId, userId, claims } = session.info;
  return { tenant, actor, actorId, clientId, userId, claims };
}
