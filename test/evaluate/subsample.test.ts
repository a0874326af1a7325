import { expect, it } from 'vitest';
import type { Candidate } from '../../search/strategies/result.js';
import { makeCells } from '../../src/evaluate/cells.js';
import { expectedCorrect, isPooled } from '../../src/evaluate/subsample.js';

const candidate = (answer: string, group: number, score: number): Candidate => ({
  steps: [answer],
  finish: 'end',
  policyTokens: 1,
  origin: 'sampled',
  answer,
  group,
  stepScores: [score],
  score,
});

// Answers 42, 41, 41, 42 with scores that prefer the third; 42 is right.
const pool = [
  candidate('42', 0, 0.5),
  candidate('41', 1, 0.4),
  candidate('41', 1, 0.9),
  candidate('42', 0, 0.6),
];
const verdicts = pool.map(({ answer }) => ({
  verdict: answer === '42' ? ('equal' as const) : ('different' as const),
}));
const [majority, best] = makeCells(['majority', 'best-of-n'], [4]);

it('one sample of a pool is right as often as the pool is', () => {
  // 200 draws of chance 1/2: off by more than 0.15 once in 10^4 seeds; the seed is fixed.
  const expected = expectedCorrect(majority as never, 1, pool, verdicts, 'a') ?? 0;
  expect(Math.abs(expected - 0.5)).toBeLessThan(0.15);
});

it('best-of-2 is right unless the third sample is drawn or the two are wrong: in 3 of 6 pairs', () => {
  // Pairs: {0,1} 42, {0,2} 41, {0,3} 42, {1,2} 41, {1,3} 42, {2,3} 41.
  const expected = expectedCorrect(best as never, 2, pool, verdicts, 'b') ?? 0;
  expect(Math.abs(expected - 0.5)).toBeLessThan(0.12);
});

it('the whole pool is the run itself, and a larger one is not known', () => {
  // Two votes each: the answer that came first wins.
  expect(expectedCorrect(majority as never, 4, pool, verdicts, 'c')).toBe(1);
  expect(expectedCorrect(best as never, 4, pool, verdicts, 'c')).toBe(0);
  expect(expectedCorrect(best as never, 5, pool, verdicts, 'c')).toBeNull();
});

it('only strategies of independent whole solutions are pooled', () => {
  const cells = makeCells(['majority', 'beam', 'majority:earlyStop=true'], [4]);
  expect(cells.map((cell) => isPooled(cell))).toEqual([true, false, false]);
});

it('a reward model that compares candidates knows the whole pool, so best-of-N is not read from it', () => {
  expect([majority, best].map((cell) => isPooled(cell as never, true))).toEqual([true, false]);
});
