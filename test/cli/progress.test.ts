import { expect, it } from 'vitest';
import { durationText, progressText } from '../../src/cli/progress.js';
import type { RunSnapshot } from '../../src/runtime/label-run-types.js';

const SNAPSHOT: RunSnapshot = {
  status: 'running',
  problems: { done: 10, failed: 2, total: 100 },
  labels: 300,
  rollouts: 4000,
  policyTokens: 1_000_000,
  promptTokens: 0,
  cachedTokens: 0,
  criticTokens: 0,
  calls: 250,
  ungraded: 0,
  replayed: 0,
  seconds: 60,
  active: 8,
  inFlight: 240,
  maxInFlight: 256,
  waiting: 12,
  sessionRollouts: 3000,
  sessionTokens: 900_000,
  sessionSeconds: 30,
  settledBefore: 4,
};

it('shows problems, rollouts, rates of this session, slots and the time left', () => {
  // 12 settled, 4 of them before: 8 + 8/2 = 12 advanced in 30 s; 100 - 12 - 4 = 84 left: 210 s.
  expect(progressText(SNAPSHOT)).toBe(
    '12/100 problems (2 failed) · 3,000 rollouts · 100 rollouts/s · 30,000 tokens/s · slots 240/256 · ETA 4 min',
  );
});

it('promises nothing before it knows the number of problems', () => {
  const early = { ...SNAPSHOT, problems: { done: 0, failed: 0, total: null } };
  expect(progressText(early)).toMatch(/0\/\? problems.*ETA …/);
});

it('writes durations as people say them', () => {
  expect([59, 600, 10_000, 400_000].map(durationText)).toEqual([
    '59 s',
    '10 min',
    '2.8 h',
    '4.6 days',
  ]);
});
