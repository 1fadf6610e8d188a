import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { actor, presence } from 'fermata';
import { DefinitionError } from '../../src/actor/definition-error.ts';

interface Entry {
  name: string;
  since: number;
}

const client = (clientId: string, state: { online: Record<string, Entry> }) => ({
  clientId,
  userId: `user-${clientId}`,
  claims: {},
  now: () => 7,
  state,
});

describe('presence()', () => {
  test('keeps one entry per client, as long as it is there', () => {
    const { onConnect, onDisconnect } = presence('online', ({ userId, clientId, now }) => ({
      name: userId ?? clientId,
      since: now(),
    }));
    const state: { online: Record<string, Entry> } = { online: {} };
    onConnect(client('a', state));
    onConnect(client('b', state));
    expect(state.online).toEqual({ a: { name: 'user-a', since: 7 }, b: { name: 'user-b', since: 7 } });
    onDisconnect(client('a', state));
    onDisconnect(client('a', state));
    expect(Object.keys(state.online)).toEqual(['b']);
  });

  test('fits into an actor whose state has such a record, and into no other', () => {
    const named = z.record(z.string(), z.object({ name: z.string() })).default({});
    const describeClient = ({ clientId }: { clientId: string }): { name: string } => ({ name: clientId });
    const fitting = actor({ state: z.object({ online: named }), ...presence('online', describeClient), methods: {} });
    expect(fitting.onConnect).toBeTypeOf('function');
    // @ts-expect-error: the state has no record of this name
    actor({ state: z.object({ online: named }), ...presence('present', describeClient), methods: {} });
    // @ts-expect-error: its entries are something else
    actor({ state: z.object({ online: named }), ...presence('online', () => ({ title: 'x' })), methods: {} });
  });

  test('says what is wrong with its arguments', () => {
    const loose = presence as (field: unknown, describe?: unknown) => unknown;
    expect(() => loose('')).toThrow(DefinitionError);
    expect(() => loose('')).toThrow('the field must be the name of a record in the state');
    expect(() => loose('online', {})).toThrow('presence("online"): the second argument must be a function');
  });
});
