/** The source of an app for a place where no schema library is installed: its schemas are made by hand. */
export const handMadeApp = `
import { actor, createApp } from 'fermata';

const schema = (validate) => ({ '~standard': { version: 1, vendor: 'hand', validate } });

const counter = actor({
  state: schema((value) => ({ value: { count: 0, ...value } })),
  methods: {
    add: {
      input: schema((value) => (typeof value?.amount === 'number' ? { value } : { issues: [{ message: 'amount is missing' }] })),
      handler: ({ state, input }) => (state.count += input.amount),
    },
  },
});

export const app = createApp({ actors: { counter } });
`;
