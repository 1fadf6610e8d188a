/**
 * Who is here: an actor's `onConnect` and `onDisconnect` that keep one entry per connected client in its state.
 *
 *     actor({
 *       state: z.object({ online: z.record(z.string(), z.object({ name: z.string() })).default({}) }),
 *       ...presence('online', ({ clientId, userId }) => ({ name: userId ?? clientId })),
 *       methods: { … },
 *     });
 *
 * Entries are keyed by client id: a person with two tabs has two. A client that comes back within its session's grace
 * keeps its entry; one that is gone loses it exactly once, also when the process died in between. A handler may change
 * `state.online[clientId]`, for a cursor or a status.
 */
import type { ConnectionContext } from './context.ts';
import { DefinitionError, describeValue } from './definition-error.ts';

/** Who connects, and the actor's time. */
export type PresentClient = Pick<ConnectionContext<unknown, unknown>, 'clientId' | 'userId' | 'claims' | 'now'>;

type PresenceState<Field extends string, Entry> = { [Name in Field]: Record<string, Entry> };

export interface PresenceHooks<Field extends string, Entry> {
  readonly onConnect: (context: PresentClient & { readonly state: PresenceState<Field, Entry> }) => void;
  readonly onDisconnect: (context: PresentClient & { readonly state: PresenceState<Field, Entry> }) => void;
}

/**
 * `field` names a record in the state; `describe` makes a client's entry when it connects.
 * @throws DefinitionError when one of them is of the wrong kind
 */
export function presence<Field extends string, Entry>(
  field: Field,
  describe: (client: PresentClient) => Entry,
): PresenceHooks<Field, Entry> {
  if (typeof field !== 'string' || field === '')
    throw new DefinitionError(
      `presence(): the field must be the name of a record in the state, not ${describeValue(field)}`,
    );
  if (typeof describe !== 'function') {
    throw new DefinitionError(
      `presence("${field}"): the second argument must be a function that makes a client's entry, not ${describeValue(describe)}`,
    );
  }
  return {
    onConnect: (context) => {
      const entries: Record<string, Entry> = context.state[field];
      entries[context.clientId] = describe(context);
    },
    onDisconnect: ({ state, clientId }) => {
      delete state[field][clientId];
    },
  };
}
