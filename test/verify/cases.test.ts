import { describe, expect, it } from 'vitest';
import { compareAnswers } from '../../src/verify/equivalence.js';
import { collectionCases } from './cases/collections.js';
import { everydayCases } from './cases/everyday.js';
import { expressionCases } from './cases/expressions.js';
import { mixedCases } from './cases/mixed.js';
import { numberCases } from './cases/numbers.js';
import { spellingCases } from './cases/spelling.js';
import type { CaseTable } from './cases/table.js';

/** Hand-made; the rules decide all of them, without computer algebra. */
const tables: readonly CaseTable[] = [
  numberCases,
  collectionCases,
  expressionCases,
  mixedCases,
  spellingCases,
  everydayCases,
];

for (const [category, { equal, different }] of tables.flatMap((table) => Object.entries(table))) {
  describe(category, () => {
    it.each(equal)('%s is %s', (gold, predicted) => {
      expect(compareAnswers({ answer: gold }, predicted)).toEqual({ verdict: 'equal' });
    });
    it.each(different)('%s is not %s', (gold, predicted) => {
      expect(compareAnswers({ answer: gold }, predicted)).toMatchObject({ verdict: 'different' });
    });
  });
}

it('are more than 850', () => {
  const all = tables.flatMap((table) => Object.values(table));
  const count = all.reduce((sum, { equal, different }) => sum + equal.length + different.length, 0);
  expect(count).toBeGreaterThan(850);
});
