import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readProblems } from '../../src/data/problems.js';
import { checkCase } from '../../src/verify/check-case.js';
import { readCheckLines } from '../../src/verify/check-lines.js';
import { createComparer } from '../../src/verify/comparer.js';
import { compareAnswers } from '../../src/verify/equivalence.js';
import { extractAnswer } from '../../src/verify/extract.js';
import { FIXTURES } from '../support/golden.js';

const mathVerify = join(FIXTURES, 'math-verify/cases.jsonl');
const gsm8k = join(FIXTURES, 'gsm8k/test-200.jsonl');

describe('public cases', () => {
  const comparer = createComparer({ checkTimeoutMs: 30_000 });
  afterAll(() => comparer.close());

  it.skipIf(!existsSync(mathVerify))(
    "of Math-Verify are decided as expected in 97 %, and every 'different' is right",
    async () => {
      let count = 0;
      const missed: unknown[] = [];
      for await (const item of readCheckLines(mathVerify)) {
        if ('rejected' in item) throw new Error(item.rejected.message);
        const { verdict } = await checkCase(comparer, item.check);
        count++;
        if (verdict !== item.expected) missed.push({ ...item, verdict });
      }
      expect(count).toBe(131);
      expect(
        missed.filter((one) => (one as { expected: string }).expected === 'different'),
      ).toEqual([]);
      expect(missed.length / count).toBeLessThan(0.03);
    },
    120_000,
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
