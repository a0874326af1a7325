import { describe, expect, it } from 'vitest';
import { createRulesScorer, rulesOptions } from '../../prm/index.js';
import type { Critique, PathScores, StepScorer } from '../../search/index.js';
import {
  fakeContext,
  fakeCritic,
  fakePolicy,
  fakeScorer,
  lastStepGrouper,
  memoryStore,
} from '../support/fakes.js';

const policy = fakePolicy(() => ['Answer: 42']);
const byLength = () => fakeScorer((step) => 1 / step.length);

describe('SearchContext.score', () => {
  it('asks for each distinct path once and gives scores in the order of the call', async () => {
    const scorer = byLength();
    const context = fakeContext(policy, { scorer });
    const scores = await context.score([['aa'], ['a', 'bbbb'], ['aa'], []]);
    expect(scores).toEqual([
      { steps: [0.5] },
      { steps: [1, 0.25] },
      { steps: [0.5] },
      { steps: [] },
    ]);
    expect(scorer.asked).toEqual([[['aa'], ['a', 'bbbb']]]);
    expect(context.usage).toMatchObject({ calls: 1, prmCalls: 1, prmTokens: 20, replayed: 0 });
  });

  it('asks only for what is not known yet, and counts a path once', async () => {
    const scorer = byLength();
    const context = fakeContext(policy, { scorer });
    await context.score([['a'], ['b']]);
    await context.score([['b'], ['c']]);
    await context.score([['a'], ['c']]);
    expect(scorer.asked).toEqual([[['a'], ['b']], [['c']]]);
    expect(context.usage).toMatchObject({ prmCalls: 2, prmTokens: 30 });
  });

  it('counts the same on a second run whose scores are all stored', async () => {
    const store = memoryStore();
    const scorer = byLength();
    const ask = async () => {
      const context = fakeContext(policy, { scorer, store });
      await context.score([['a'], ['b'], ['c']]);
      await context.score([['d']]);
      return context.usage;
    };
    const first = await ask();
    expect(await ask()).toEqual({ ...first, replayed: 2 });
    expect(scorer.asked).toHaveLength(2);
  });

  it('stores the scores of a tournament for the whole set only', async () => {
    const scorer = { ...byLength(), setwise: true };
    const context = fakeContext(policy, { scorer });
    await context.score([['a'], ['b']]);
    await context.score([['a'], [], ['b']]);
    await context.score([['a']]);
    expect(scorer.asked).toEqual([[['a'], ['b']], [['a']]]);
  });

  it('counts equal solutions as often as they were drawn where agreement is the score', async () => {
    // Six samples say 5 in one text, two say 7 in two: by texts 7 would have the greater share.
    const five = Array.from({ length: 6 }, () => ['Answer: 5']);
    const seven = [['x', 'Answer: 7'], ['Answer: 7']];
    const rules = rulesOptions.parse({ format: 0, length: 0, agreement: 1 });
    const context = fakeContext(policy, { scorer: createRulesScorer(lastStepGrouper, rules) });
    const scores = await context.score([...five, ...seven]);
    expect(scores.map(({ outcome }) => outcome)).toEqual([...five.map(() => 0.75), 0.25, 0.25]);
  });

  it.each<[string, PathScores[]]>([
    ['too few paths', []],
    ['too few scores', [{ steps: [0.5] }]],
    ['too many scores', [{ steps: [0.5, 0.5, 0.5] }]],
    ['no scores and no outcome', [{ steps: [] }]],
    ['NaN', [{ steps: [0.5, Number.NaN] }]],
    ['a score above 1', [{ steps: [0.5, 1.01] }]],
    ['a negative score', [{ steps: [-0.01, 1] }]],
    ['an outcome of NaN', [{ steps: [], outcome: Number.NaN }]],
  ])('refuses %s, stores nothing and does not make a score of it', async (_what, paths) => {
    const scorer: StepScorer = { name: 'bad', score: async () => ({ paths, prmTokens: 1 }) };
    const store = memoryStore();
    const context = fakeContext(policy, { scorer, store });
    await expect(context.score([['a', 'b']])).rejects.toMatchObject({ code: 'SCORE_INVALID' });
    expect(store.entries.size).toBe(0);
  });

  it('takes an outcome without step scores', async () => {
    const scorer: StepScorer = {
      name: 'orm',
      score: async () => ({ paths: [{ steps: [], outcome: 0.3 }], prmTokens: 1 }),
    };
    const scores = await fakeContext(policy, { scorer }).score([['a', 'b']]);
    expect(scores).toEqual([{ steps: [], outcome: 0.3 }]);
  });

  it('says what is missing where no reward model or grouper is configured', async () => {
    const context = fakeContext(policy);
    await expect(context.score([['a']])).rejects.toThrow('reward model');
    await expect(context.score([['a']])).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  });
});

