import fc from 'fast-check';
import { expect, it } from 'vitest';
import { HashTable } from '../../search/hash-table.js';
import {
  contentHash,
  createRandom,
  deriveSeed,
  ListHash,
  sampleWithoutReplacement,
} from '../../search/index.js';
import { seedAt } from '../../search/rng.js';

it('tells parts from their concatenation', () => {
  expect(contentHash(['ab'])).not.toBe(contentHash(['a', 'b']));
  expect(contentHash(['a', ''])).not.toBe(contentHash(['a']));
  expect(contentHash([])).not.toBe(contentHash(['']));
});

it('grows a hash with its list: the same digits as of the whole', () => {
  const lists = fc.array(fc.string({ unit: 'grapheme', maxLength: 9 }), { maxLength: 6 });
  fc.assert(
    fc.property(lists, lists, fc.string(), (first, more, last) => {
      const whole = ListHash.of(first).extended(more).with(last);
      expect(whole.hex()).toBe(contentHash([...first, ...more, last]));
      // Asking for digits changes nothing.
      expect(whole.extended(more).hex()).toBe(contentHash([...first, ...more, last, ...more]));
    }),
    { numRuns: 500, seed: 3 },
  );
});

it('derives the seed of a place from the hashes of its parts', () => {
  const lists = fc.array(fc.string({ maxLength: 9 }), { maxLength: 4 });
  fc.assert(
    fc.property(lists, fc.string(), fc.nat(1000), (prefix, kind, index) => {
      const state = ListHash.of(prefix);
      const place = ListHash.of(['7', 'p']).withPlace(kind, state);
      const whole = deriveSeed(7, 'p', `${kind} ${contentHash(prefix)}`, index);
      expect(seedAt(place, index)).toBe(whole);
    }),
    { numRuns: 500, seed: 4 },
  );
});

it('numbers hashes in order of first appearance, through many growths', () => {
  const table = new HashTable(1);
  const hashes = Array.from({ length: 5000 }, (_, i) => ListHash.of(['state', String(i)]));
  expect(hashes.map((hash) => table.numberOf(hash))).toEqual(hashes.map((_, i) => i + 1));
  expect(hashes.map((hash) => table.numberOf(hash))).toEqual(hashes.map((_, i) => i + 1));
  expect(table.size).toBe(5000);
  // Lanes are compared in full: only the last one differs.
  const { a, b, c, d } = hashes[0] as ListHash;
  expect(table.numberOf({ a, b, c, d: d + 1 } as ListHash)).toBe(5001);
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
