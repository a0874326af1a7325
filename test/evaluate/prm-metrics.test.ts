import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  areaUnderCurve,
  calibrationError,
  firstBelow,
  firstErrorScores,
} from '../../src/evaluate/prm-metrics.js';

const items = (...pairs: [number, boolean][]) => pairs.map(([score, right]) => ({ score, right }));

it('counts pairs in the right order, ties half', () => {
  // Pairs: .9>.5, .9>.2, .5=.5 (half), .5>.2: 3.5 of 4.
  expect(areaUnderCurve(items([0.9, true], [0.5, true], [0.5, false], [0.2, false]))).toBe(0.875);
  expect(areaUnderCurve(items([0.9, true]))).toBeNaN();
});

it('agrees with counting every pair', () => {
  const item = fc.record({
    score: fc.integer({ min: 0, max: 5 }).map((n) => n / 5),
    right: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(item, { maxLength: 30 }), (list) => {
      const pairs = list
        .filter((a) => a.right)
        .flatMap((a) =>
          list
            .filter((b) => !b.right)
            .map((b) => (a.score > b.score ? 1 : a.score === b.score ? 0.5 : 0)),
        );
      fc.pre(pairs.length > 0);
      const counted = pairs.reduce<number>((sum, pair) => sum + pair, 0) / pairs.length;
      expect(areaUnderCurve(list)).toBeCloseTo(counted, 10);
    }),
  );
});

it('measures the gap of each bin, weighted by its size', () => {
  // Bin 0.8: scores sum 1.6 against 1 right; bin 0.1: 0.1 against 0. Gaps 0.6 and 0.1 over 3.
  expect(calibrationError(items([0.8, true], [0.8, false], [0.1, false]))).toBeCloseTo(0.7 / 3);
  expect(calibrationError(items([1, true], [0, false]))).toBe(0);
});

it('scores first errors apart for solutions with and without one', () => {
  const scores = firstErrorScores([
    { predicted: 2, truth: 2 },
    { predicted: 1, truth: 2 },
    { predicted: null, truth: null },
    { predicted: null, truth: null },
  ]);
  expect(scores).toEqual({ erroneous: 0.5, correct: 1, f1: 2 / 3 });
});

it('takes the first score below the threshold', () => {
  expect(firstBelow([0.9, 0.4, 0.1], 0.5)).toBe(1);
  expect(firstBelow([0.9, 0.5], 0.5)).toBeNull();
});
