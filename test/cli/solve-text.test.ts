import { describe, expect, it } from 'vitest';
import { emptyUsage } from '../../search/index.js';
import type { SolveReport } from '../../src/cli/solve-report.js';
import { solveText, wrapped } from '../../src/cli/solve-text.js';

const report: SolveReport = {
  id: 'p',
  question: 'How many?',
  strategy: 'best-of-n',
  options: { n: 3 },
  seed: 0,
  sampling: {},
  budget: {},
  policy: {},
  prm: { kind: 'rules' },
  critic: null,
  answer: '7',
  chosen: 1,
  candidates: [
    {
      steps: ['a', 'Answer: 8'],
      finish: 'end',
      policyTokens: 5,
      origin: 'sampled',
      answer: '8',
      group: 0,
      stepScores: [0.5, 0.25],
      score: 0.375,
    },
    {
      steps: [`${'word '.repeat(20)}end`, 'Answer: 7'],
      finish: 'end',
      policyTokens: 25,
      origin: 'refined',
      parent: 0,
      answer: '7',
      group: 1,
      stepScores: [1, 0.5],
      score: 0.75,
    },
    {
      steps: ['cut'],
      finish: 'length',
      policyTokens: 9,
      origin: 'sampled',
      answer: null,
      group: -1,
      stepScores: null,
      score: null,
    },
  ],
  votes: [
    { group: 0, answer: '8', votes: 1, weight: 0.375 },
    { group: 1, answer: '7', votes: 1, weight: 0.75 },
  ],
  stopped: 'maxCalls',
  warnings: ['something that a reader should know'],
  usage: { ...emptyUsage(), rollouts: 3, policyTokens: 39, prmTokens: 1200, calls: 4, replayed: 1 },
  elapsedMs: 1_500,
  gold: '7',
  verdict: { verdict: 'equal', extracted: '7' },
  candidateVerdicts: [
    { verdict: 'different' },
    { verdict: 'equal' },
    { verdict: 'ungraded', reason: 'incomplete' },
  ],
};

describe('a result for people', () => {
  it('shows answer, chosen path with wrapped steps, candidates, votes, costs and warnings', () => {
    expect(solveText(report, { color: false, width: 60 })).toBe(`How many?
Answer: 7  right, gold answer 7  (best-of-n)

Chosen path: candidate 2 of 3, score 0.750
  1.00 ██████  word word word word word word word word word
               word word word word word word word word word
               word word end
  0.50 ███░░░  Answer: 7

   1   0.375  8                     wrong     2 steps, 5 tokens
*  2   0.750  7                     right     2 steps, 25 tokens, refined from 1
   3          (cut by the token l…  ungraded  1 step, 9 tokens

   1 vote   7, weight 0.75
   1 vote   8, weight 0.38

3 rollouts, 39 policy tokens, 1,200 reward-model tokens, 4 calls (1 stored), 1.5 s, stopped: maxCalls
warning: something that a reader should know`);
  });

  it('says so where no answer was found', () => {
    const none = { ...report, answer: null, chosen: null, candidates: [], votes: [] };
    const text = solveText(none, { color: false, width: 80 });
    expect(text).toContain('Answer: none');
    expect(text).not.toContain('Chosen path');
  });

  it('colours nothing but what it is told to', () => {
    expect(solveText(report, { color: false, width: 80 })).not.toContain('\u001b');
    expect(solveText(report, { color: true, width: 80 })).toContain('\u001b');
  });

  it('breaks lines between words, and a word that is longer than a line', () => {
    expect(wrapped('aaa bbb\nccc', '> ', 22)).toEqual(['> aaa bbb ccc']);
    expect(wrapped(`${'x'.repeat(25)} y`, '> ', 22)).toEqual([`> ${'x'.repeat(20)}`, '  xxxxx y']);
    for (const line of wrapped('one two three four five six '.repeat(9), '    ', 33)) {
      expect(line.length).toBeLessThanOrEqual(33);
    }
    expect(wrapped('', '> ', 30)).toEqual(['> ']);
  });
});
