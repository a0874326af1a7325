import { expect, it } from 'vitest';
import { emptyUsage } from '../../search/budget.js';
import type { Candidate, SolveResult } from '../../search/index.js';
import { chooseAnswers, usageOf } from '../../src/server/answers.js';

const candidate = (group: number, score: number | null, finish: Candidate['finish'] = 'end') => ({
  steps: ['s'],
  finish,
  policyTokens: 1,
  origin: 'sampled' as const,
  answer: group < 0 ? null : `a${group}`,
  group,
  stepScores: null,
  score,
});

function result(candidates: Candidate[], chosen: number | null): SolveResult {
  const groups = [...new Set(candidates.map(({ group }) => group))].filter((group) => group >= 0);
  const votes = groups.map((group) => {
    const own = candidates.filter((one) => one.group === group);
    const weight = own.reduce((sum, { score }) => sum + (score ?? 0), 0);
    return { group, answer: `a${group}`, votes: own.length, weight };
  });
  const usage = emptyUsage();
  const rest = { strategy: 'x', answer: null, stopped: 'done', warnings: [], usage, elapsedMs: 0 };
  return { ...rest, candidates, chosen, votes };
}

const three = result(
  [
    candidate(0, 0.9),
    candidate(1, 0.5),
    candidate(1, 0.55),
    candidate(1, 0.4),
    candidate(2, 0.6),
    candidate(2, 0.7),
    candidate(-1, null, 'length'),
  ],
  0,
);

it('the chosen answer comes first, then the best of each other answer as the strategy would choose', () => {
  // Votes 3 against 2, weights 1.45 against 1.3, best scores 0.55 against 0.7.
  expect(chooseAnswers(three, 'majority', 3)).toEqual([0, 2, 5]);
  expect(chooseAnswers(three, 'weighted', 3)).toEqual([0, 2, 5]);
  expect(chooseAnswers(three, 'vanilla', 3)).toEqual([0, 5, 2]);
});

it('then further solutions by score, unfinished ones last, none twice', () => {
  expect(chooseAnswers(three, 'vanilla', 10)).toEqual([0, 5, 2, 4, 1, 3, 6]);
  expect(chooseAnswers(result([], null), 'vanilla', 2)).toEqual([]);
  expect(chooseAnswers(result([candidate(-1, null, 'stuck')], null), undefined, 2)).toEqual([0]);
});

it('usage is what models read and what they wrote', () => {
  const usage = {
    ...emptyUsage(),
    promptTokens: 10,
    cachedTokens: 4,
    policyTokens: 20,
    prmTokens: 300,
    criticTokens: 7,
  };
  expect(usageOf(usage)).toEqual({
    prompt_tokens: 310,
    completion_tokens: 27,
    total_tokens: 337,
    prompt_tokens_details: { cached_tokens: 4 },
  });
});
