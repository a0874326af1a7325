import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    // Two workers: model-host threads and child processes of the tests want the cores too.
    maxWorkers: 2,
    pool: 'forks',
  },
});
