/**
 * The rules that each part of an actor's definition keeps, one function per part. They return the checked part, or throw
 * a DefinitionError that says which name it is about, what is wrong, and what would be right.
 */
import { isName } from '../protocol/address.ts';
import { DefinitionError, describeValue, isPlainObject, refuseUnknownOptions } from './definition-error.ts';
import type { ActorDefinition, AnyHandler, Durability, MethodDefinition } from './definition.ts';
import { suggestion } from '../protocol/suggestion.ts';
import type { StandardSchemaV1 } from './schema.ts';

/** Names that a client's handle uses itself, or that would make a promise or a JSON value of it. */
const handleNames: ReadonlySet<string> = new Set(['then', 'catch', 'finally', 'toJSON', 'on', 'state', 'meta']);
/** The same for the client, whose names are actors. */
const clientNames: ReadonlySet<string> = new Set(['then', 'catch', 'finally', 'toJSON', 'connection']);
const durabilities: readonly Durability[] = ['durable', 'process', 'memory'];
const legalName = 'a letter, then at most 63 letters, digits, "_" or "-"';

/** @throws DefinitionError unless `value` is a Standard Schema of version 1 */
export function checkSchema(what: string, value: unknown): StandardSchemaV1 {
  if (value === undefined)
    throw new DefinitionError(`actor(): ${quote(what)} is missing: give it a schema, such as z.object({ … })`);
  const standard =
    (typeof value === 'object' && value !== null) || typeof value === 'function'
      ? (value as Partial<StandardSchemaV1>)['~standard']
      : undefined;
  if (typeof standard?.validate !== 'function') {
    throw new DefinitionError(
      `actor(): ${quote(what)} must be a Standard Schema (zod, valibot, arktype and others are), not ${describeValue(value)}`,
    );
  }
  if (standard.version !== 1) {
    throw new DefinitionError(
      `actor(): ${quote(what)} is a Standard Schema of version ${String(standard.version)}; Fermata reads version 1`,
    );
  }
  return value as StandardSchemaV1;
}

/** A new actor starts with what the schema makes of `{}`, so a schema that refuses it could never start one. */
export function checkFirstState(schema: StandardSchemaV1): void {
  const result = schema['~standard'].validate({});
  // An asynchronous schema is asked when an actor starts; its rejection belongs to that moment.
  if (result instanceof Promise) {
    result.catch(() => {});
    return;
  }
  if (result.issues !== undefined) {
    const [issue] = result.issues;
    const path = (issue?.path ?? [])
      .map((segment) => String(typeof segment === 'object' ? segment.key : segment))
      .join('.');
    const where = path === '' ? '' : ` at "${path}"`;
    throw new DefinitionError(
      `actor(): a new actor's state is what the schema makes of {}, and this one refuses it${where} (${issue?.message ?? 'no reason given'}): ` +
        'give every field a default, such as z.number().default(0)',
    );
  }
  if (typeof result.value !== 'object' || result.value === null) {
    throw new DefinitionError(
      `actor(): a state must be an object or an array, and this schema makes ${describeValue(result.value)} of {}`,
    );
  }
}

export function checkVersion(value: unknown): number {
  if (value === undefined) return 1;
  if (Number.isSafeInteger(value) && (value as number) >= 1) return value as number;
  throw new DefinitionError(`actor(): "version" must be a whole number of 1 or more, not ${describeValue(value)}`);
}

export function durabilityOf(value: unknown): Durability {
  if (value === undefined) return 'durable';
  const known = durabilities.find((durability) => durability === value);
  if (known !== undefined) return known;
  const near = typeof value === 'string' ? suggestion(value, durabilities) : undefined;
  const hint = near === undefined ? '' : `; did you mean "${near}"?`;
  throw new DefinitionError(
    `actor(): "durability" must be "durable", "process" or "memory", not ${describeValue(value)}${hint}`,
  );
}

const historyEventsMost = 100_000;

