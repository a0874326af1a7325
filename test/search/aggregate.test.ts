import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  AGGREGATIONS,
  type AggregationName,
  aggregate,
  pathScore,
  unitScore,
} from '../../search/index.js';

const by = (aggregation: AggregationName, window = 0) => ({ aggregation, window });

it('computes each aggregation of 0.9, 0.5, 0.8 as by hand', () => {
  const p = [0.9, 0.5, 0.8];
  const found = Object.fromEntries(AGGREGATIONS.map((name) => [name, aggregate(p, by(name))]));
  expect(found.min).toBe(0.5);
  expect(found.last).toBe(0.8);
  expect(found.max).toBe(0.9);
  expect(found.product).toBeCloseTo(0.36, 12);
  expect(found.mean).toBeCloseTo(2.2 / 3, 12);
  // ln 0.36
  expect(found.sumLog).toBeCloseTo(-1.0216512475, 9);
  // ln 9 + ln 1 + ln 4 = ln 36
  expect(found.sumLogit).toBeCloseTo(3.5835189385, 9);
  // (9 + 1 + 4) / 3
  expect(found.meanOdds).toBeCloseTo(14 / 3, 9);
  // 36^(1/3) = 3.301927; 3.301927 / 4.301927
  expect(found.sigmoidMeanLogit).toBeCloseTo(0.767546, 6);
});

it('looks only at the last w steps where a window is set', () => {
  expect(aggregate([0.1, 0.9, 0.8], by('min', 2))).toBe(0.8);
  expect(aggregate([0.1, 0.9, 0.8], by('min', 3))).toBe(0.1);
  expect(aggregate([0.1, 0.9, 0.8], by('min', 9))).toBe(0.1);
});

it('gives no score to a path without steps, whatever the aggregation', () => {
  for (const name of AGGREGATIONS) {
    expect(aggregate([], by(name))).toBeNull();
    expect(aggregate([0.5, Number.NaN], by(name))).toBeNull();
    expect(unitScore({ steps: [] }, by(name))).toBeNull();
  }
});

it('clips scores of 0 and 1 to 1e-7 and 1 - 1e-7 in logarithms and odds', () => {
  // ln 1e-7 = -16.118; logit(1 - 1e-7) = 16.118; odds of 1 - 1e-7 = 9,999,999
  expect(aggregate([0, 1], by('sumLog'))).toBeCloseTo(-16.1181, 3);
  expect(aggregate([0, 1], by('sumLogit'))).toBeCloseTo(0, 6);
  expect(aggregate([1], by('meanOdds'))).toBeCloseTo(9_999_999, 0);
  expect(aggregate([0, 1], by('sigmoidMeanLogit'))).toBeCloseTo(0.5, 9);
  expect(aggregate([0, 1], by('product'))).toBe(0);
});

it('takes the outcome score where there is one', () => {
  expect(pathScore({ steps: [0.1], outcome: 0.7 }, by('sumLog'))).toBe(0.7);
  expect(unitScore({ steps: [], outcome: 0.7 }, by('sumLog'))).toBe(0.7);
});

it('maps every aggregation to [0, 1] without changing an order', () => {
  const scores = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), {
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(scores, scores, fc.constantFrom(...AGGREGATIONS), (a, b, name) => {
      const [rawA, rawB] = [pathScore({ steps: a }, by(name)), pathScore({ steps: b }, by(name))];
      const [unitA, unitB] = [unitScore({ steps: a }, by(name)), unitScore({ steps: b }, by(name))];
      expect(unitA).toBeGreaterThanOrEqual(0);
      expect(unitA).toBeLessThanOrEqual(1);
      if ((rawA ?? 0) > (rawB ?? 0)) expect(unitA).toBeGreaterThanOrEqual(unitB ?? 0);
    }),
    { seed: 3 },
  );
});
