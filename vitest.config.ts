import { defineConfig } from 'vitest/config';

// Journeys start whole servers on a machine that may have two cores, so files run two at a time and waits are generous.
export default defineConfig({
  resolve: { conditions: ['fermata-source'] },
  ssr: { resolve: { conditions: ['fermata-source'] } },
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    execArgv: ['--conditions=fermata-source'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
