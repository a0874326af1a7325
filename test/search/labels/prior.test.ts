import fc from 'fast-check';
import { expect, it } from 'vitest';
import { JEFFREYS, posteriorMean, priorAfter, rolloutGain } from '../../../search/labels/prior.js';

it('counts the prior as rollouts', () => {
  // (3 + 0.5) / (4 + 1)
  expect(posteriorMean(3, 4, JEFFREYS)).toBeCloseTo(0.7, 12);
  // A parent of value 0.2 that weighs 2 rollouts: (1 + 0.4) / (3 + 2)
  expect(posteriorMean(1, 3, priorAfter(0.2, 2))).toBeCloseTo(0.28, 12);
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
