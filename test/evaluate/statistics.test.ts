import { expect, it } from 'vitest';
import { average, bootstrapMean, pairedDifference } from '../../src/evaluate/statistics.js';

const half = Array.from({ length: 400 }, (_, i) => i % 2);

it('gives the interval of a share that the normal approximation gives', () => {
  const { mean, low, high } = bootstrapMean(half);
  expect(mean).toBe(0.5);
  // 0.5 +- 1.96 * sqrt(0.25 / 400)
  expect(low).toBeGreaterThan(0.451 - 0.01);
  expect(low).toBeLessThan(0.451 + 0.01);
  expect(high).toBeGreaterThan(0.549 - 0.01);
  expect(high).toBeLessThan(0.549 + 0.01);
});

it('gives the same interval each time', () => {
  expect(bootstrapMean(half)).toEqual(bootstrapMean(half));
});

it('lets what both find hard cancel out: pairs differ by exactly as much everywhere', () => {
  const harder = half.map((value) => value * 0.5);
  const shifted = harder.map((value) => value + 0.1);
  const { mean, low, high } = pairedDifference(shifted, harder);
  expect(mean).toBeCloseTo(0.1, 12);
  expect(high - low).toBeLessThan(1e-9);
});

it('has no mean of nothing', () => {
  expect(average([])).toBeNaN();
});
