import { describe, expect, it } from 'vitest';
import { type Critique, STRATEGIES, type Step } from '../../../search/index.js';
import { fakeContext, fakeCritic, fakeScorer, PROBLEM, treePolicy } from '../../support/fakes.js';

/** Solutions start wrong (`w0`, `w1`, …) or right (`r`); a right first step leads to 42. */
function policy(first: readonly Step[]) {
  return treePolicy((prefix) => {
    if (prefix.length === 0) return first;
    if (prefix.at(-1)?.startsWith('Answer')) return [];
    return [prefix[0] === 'r' ? 'Answer: 42' : `Answer: ${prefix[0]?.slice(1)}`];
  });
}

/** Finds a wrong first step, rewrites it to `r`, and is sure of it. */
const judge = (steps: readonly Step[]): Critique => {
  const wrong = steps[0] !== 'r';
  return {
    firstError: wrong ? 0 : null,
    findings: steps.map(() => ({ probability: wrong ? 0.2 : 0.9 })),
    criticTokens: 5,
    ...(wrong ? { correction: 'r' } : {}),
  };
};

async function solve(first: readonly Step[], options: Record<string, unknown>, judging = judge) {
  const used = policy(first);
  const critic = fakeCritic(judging);
  const context = fakeContext(used, { critic, scorer: fakeScorer(() => 0.5) });
  const result = await STRATEGIES['refined-best-of-n'].solve(PROBLEM, context, options);
  const origins = result.candidates.map(({ origin, parent }) => [origin, parent]);
  return { result, origins, calls: used.calls, critic };
}

describe('refined-best-of-n', () => {
  it('samples one half and continues the other from corrected steps', async () => {
    const { result, origins, calls } = await solve(['w0', 'w1'], { n: 4 });
    expect(origins).toEqual([
      ['sampled', undefined],
      ['sampled', undefined],
      ['refined', 0],
      ['refined', 1],
    ]);
    expect(calls.slice(2).map(({ prefix }) => prefix)).toEqual([['r'], ['r']]);
    // Mean verdict probabilities 0.2, 0.2, 0.9, 0.9.
    expect(result).toMatchObject({ answer: '42', chosen: 2 });
    expect(result.candidates[2]).toMatchObject({ stepScores: [0.9, 0.9], policyTokens: 1 });
    // The two refined texts are one, and judged once.
    expect(result.usage).toMatchObject({ criticCalls: 3, criticTokens: 15, prmCalls: 0 });
  });

  it('gives the place of a solution without an error to a new one, to nobody, or to itself', async () => {
    const first = ['r', 'w1', 'w2'];
    expect((await solve(first, { n: 4 })).origins.slice(2)).toEqual([
      ['refined', 1],
      ['resampled', 0],
    ]);
    expect((await solve(first, { n: 4, withoutError: 'skip' })).origins.slice(2)).toEqual([
      ['refined', 1],
    ]);
    const kept = await solve(first, { n: 4, withoutError: 'keep' });
    expect(kept.origins.slice(2)).toEqual([
      ['refined', 1],
      ['kept', 0],
    ]);
    expect(kept.result.candidates[3]).toMatchObject({
      steps: ['r', 'Answer: 42'],
      policyTokens: 0,
    });
  });

  it('continues the pool of best-of-n when it resamples', async () => {
    const { result } = await solve(['r', 'r', 'w2', 'w3'], { n: 4 });
    expect(result.candidates.map(({ steps }) => steps[0])).toEqual(['r', 'r', 'w2', 'w3']);
  });

  it('branches before an error that the critic can not correct', async () => {
    const helpless = (steps: readonly Step[]) => {
      const { correction: _, ...critique } = judge(steps);
      return critique;
    };
    const { origins, calls } = await solve(['w0', 'w1'], { n: 2 }, helpless);
    expect(origins[1]).toEqual(['branched', 0]);
    expect(calls[1]?.prefix).toEqual([]);
    const stubborn = (steps: readonly Step[]) => {
      return { ...judge(steps), ...(steps[0] === 'r' ? {} : { correction: steps[0] ?? '' }) };
    };
    expect((await solve(['w0', 'w1'], { n: 2 }, stubborn)).origins[1]).toEqual(['branched', 0]);
  });

  it('takes a corrected last step as the end if the policy has nothing to add', async () => {
    const corrects = (steps: readonly Step[]): Critique => {
      const wrong = steps.at(-1) !== 'Answer: 42';
      return {
        firstError: wrong ? 1 : null,
        findings: steps.map(() => ({ probability: wrong ? 0.1 : 1 })),
        ...(wrong ? { correction: 'Answer: 42' } : {}),
      };
    };
    const { result } = await solve(['w7'], { n: 2 }, corrects);
    expect(result.candidates[1]).toMatchObject({ steps: ['w7', 'Answer: 42'], finish: 'end' });
    expect(result.answer).toBe('42');
  });

  it('gives an odd place to the first half, and one solution no refinement', async () => {
    expect((await solve(['w0'], { n: 5 })).origins.map(([origin]) => origin)).toEqual([
      'sampled',
      'sampled',
      'sampled',
      'refined',
      'refined',
    ]);
    expect((await solve(['w0'], { n: 1 })).result.candidates).toHaveLength(1);
  });

  it('refines refinements in further rounds, n being shared among all', async () => {
    const endless = (steps: readonly Step[]) => ({
      ...judge(steps),
      firstError: 0,
      correction: 'w9',
    });
    const { origins } = await solve(['w0', 'w1'], { n: 6, refineRounds: 2 }, endless);
    expect(origins).toEqual([
      ['sampled', undefined],
      ['sampled', undefined],
      ['refined', 0],
      ['refined', 1],
      ['branched', 2],
      ['branched', 3],
    ]);
  });

  it('can be scored by a reward model instead', async () => {
    const { result } = await solve(['w0', 'w1'], { n: 2, scoreBy: 'prm' });
    expect(result.candidates.map(({ stepScores }) => stepScores)).toEqual([
      [0.5, 0.5],
      [0.5, 0.5],
    ]);
    expect(result.chosen).toBe(0);
  });

  it('aggregates verdicts and selects as told', async () => {
    const first = ['w0', 'w0', 'r', 'w0'];
    const voted = await solve(first, { n: 6, withoutError: 'skip', selection: 'majority' });
    expect(voted.result.votes.map(({ votes }) => votes)).toEqual([2, 3]);
    expect(voted.result.answer).toBe('42');
    const lowest = await solve(['w0'], { n: 2, aggregation: 'min' });
    expect(lowest.result.candidates[1]?.score).toBe(0.9);
  });

  it('refuses a critic without verdict probabilities, and one that answers nonsense', async () => {
    const silent = () => ({ firstError: null });
    await expect(solve(['r'], { n: 2 }, silent)).rejects.toMatchObject({
      code: 'CRITIQUE_INVALID',
    });
    const nonsense = () => ({ firstError: 17 });
    await expect(solve(['r'], { n: 2 }, nonsense)).rejects.toMatchObject({
      code: 'CRITIQUE_INVALID',
    });
  });
});
