import { expect, it } from 'vitest';
import {
  compareLabels,
  labelErrors,
  type MeasuredLabel,
  type ProblemLabels,
} from '../../src/evaluate/label-errors.js';

const label = (value: number, truth: number, truthRollouts = 1_000_001): MeasuredLabel => ({
  value,
  truth,
  truthRollouts,
  interval: [Math.max(0, value - 0.15), Math.min(1, value + 0.15)],
});

const problem = (labels: MeasuredLabel[], policyTokens = 0, rollouts = 0): ProblemLabels => ({
  labels,
  policyTokens,
  rollouts,
});

it('measures distance, bias and coverage, and costs a label', () => {
  const errors = labelErrors([
    problem([label(0.5, 0.4), label(0.5, 0.7)], 100, 8),
    problem([label(0, 0.1)], 50, 4),
  ]);
  expect(errors.labels).toBe(3);
  // Errors 0.1, -0.2, -0.1: squares 0.01 + 0.04 + 0.01.
  expect(errors.rmse.mean).toBeCloseTo(Math.sqrt(0.06 / 3), 5);
  expect(errors.mae.mean).toBeCloseTo(0.4 / 3, 12);
  expect(errors.bias.mean).toBeCloseTo(-0.2 / 3, 12);
  // 0.4 and 0.1 lie within 0.15 of their labels, 0.7 does not.
  expect(errors.coverage.mean).toBeCloseTo(2 / 3, 12);
  expect(errors.policyTokens.mean).toBe(50);
  expect(errors.rollouts.mean).toBe(4);
});

it('scores labels as forecasts of one more rollout', () => {
  const { brier, logLoss } = labelErrors([problem([label(0.5, 0.25)])]);
  // A rollout is right with chance 0.25: 0.25 * 0.5^2 + 0.75 * 0.5^2.
  expect(brier.mean).toBeCloseTo(0.25, 12);
  expect(logLoss.mean).toBeCloseTo(Math.log(2), 12);
  // A certain label that is wrong half of the time costs much, not infinitely much.
  expect(labelErrors([problem([label(0, 0.5)])]).logLoss.mean).toBeCloseTo(
    -0.5 * (Math.log(0.01) + Math.log(0.99)),
    12,
  );
});

it("takes the truth's own error away", () => {
  // A truth of 5 rollouts at 0.4 has 0.4 * 0.6 / (5 - 1) = 0.06; what is left is 0.1 - 0.06.
  const { rmse } = labelErrors([problem([label(0.4 + Math.sqrt(0.1), 0.4, 5)])]);
  expect(rmse.mean).toBeCloseTo(0.2, 10);
  // More than there is: an error of 0, not of the root of something negative.
  expect(labelErrors([problem([label(0.4, 0.4, 5)])]).rmse.mean).toBe(0);
});

it('tells how many times fewer tokens a label of the same error costs', () => {
  const baseline = [problem([label(0.5, 0.4)], 100), problem([label(0.5, 0.6)], 100)];
  // Half of the error at half of the tokens: fixed rollouts would need 4 times its own for that error.
  const own = [problem([label(0.5, 0.45)], 50), problem([label(0.5, 0.55)], 50)];
  const { rmse, policyTokens, efficiency } = compareLabels(own, baseline);
  expect(rmse.mean).toBeCloseTo(0.5, 4);
  expect(policyTokens.mean).toBe(0.5);
  expect(efficiency.mean).toBeCloseTo(8, 2);
  // Every problem shows the same ratio, so drawing problems anew changes nothing.
  expect(efficiency.high - efficiency.low).toBeLessThan(0.01);
});
