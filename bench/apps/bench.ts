/** The actors that are measured: a counter in each durability, two shapes that Immer finds hard, one to be watched. */
import { actor, createApp, type Durability } from 'fermata';
import { z } from 'zod';

const counter = (durability: Durability) =>
  actor({
    durability,
    state: z.object({ count: z.number().default(0) }),
    methods: {
      add: {
        input: z.object({ amount: z.number() }),
        handler: ({ state, input }) => (state.count += input.amount),
      },
    },
  });

const message = z.object({ from: z.string(), text: z.string(), at: z.number() });
const listItemsMax = 200;
const mapKeys = 10_000;

/** Holds the last 200 messages: each call pushes one and shifts one. */
const list = actor({
  state: z.object({
    items: z
      .array(message)
      .default(() => Array.from({ length: listItemsMax }, (_, at) => ({ from: 'somebody', text: 'hello there', at }))),
  }),
  methods: {
    push: {
      input: z.object({ text: z.string() }),
      handler({ state, input, now }) {
        state.items.push({ from: 'somebody', text: input.text, at: now() });
        if (state.items.length > listItemsMax) state.items.shift();
        return state.items.length;
      },
    },
  },
});

/** 10,000 keys in one object: each call sets one of them. */
const map = actor({
  state: z.object({
    entries: z
      .record(z.string(), z.number())
      .default(() => Object.fromEntries(Array.from({ length: mapKeys }, (_, key) => [`k${key}`, 0]))),
  }),
  methods: {
    set: {
      input: z.object({ number: z.string() }),
      handler({ state, input }) {
        state.entries[`k${Number(input.number) % mapKeys}`] = Number(input.number);
        return true;
      },
    },
  },
});

/** Watched by many. */
const board = actor({
  state: z.object({ value: z.number().default(0) }),
  methods: { raise: { handler: ({ state }) => (state.value += 1) } },
});

export default createApp({
  actors: {
    counter: counter('durable'),
    counterProcess: counter('process'),
    counterMemory: counter('memory'),
    list,
    map,
    board,
  },
});
