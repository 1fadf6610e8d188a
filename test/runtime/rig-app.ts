/**
 * The actors that the shard's tests run, the gate that holds their slow method, and the two shapes of a reply.
 */
import { expect } from 'vitest';
import { z } from 'zod';
import { actor, AppError, createApp, middleware } from '../../src/index.ts';

export const gate = { open: () => undefined as void, closed: Promise.resolve() };
export function closeGate(): void {
  gate.closed = new Promise((resolve) => {
    gate.open = resolve;
  });
}

export const kept: { state?: { count: number } } = {};
export const log: string[] = [];

const counter = actor({
  state: z.object({ count: z.number().default(0), items: z.array(z.object({ n: z.number() })).default([]) }),
  methods: {
    add: {
      input: z.object({ amount: z.number() }),
      handler: ({ state, input, emit }) => {
        state.count += input.amount;
        emit('added', { amount: input.amount }).broadcast();
        return state.count;
      },
    },
    get: { handler: ({ state }) => state.count },
    nothing: { handler: () => undefined },
    push: {
      handler: ({ state }) => {
        state.items.push({ n: state.items.length });
        return state.items;
      },
    },
    raiseLast: {
      handler: ({ state }) => {
        const last = state.items.pop()!;
        last.n += 10;
        state.items.push(last);
        return state.items;
      },
    },
    fail: {
      handler: ({ state, emit }) => {
        state.count = 999;
        emit('added', { amount: 999 }).broadcast();
        throw new Error('no');
      },
    },
    failOddly: {
      handler: () => {
        // oxlint-disable-next-line no-throw-literal, only-throw-error
        throw 'text';
      },
    },
    failEmptily: {
      handler: () => {
        // oxlint-disable-next-line error-message
        throw new Error('');
      },
    },
    slow: {
      handler: async ({ state }) => {
        kept.state = state;
        await gate.closed;
        state.count += 1;
        return state.count;
      },
    },
    wrongEvent: {
      handler: ({ state, emit }) => {
        state.count += 1;
        try {
          emit('nope' as 'added', { amount: 1 });
        } catch {
          return 'caught';
        }
        return 'sent';
      },
    },
    huge: {
      handler: ({ state }) => {
        state.items = Array.from({ length: 5000 }, (_, n) => ({ n }));
      },
    },
    cyclic: {
      handler: () => {
        const circle: Record<string, unknown> = {};
        circle['self'] = circle;
        return circle;
      },
    },
    who: { handler: ({ clients, clientId, tenant, userId }) => ({ clients: [...clients], clientId, tenant, userId }) },
    whisper: {
      input: z.object({ to: z.array(z.string()), except: z.boolean().default(false) }),
      handler: ({ emit, input }) => {
        const whisper = emit('added', { amount: 7 });
        if (input.except) whisper.except(input.to);
        else whisper.to(input.to);
      },
    },
  },
  events: { added: z.object({ amount: z.number() }) },
});

const visits = actor({
  state: z.object({ online: z.array(z.string()).default([]), activations: z.number().default(0) }),
  methods: { list: { handler: ({ state }) => state } },
  onActivate: ({ state }) => {
    state.activations += 1;
  },
  onDeactivate: () => void log.push('deactivated'),
  onConnect: ({ state, clientId }) => {
    state.online.push(clientId);
    if (clientId === 'bad') throw new Error('hook');
  },
  onDisconnect: ({ state, clientId }) => {
    state.online = state.online.filter((id) => id !== clientId);
  },
});

const members = middleware()
  .use(({ claims, kind }) => {
    if (claims['member'] !== true) throw new AppError('FORBIDDEN', `Members only (${kind})`);
    return { member: true };
  })
  .actor({
    state: z.object({ secret: z.string().default('s') }),
    methods: { tell: { handler: ({ state, ctx }) => [state.secret, ctx.member] } },
  });

const fleeting = actor({
  state: z.object({ count: z.number().default(0) }),
  durability: 'memory',
  methods: { add: { handler: ({ state }) => (state.count += 1) } },
});

export const app = createApp({ actors: { counter, visits, members, fleeting } });

export const ok = (result: unknown) => expect.objectContaining({ ok: true, result }) as unknown;
export const refused = (code: string, message?: string) =>
  expect.objectContaining({
    ok: false,
    error: expect.objectContaining(message === undefined ? { code } : { code, message }) as unknown,
  }) as unknown;
