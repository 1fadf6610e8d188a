import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

// Journeys start whole servers on a machine that may have two cores, so files run three at a time and waits are generous.
export default defineConfig({
  resolve: { conditions: ['fermata-source'] },
  ssr: { resolve: { conditions: ['fermata-source'] } },
  test: {
    globalSetup: 'test/support/built.ts',
    pool: 'forks',
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    execArgv: ['--conditions=fermata-source'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    projects: [
      { extends: true, test: { name: 'fermata', include: ['test/**/*.test.ts'], env: { REACT_MAJOR: '19' } } },
      {
        // The hooks once more, over the oldest React that they promise to work with.
        extends: true,
        resolve: { alias: [{ find: /^react(-dom)?(?=\/|$)/, replacement: 'react-18/node_modules/react$1' }] },
        test: { name: 'react-18', include: ['test/client/react*.test.ts'], env: { REACT_MAJOR: '18' } },
      },
    ],
  },
});
