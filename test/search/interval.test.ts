import { expect, it } from 'vitest';
import { credibleInterval } from '../../search/index.js';

it('nothing is known of a state without rollouts', () => {
  expect(credibleInterval(0, 0)).toEqual([0, 1]);
});

it('agrees with tabulated Jeffreys intervals', () => {
  // Brown, Cai and DasGupta (2001), Table 5: n = 7, x = 2 gives 0.065 to 0.648;
  // n = 10, x = 5 gives 0.224 to 0.776. The third by numerical integration of the density.
  const rounded = (c: number, n: number) =>
    credibleInterval(c, n).map((end) => Math.round(end * 1000) / 1000);
  expect(rounded(2, 7)).toEqual([0.065, 0.648]);
  expect(rounded(5, 10)).toEqual([0.224, 0.776]);
  expect(rounded(3, 30)).toEqual([0.029, 0.243]);
});

it('always holds the mean, also where all or nothing succeeded', () => {
  for (let n = 1; n <= 40; n++) {
    for (let c = 0; c <= n; c++) {
      const [low, high] = credibleInterval(c, n);
      expect(low).toBeLessThanOrEqual(c / n);
      expect(high).toBeGreaterThanOrEqual(c / n);
    }
  }
  expect(credibleInterval(0, 8)[0]).toBe(0);
  expect(credibleInterval(8, 8)[1]).toBe(1);
});

it('mirrors when right and wrong change places', () => {
  const [low, high] = credibleInterval(3, 16);
  const [mirroredLow, mirroredHigh] = credibleInterval(13, 16);
  expect(low).toBeCloseTo(1 - mirroredHigh, 5);
  expect(high).toBeCloseTo(1 - mirroredLow, 5);
});

it('is no other one from memory, however many trials there are', () => {
  const small = credibleInterval(2, 4_464);
  // 1 * 65,536 + 70,000 is 2 * 65,536 + 4,464.
  expect(credibleInterval(1, 70_000)[1]).toBeLessThan(small[0]);
});
