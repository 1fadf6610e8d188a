/**
 * `createApp()`: names the actors that are served. The name given here is the actor's type in addresses, in URLs and on
 * disk, so renaming one leaves its stored actors behind.
 */
import { DefinitionError, describeValue, isPlainObject, refuseUnknownOptions } from './definition-error.ts';
import type { ActorDefinition } from './definition.ts';
import type { ActorMap, App } from './infer.ts';
import { checkActorName } from './rules.ts';

/**
 * Defines an app. Export it from the module that is served.
 * @throws DefinitionError that names what is wrong and what would be right
 */
export function createApp<const Actors extends ActorMap>(options: { readonly actors: Actors }): App<Actors> {
  const given: unknown = options;
  if (!isPlainObject(given)) throw new DefinitionError('createApp() takes one object: createApp({ actors: { chat } })');
  const loose = Object.entries(given).find(([, value]) => isActor(value));
  if (loose !== undefined)
    throw new DefinitionError(`createApp(): put "${loose[0]}" under actors: createApp({ actors: { ${loose[0]} } })`);
  refuseUnknownOptions('createApp()', given, ['actors']);
  if (!isPlainObject(given.actors)) {
    throw new DefinitionError(
      `createApp(): "actors" must be an object of actors, such as { chat }, not ${describeValue(given.actors)}`,
    );
  }
  const actors = new Map<string, ActorDefinition>();
  for (const [name, value] of Object.entries(given.actors)) {
    checkActorName(name);
    if (!isActor(value)) {
      throw new DefinitionError(
        `createApp(): "${name}" is no actor: it must be what actor({ state, methods }) returns, not ${describeValue(value)}`,
      );
    }
    actors.set(name, value);
  }
  if (actors.size === 0)
    throw new DefinitionError('createApp(): an app needs at least one actor: createApp({ actors: { chat } })');
  return Object.freeze({ kind: 'fermata.app', actors });
}

/** By its word, not by its class: the author may have another copy of the package. */
function isActor(value: unknown): value is ActorDefinition {
  return typeof value === 'object' && value !== null && (value as Partial<ActorDefinition>).kind === 'fermata.actor';
}