/** How many events to keep; 0 without the option. */
export function checkHistory(value: unknown, durability: Durability): number {
  if (value === undefined) return 0;
  if (!isPlainObject(value)) {
    throw new DefinitionError(
      `actor(): "history" must be an object, such as { events: 100 }, not ${describeValue(value)}`,
    );
  }
  refuseUnknownOptions('actor(): history', value, ['events']);
  const { events } = value;
  if (!Number.isSafeInteger(events) || (events as number) < 1 || (events as number) > historyEventsMost) {
    throw new DefinitionError(
      `actor(): "history.events" must be a whole number from 1 to ${historyEventsMost}, not ${describeValue(events)}`,
    );
  }
  if (durability === 'memory') {
    throw new DefinitionError(
      'actor(): "history" needs an actor that is stored: take "durability" durable or process, or leave "history" out',
    );
  }
  return events as number;
}

type FunctionOption = 'migrate' | 'authorize' | 'onActivate' | 'onDeactivate' | 'onConnect' | 'onDisconnect';

/** A function that may be left out. What it takes and returns is the compiler's affair. */
export function optionalFunction<Name extends FunctionOption>(
  name: Name,
  options: Record<string, unknown>,
): ActorDefinition[Name] {
  const value = options[name];
  if (value !== undefined) checkFunction(name, value);
  return value as ActorDefinition[Name];
}

function checkFunction(what: string, value: unknown): void {
  if (typeof value !== 'function')
    throw new DefinitionError(`actor(): ${quote(what)} must be a function, not ${describeValue(value)}`);
}

export function checkMethods(value: unknown): ReadonlyMap<string, MethodDefinition> {
  if (!isPlainObject(value)) {
    throw new DefinitionError(
      `actor(): "methods" must be an object of methods, such as { add: { input: schema, handler({ state, input }) { … } } }, not ${describeValue(value)}`,
    );
  }
  return new Map(Object.entries(value).map(([name, method]) => [name, checkMethod(name, method)]));
}

function checkMethod(name: string, method: unknown): MethodDefinition {
  checkName('method', name);
  if (isReserved(name, handleNames)) {
    throw new DefinitionError(`actor(): "${name}" cannot be a method: clients' handles keep that name for themselves`);
  }
  if (!isPlainObject(method)) {
    throw new DefinitionError(
      `actor(): method "${name}" must be an object with a handler, ${name}: { handler() { … } }, not ${describeValue(method)}`,
    );
  }
  refuseUnknownOptions(`actor(): method "${name}"`, method, ['input', 'handler']);
  if (method.handler === undefined)
    throw new DefinitionError(`actor(): method "${name}" has no handler: ${name}: { handler() { … } }`);
  checkFunction(`methods.${name}.handler`, method.handler);
  const input = method.input === undefined ? undefined : checkSchema(`methods.${name}.input`, method.input);
  return Object.freeze({ input, handler: method.handler as AnyHandler });
}

export function checkEvents(value: unknown): ReadonlyMap<string, StandardSchemaV1> {
  if (value === undefined) return new Map();
  if (!isPlainObject(value)) {
    throw new DefinitionError(
      `actor(): "events" must be an object of schemas, such as { message: z.object({ … }) }, not ${describeValue(value)}`,
    );
  }
  return new Map(
    Object.entries(value).map(([name, schema]) => {
      checkName('event', name);
      return [name, checkSchema(`events.${name}`, schema)];
    }),
  );
}

function checkName(what: string, name: string): void {
  if (!isName(name))
    throw new DefinitionError(`actor(): ${JSON.stringify(name)} is no legal ${what} name: ${legalName}`);
}

function quote(what: string): string {
  return `"${what}"`;
}

/** @throws DefinitionError unless `name` may name an actor of an app */
export function checkActorName(name: string): void {
  if (!isName(name)) {
    throw new DefinitionError(`createApp(): ${JSON.stringify(name)} is no legal actor name: ${legalName}`);
  }
  if (isReserved(name, clientNames)) {
    throw new DefinitionError(`createApp(): "${name}" cannot be an actor: clients keep that name for themselves`);
  }
}

/** Also what every object inherits (`constructor`, `toString`): on a client it would mean something else. */
function isReserved(name: string, names: ReadonlySet<string>): boolean {
  return names.has(name) || name in Object.prototype;
}
