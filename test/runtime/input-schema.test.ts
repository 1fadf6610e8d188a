/** Schemas that take their time: the turn waits, and ends as it would with one that answers at once. */
import { afterEach, expect, it } from 'vitest';
import { z } from 'zod';
import { actor, AppError, createApp } from '../../src/index.ts';
import { Rig } from './rig.ts';
import { ok, refused } from './rig-app.ts';

// By hand: zod runs an asynchronous refinement twice and lets go of the first, whose rejection nobody would catch.
const slowly = {
  '~standard': {
    version: 1,
    vendor: 'hand',
    validate: async (value: unknown) => {
      const { amount } = value as { amount: number };
      await Promise.resolve();
      if (amount === 13) throw new Error('the register cannot be reached');
      if (amount === 14) throw new AppError('UNLUCKY', 'Not on a Friday');
      return amount > 0 ? { value: { amount } } : { issues: [{ message: 'too small' }] };
    },
  },
} as const;

const counter = actor({
  state: z.object({ count: z.number().default(0) }),
  methods: { add: { input: slowly, handler: ({ state, input }) => (state.count += input.amount) } },
});

let rig: Rig;
afterEach(async () => {
  await rig.stop();
  rig.remove();
});

it('are waited for, and their refusals and faults are those of the call', async () => {
  rig = new Rig(createApp({ actors: { counter } }));
  const session = rig.session();
  const add = (amount: number) => rig.call(session, 'counter', 'c1', 'add', { amount });
  const replies = await Promise.all([1, -1, 13, 14, 2].map(add));
  expect(replies).toEqual([
    ok(1),
    refused('INVALID'),
    refused('INTERNAL'),
    refused('UNLUCKY', 'Not on a Friday'),
    ok(3),
  ]);
});
