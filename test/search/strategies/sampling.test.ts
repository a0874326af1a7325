import { describe, expect, it } from 'vitest';
import { STRATEGIES, type Step } from '../../../search/index.js';
import { fakeContext, fakeScorer, memoryStore, PROBLEM, treePolicy } from '../../support/fakes.js';

/** Solutions of two steps; number i starts with `si` and ends with the i-th answer. */
function solutions(answers: readonly string[]) {
  return treePolicy((prefix) =>
    prefix.length === 0
      ? answers.map((_, i) => `s${i}`)
      : [`Answer: ${answers[Number(prefix[0]?.slice(1))]}`],
  );
}

/** Score of the first step by its number; the answer step always has 0.9. */
const scorer = (first: readonly number[]) =>
  fakeScorer((step) => (step.startsWith('s') ? (first[Number(step.slice(1))] ?? 0) : 0.9));

const sizes = (policy: { calls: readonly { n: number }[] }) => policy.calls.map(({ n }) => n);

describe('greedy', () => {
  it('takes one solution at temperature 0 and needs no reward model', async () => {
    const policy = solutions(['7', '8']);
    const result = await STRATEGIES.greedy.solve(PROBLEM, fakeContext(policy));
    expect(result).toMatchObject({ answer: '7', chosen: 0, stopped: 'done', warnings: [] });
    expect(result.candidates).toEqual([
      {
        steps: ['s0', 'Answer: 7'],
        finish: 'end',
        policyTokens: 2,
        origin: 'sampled',
        answer: '7',
        group: 0,
        stepScores: null,
        score: null,
      },
    ]);
    expect(result.usage).toMatchObject({ calls: 1, rollouts: 1, policyTokens: 2, prmTokens: 0 });
  });
});

describe('majority', () => {
  it('takes the most frequent answer', async () => {
    const policy = solutions(['1', '2', '3', '2', '1', '2']);
    const result = await STRATEGIES.majority.solve(PROBLEM, fakeContext(policy), { n: 6 });
    expect(result.answer).toBe('2');
    expect(result.votes.map(({ answer, votes }) => [answer, votes])).toEqual([
      ['1', 2],
      ['2', 3],
      ['3', 1],
    ]);
  });

  it('stops sampling once the vote is settled, with the same answer', async () => {
    const answers = ['2', '2', '2', '1', '2', '2', '2', '2', '3', '3', '3', '3'];
    const policy = solutions(answers);
    const options = { n: 12, earlyStop: true, samplesPerRound: 2 };
    const result = await STRATEGIES.majority.solve(PROBLEM, fakeContext(policy), options);
    // After 8: 7 against 1 with 4 to come. After 6: 5 against 1 with 6 to come.
    expect(sizes(policy)).toEqual([1, 1, 2, 2, 2]);
    expect(result).toMatchObject({ answer: '2', stopped: 'earlyStop' });
    expect(result.candidates).toHaveLength(8);
  });
});

