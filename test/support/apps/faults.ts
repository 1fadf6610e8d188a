/** Every way in which an author's code can end or block its thread. Run by the supervision tests. */
import { z } from 'zod';
import { actor, createApp } from 'fermata';

const faults = actor({
  state: z.object({ count: z.number().default(0) }),
  methods: {
    add: { handler: ({ state }) => (state.count += 1) },
    get: { handler: ({ state }) => state.count },
    exit: { handler: () => process.exit(3) },
    exitLater: { handler: () => void setTimeout(() => process.exit(3), 5) },
    throwLater: {
      handler: () =>
        void setTimeout(() => {
          throw new Error('thrown outside any turn');
        }, 1),
    },
    rejectUnawaited: { handler: () => void Promise.reject(new Error('nobody awaited this')) },
    loop: {
      handler: () => {
        for (;;);
      },
    },
    heap: {
      handler: () => {
        const hoard: unknown[] = [];
        for (;;) hoard.push(Array.from({ length: 1000 }, (_, n) => ({ n, text: `${n}${hoard.length}` })));
      },
    },
    stack: {
      handler: () => {
        const down = (n: number): number => down(n + 1) + 1;
        return down(0);
      },
    },
    hang: { handler: () => new Promise<never>(() => undefined) },
    unserialisable: { handler: () => ({ big: 1n }) },
    fiftyMegabytes: { handler: () => 'x'.repeat(50 * 1024 * 1024) },
    buffers: {
      handler: () => {
        const hoard: ArrayBuffer[] = [];
        for (let n = 0; n < 64; n += 1) hoard.push(new ArrayBuffer(8 * 1024 * 1024));
        return hoard.length;
      },
    },
  },
});

export const app = createApp({ actors: { faults } });
