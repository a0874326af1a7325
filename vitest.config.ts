import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Generous, since a test's time says nothing about the code: machines differ, and benches measure.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Two workers: model-host threads and child processes of the tests want the cores too.
    maxWorkers: 2,
    pool: 'forks',
    reporters: ['default', ['json', { outputFile: 'dist/test-results.json' }]],
  },
});