describe('best-of-n', () => {
  const answers = ['1', '2', '2', '3'];

  it('selects by score, by weighted vote or by votes', async () => {
    // Means of the two steps: 0.85, 0.6, 0.65, 0.5.
    const solve = (selection: string) =>
      STRATEGIES['best-of-n'].solve(
        PROBLEM,
        fakeContext(solutions(answers), { scorer: scorer([0.8, 0.3, 0.4, 0.1]) }),
        { n: 4, selection },
      );
    const best = await solve('vanilla');
    expect(best).toMatchObject({ answer: '1', chosen: 0 });
    expect(best.candidates[1]).toMatchObject({ stepScores: [0.3, 0.9], group: 1 });
    expect(best.candidates[1]?.score).toBeCloseTo(0.6, 12);
    const weighted = await solve('weighted');
    expect(weighted).toMatchObject({ answer: '2', chosen: 2 });
    expect(weighted.votes[1]?.weight).toBeCloseTo(1.25, 12);
    expect(await solve('majority')).toMatchObject({ answer: '2', chosen: 2 });
  });

  it('aggregates as told, over a window if told', async () => {
    const solve = (more: object) =>
      STRATEGIES['best-of-n'].solve(
        PROBLEM,
        fakeContext(solutions(answers), { scorer: scorer([0.8, 0.3, 0.4, 0.1]) }),
        { n: 4, ...more },
      );
    expect((await solve({ aggregation: 'min' })).candidates[0]?.score).toBe(0.8);
    const windowed = await solve({ aggregation: 'min', window: 1 });
    expect(windowed.candidates.map(({ score }) => score)).toEqual([0.9, 0.9, 0.9, 0.9]);
    expect(windowed.chosen).toBe(0);
  });

  it('draws the same samples for every n and method, in calls that one store can share', async () => {
    const store = memoryStore();
    const policy = solutions(['1', '2', '2', '3', '4', '5', '6', '7']);
    const prm = scorer([0.8, 0.3, 0.4, 0.1]);
    const solve = async (name: 'best-of-n' | 'majority' | 'one-shot', n: number) => {
      const context = fakeContext(policy, { store, scorer: prm });
      return (await STRATEGIES[name].solve(PROBLEM, context, { n })).candidates.map((c) => c.steps);
    };
    const pool = await solve('best-of-n', 8);
    const calls = policy.calls.length;
    expect(sizes(policy)).toEqual([1, 1, 2, 4]);
    for (const n of [1, 2, 4]) expect(await solve('majority', n)).toEqual(pool.slice(0, n));
    expect(await solve('one-shot', 8)).toEqual(pool);
    expect(policy.calls).toHaveLength(calls);
  });

  it('stops early in a weighted vote, and refuses to where the best score wins', async () => {
    const same = solutions(['1', '1', '1', '1', '1', '1', '2', '2']);
    const context = fakeContext(same, { scorer: scorer(new Array(8).fill(0.9)) });
    const options = { n: 8, selection: 'weighted', earlyStop: true, samplesPerRound: 1 };
    const result = await STRATEGIES['best-of-n'].solve(PROBLEM, context, options);
    // After k solutions of weight 0.9 the rest can bring 8 - k: 4.5 > 3 at the fifth.
    expect(result).toMatchObject({ answer: '1', stopped: 'earlyStop' });
    expect(result.candidates).toHaveLength(5);
    await expect(
      STRATEGIES['best-of-n'].solve(PROBLEM, context, { ...options, selection: 'vanilla' }),
    ).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  });

  it('refuses to stop a weighted vote early whose weights the next sample would change', async () => {
    // Win rates: one more good solution lowers all the others'.
    const tournament = { ...scorer(new Array(8).fill(0.9)), setwise: true };
    const solve = (selection: string) => {
      const context = fakeContext(solutions(['1', '1', '1', '1']), { scorer: tournament });
      const options = { n: 4, selection, earlyStop: true, samplesPerRound: 1 };
      return STRATEGIES['best-of-n'].solve(PROBLEM, context, options);
    };
    await expect(solve('weighted')).rejects.toMatchObject({ code: 'OPTION_INVALID' });
    expect(await solve('majority')).toMatchObject({ answer: '1', stopped: 'earlyStop' });
  });

  it('goes in small rounds under a budget and overshoots by no more than one', async () => {
    const policy = solutions(['1', '2', '3', '4', '5', '6', '7', '8']);
    const context = fakeContext(policy, { scorer: scorer([]), budget: { maxPolicyTokens: 10 } });
    const result = await STRATEGIES['best-of-n'].solve(PROBLEM, context, { n: 8 });
    // 2 tokens a solution: 1, 1, 2, and then only 1 of the planned 4 is affordable.
    expect(sizes(policy)).toEqual([1, 1, 2, 1]);
    expect(result.stopped).toBe('maxPolicyTokens');
    expect(result.usage.policyTokens).toBe(10);
  });
});

describe('one-shot', () => {
  it('scores each whole solution as one step', async () => {
    const prm = fakeScorer((step) => (step === 's1 + Answer: 2' ? 0.7 : 0.2));
    const context = fakeContext(solutions(['1', '2']), { scorer: prm });
    const result = await STRATEGIES['one-shot'].solve(PROBLEM, context, {
      n: 2,
      separator: ' + ',
    });
    expect(prm.asked).toEqual([[['s0 + Answer: 1'], ['s1 + Answer: 2']]]);
    expect(result).toMatchObject({ answer: '2', chosen: 1 });
    expect(result.candidates[1]).toMatchObject({ stepScores: [0.7], score: 0.7 });
  });

  it('votes with its scores if told', async () => {
    const prm = fakeScorer((step: Step) => (step.includes('Answer: 1') ? 0.5 : 0.4));
    const context = fakeContext(solutions(['1', '2', '2']), { scorer: prm });
    const options = { n: 3, selection: 'weighted' };
    const result = await STRATEGIES['one-shot'].solve(PROBLEM, context, options);
    expect(result.answer).toBe('2');
  });
});
