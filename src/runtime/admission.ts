/**
 * What stands before a handler: is the input valid, does middleware let this caller through, may it subscribe.
 * All of it computes and returns or throws an AppError; nothing here touches state.
 */
import type { Caller, MiddlewareArgs } from '../actor/definition.ts';
import type { SchemaIssue, SchemaResult, StandardSchemaV1 } from '../actor/schema.ts';
import { AppError } from '../protocol/errors.ts';
import type { Activation } from './activation.ts';
import type { Session } from './sessions.ts';
import { isThenable, type Step } from './turn.ts';

/** What the schema says, later when it takes its time. @throws AppError INTERNAL when the schema itself throws */
export function validate(
  schema: StandardSchemaV1,
  method: string,
  input: unknown,
): SchemaResult<unknown> | Promise<SchemaResult<unknown>> {
  try {
    const result = schema['~standard'].validate(input);
    return isThenable(result) ? wrapped(result, method) : result;
  } catch (thrown) {
    throw schemaFault(thrown, method);
  }
}

async function wrapped(result: PromiseLike<SchemaResult<unknown>>, method: string): Promise<SchemaResult<unknown>> {
  try {
    return await result;
  } catch (thrown) {
    throw schemaFault(thrown, method);
  }
}

function schemaFault(thrown: unknown, method: string): AppError {
  if (thrown instanceof AppError) return thrown;
  return new AppError('INTERNAL', `the input schema of method ${method} threw`, { cause: thrown });
}

/** The input as the handler gets it. @throws AppError INVALID with the schema's issues */
export function accepted(result: SchemaResult<unknown>, method: string): unknown {
  if (result.issues === undefined) return result.value;
  throw new AppError('INVALID', `Validation failed for ${method}: ${issuesText(result.issues)}`);
}

/** Issues as JSON, cut to what a person reads: hostile input can make millions of them. */
export function issuesText(issues: readonly SchemaIssue[]): string {
  const first = issues.slice(0, issuesMax);
  const whole = jsonText(first);
  if (whole.length <= issueCharsMax) return whole;
  return jsonText(first.map(({ message, path }) => ({ message: message.slice(0, 100), path: path?.slice(0, 8) })));
}

const issuesMax = 20;
const issueCharsMax = 3000;

function jsonText(value: unknown): string {
  return JSON.stringify(value, (_key, child: unknown) => (typeof child === 'bigint' ? `${child}n` : child));
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
 * @throws AppError FORBIDDEN unless `authorize` returns true, or what it or a middleware throws
 */
export function* allowSubscription(activation: Activation, session: Session): Step<void> {
  const { authorize, middleware } = activation.definition;
  if (authorize !== undefined) {
    const returned = authorize(callerOf(activation, session));
    const allowed = isThenable(returned) ? yield returned : returned;
    if (allowed !== true) throw new AppError('FORBIDDEN', 'Not allowed to see this actor');
  } else if (middleware.length > 0) {
    yield* runMiddleware(activation, session, undefined);
  }
}

function callerOf(activation: Activation, session: Session): Caller {
  const { tenant, type: actor, id: actorId } = activation.address;
  const { clientId, userId, claims } = session.info;
  return { tenant, actor, actorId, clientId, userId, claims };
}
