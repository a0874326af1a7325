import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  contentHash,
  createRandom,
  deriveSeed,
  sampleWithoutReplacement,
} from '../../search/index.js';

it('tells parts from their concatenation', () => {
  expect(contentHash(['ab'])).not.toBe(contentHash(['a', 'b']));
  expect(contentHash(['a', ''])).not.toBe(contentHash(['a']));
  expect(contentHash([])).not.toBe(contentHash(['']));
});

it('gives different lists different hashes', () => {
  const seen = new Map<string, string>();
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 8 }), { maxLength: 5 }), (parts) => {
      const text = JSON.stringify(parts);
      const hash = contentHash(parts);
      expect(hash).toMatch(/^[0-9a-f]{32}$/);
      expect(seen.get(hash) ?? text).toBe(text);
      seen.set(hash, text);
    }),
    { numRuns: 3000, seed: 5 },
  );
});

it('spreads near-equal inputs over the whole range', () => {
  // 4096 consecutive inputs in 16 buckets: 256 each; six sigma of a binomial is 93.
  const buckets = new Array<number>(16).fill(0);
  for (let i = 0; i < 4096; i++) {
    const bucket = Number.parseInt(contentHash(['p', String(i)]).charAt(0), 16);
    buckets[bucket] = (buckets[bucket] ?? 0) + 1;
  }
  for (const count of buckets) expect(Math.abs(count - 256)).toBeLessThan(93);
});

it('derives seeds that every server takes and that depend on every part of the place', () => {
  const base = deriveSeed(1, 'p', 'rollout end x', 0);
  expect(Number.isInteger(base) && base >= 0 && base < 2 ** 31).toBe(true);
  expect(deriveSeed(1, 'p', 'rollout end x', 0)).toBe(base);
  const others = [
    deriveSeed(2, 'p', 'rollout end x', 0),
    deriveSeed(1, 'q', 'rollout end x', 0),
    deriveSeed(1, 'p', 'rollout end y', 0),
    deriveSeed(1, 'p', 'rollout end x', 1),
  ];
  expect(new Set([base, ...others]).size).toBe(5);
});

it('draws uniform numbers: mean and variance of 20,000 within six sigma', () => {
  const random = createRandom('seed');
  const drawn = Array.from({ length: 20_000 }, random);
  const mean = drawn.reduce((a, b) => a + b, 0) / drawn.length;
  // sigma of the mean is sqrt(1/12/20000) = 0.00204
  expect(Math.abs(mean - 0.5)).toBeLessThan(0.0123);
  expect(Math.min(...drawn)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...drawn)).toBeLessThan(1);
});

it('samples without replacement, in order, every item as often as any other', () => {
  const counts = [0, 0, 0, 0, 0];
  for (let i = 0; i < 5000; i++) {
    const kept = sampleWithoutReplacement([0, 1, 2, 3, 4], 2, createRandom(String(i)));
    expect(kept).toHaveLength(2);
    expect(kept[0]).toBeLessThan(kept[1] as number);
    for (const item of kept) counts[item] = (counts[item] ?? 0) + 1;
  }
  // 2000 expected; sigma is sqrt(5000 * 0.4 * 0.6) = 34.6, six sigma 208.
  for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(208);
});