describe('SearchContext.critique', () => {
  it.each<[string, Critique]>([
    ['a first error that is no step', { firstError: 2 }],
    ['a broken index', { firstError: 0.5 }],
    ['too few findings', { firstError: null, findings: [{ probability: 1 }] }],
    [
      'a probability above 1',
      { firstError: null, findings: [{ probability: 1 }, { probability: 2 }] },
    ],
    ['an empty correction', { firstError: 0, correction: ' ' }],
  ])('refuses %s', async (_what, critique) => {
    const context = fakeContext(policy, { critic: fakeCritic(() => critique) });
    await expect(context.critique(['a', 'b'])).rejects.toMatchObject({ code: 'CRITIQUE_INVALID' });
  });

  it('asks once for a text, also when asked twice at once, and counts its tokens once', async () => {
    const critic = fakeCritic(() => ({ firstError: null, criticTokens: 7 }));
    const store = memoryStore();
    const context = fakeContext(policy, { critic, store });
    await Promise.all([context.critique(['a']), context.critique(['a']), context.critique(['b'])]);
    expect(critic.asked).toHaveLength(2);
    expect(context.usage).toMatchObject({
      calls: 2,
      criticCalls: 2,
      criticTokens: 14,
      prmTokens: 0,
      replayed: 0,
    });
    const again = fakeContext(policy, { critic, store });
    await again.critique(['a']);
    // Twice over: a critique counts once.
    await again.critique(['a']);
    expect(again.usage).toMatchObject({ criticCalls: 1, criticTokens: 7, replayed: 1 });
    expect(critic.asked).toHaveLength(2);
  });
});

describe('SearchContext.groupAnswers', () => {
  it('stores the groups of a set of solutions', async () => {
    const store = memoryStore();
    const solutions = [['Answer: 1'], ['Answer: 2'], ['none'], ['Answer: 1']];
    const groups = await fakeContext(policy, { store }).groupAnswers(solutions);
    expect(groups).toEqual({ answers: ['1', '2', null, '1'], groups: [0, 1, -1, 0] });
    const broken = { group: () => Promise.reject(new Error('asked again')) };
    const again = await fakeContext(policy, { store, grouper: broken }).groupAnswers(solutions);
    expect(again).toEqual(groups);
  });

  it('refuses groups that do not fit the solutions', async () => {
    const grouper = { group: async () => ({ answers: ['1', null], groups: [0, 0] }) };
    const context = fakeContext(policy, { grouper });
    await expect(context.groupAnswers([['a'], ['b']])).rejects.toMatchObject({
      code: 'ANSWER_GROUPS_INVALID',
    });
  });
});

it('samples at another temperature under a key of its own', async () => {
  const seen: number[] = [];
  const watching = {
    ...policy,
    sample: async (...args: Parameters<typeof policy.sample>) => {
      seen.push(args[0].sampling.temperature);
      return policy.sample(...args);
    },
  };
  const store = memoryStore();
  const context = fakeContext(watching, { store });
  await context.sample([], { n: 1 });
  await context.sample([], { n: 1, temperature: 0 });
  expect(seen).toEqual([1, 0]);
  expect(store.entries.size).toBe(2);
});
