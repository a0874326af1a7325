import fc from 'fast-check';
import { expect, it } from 'vitest';
import { JEFFREYS, posteriorMean, priorAfter, rolloutGain } from '../../../search/labels/prior.js';

it('counts the prior as rollouts', () => {
  // (3 + 0.5) / (4 + 1)
  expect(posteriorMean(3, 4, JEFFREYS)).toBeCloseTo(0.7, 12);
  // A parent of value 0.2 and strength 2: a = 2 / (4 * 0.8), b = 2 / (4 * 0.2); (1 + 0.625) / (3 + 3.125)
  expect(posteriorMean(1, 3, priorAfter(0.2, 2))).toBeCloseTo(1.625 / 6.125, 12);
});

it("has the parent's value as its mean, and weighs more the surer that is", () => {
  for (const mean of [0.01, 0.2, 0.5, 0.9, 0.99]) {
    expect(posteriorMean(0, 0, priorAfter(mean, 3))).toBeCloseTo(mean, 12);
  }
  const weight = (mean: number) => {
    const { a, b } = priorAfter(mean, 1);
    return a + b;
  };
  expect(weight(0.5)).toBe(1);
  // 1 / (4 * 0.1 * 0.9), and no more than at 0.005, however sure the parent is.
  expect(weight(0.1)).toBeCloseTo(1 / 0.36, 12);
  expect(weight(0)).toBeCloseTo(1 / (4 * 0.005 * 0.995), 9);
  expect(weight(1)).toBeCloseTo(weight(0), 9);
});

it("takes Jeffreys' prior where the parent has no weight", () => {
  expect(priorAfter(0.9, 0)).toEqual({ a: 0.5, b: 0.5 });
});

it('gains what the posterior variance of a Beta loses on average by one rollout', () => {
  const variance = (a: number, b: number) => (a * b) / ((a + b) ** 2 * (a + b + 1));
  const count = fc.integer({ min: 0, max: 40 });
  const weight = fc.double({ min: 0.05, max: 5, noNaN: true });
  fc.assert(
    fc.property(count, count, weight, weight, (correct, wrong, a, b) => {
      const [right, left] = [correct + a, wrong + b];
      const mean = right / (right + left);
      const after = mean * variance(right + 1, left) + (1 - mean) * variance(right, left + 1);
      const gain = rolloutGain(correct, correct + wrong, { a, b });
      expect(gain).toBeCloseTo(variance(right, left) - after, 10);
    }),
  );
});
