import { expect, it } from 'vitest';
import { problemAddress } from '../../src/cli/bench-report.js';
import { warnings } from '../../src/cli/bench-score.js';
import type { ScoredResponse } from '../../src/evaluate/score-responses.js';

it('bench score says why responses could not be graded', () => {
  const ungraded = (reason: string): ScoredResponse => {
    return { id: reason, verdict: 'ungraded', extraction: '3', prediction: '3', reason };
  };
  const score = {
    ...{
      set: 'mathvista',
      accuracy: 0,
      correct: 0,
      wrong: 0,
      total: 3,
      repeated: 0,
      missing: 0,
      unknown: 0,
    },
    ungraded: 3,
    problems: [ungraded('judge-failed'), ungraded('timeout'), ungraded('judge-failed')],
    groups: {},
    metrics: [],
  };
  expect(warnings(score)).toEqual([
    '3 could not be graded (2 judge-failed, 1 timeout); they count as not correct',
  ]);
});

it.each([
  ['http://127.0.0.1:4180', 'http://127.0.0.1:4180/ui/#/tree?run=.&problem={id}'],
  ['http://127.0.0.1:4180/ui/', 'http://127.0.0.1:4180/ui/#/tree?run=.&problem={id}'],
  ['http://a.test/p/{id}.html', 'http://a.test/p/{id}.html'],
])('bench report leads from worst problems to the viewer at %s', (viewer, address) => {
  expect(problemAddress(viewer)).toBe(address);
});
