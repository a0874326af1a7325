import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readProblems } from '../../src/data/problems.js';
import { compareAnswers } from '../../src/verify/equivalence.js';
import { extractAnswer } from '../../src/verify/extract.js';
import { FIXTURES } from '../support/golden.js';

const mathVerify = join(FIXTURES, 'math-verify/cases.jsonl');
const gsm8k = join(FIXTURES, 'gsm8k/test-200.jsonl');

interface Case {
  readonly gold: string;
  readonly pred: string;
  readonly expected: 0 | 1;
  readonly precision?: number;
}

function verdictOf({ gold, pred, precision }: Case): string {
  // Some golds of this suite are whole solutions.
  const stated = /\\boxed|answer/i.test(gold) ? extractAnswer(gold)?.answer : undefined;
  return compareAnswers(
    { answer: stated ?? gold, ...(precision === undefined ? {} : { precision }) },
    extractAnswer(pred)?.answer ?? '',
  ).verdict;
}

describe('public cases', () => {
  it.skipIf(!existsSync(mathVerify))(
    "decides at least 82 % of Math-Verify's 131 cases without computer algebra, and none of them wrongly",
    () => {
      const cases = readFileSync(mathVerify, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Case);
      const outcomes = cases.map((one) => ({
        one,
        want: one.expected ? 'equal' : 'different',
        got: verdictOf(one),
      }));
      const decided = outcomes.filter(({ got }) => got !== 'ungraded');
      expect(decided.filter(({ want, got }) => want !== got).map(({ one }) => one)).toEqual([]);
      expect(decided.length / cases.length).toBeGreaterThan(0.82);
    },
  );

  it.skipIf(!existsSync(gsm8k))("grades GSM8K's 200 own solutions as right", async () => {
    let count = 0;
    for await (const item of readProblems(gsm8k)) {
      if (!('problem' in item)) throw new Error(item.rejected.message);
      const { answer = '', metadata } = item.problem;
      const extracted = extractAnswer(String(metadata?.solution))?.answer ?? '';
      expect(compareAnswers({ answer }, extracted)).toEqual({ verdict: 'equal' });
      expect(compareAnswers({ answer }, `${extracted}1`)).toEqual({ verdict: 'different' });
      count++;
    }
    expect(count).toBe(200);
  });
});
