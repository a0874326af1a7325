import { expect, it } from 'vitest';
import {
  estimateOptions,
  NO_STATE,
  omegaPrm,
  omegaPrmOptions,
  ROOT,
  treeToJson,
} from '../../../search/index.js';
import { fakeContext, fakePolicy, PROBLEM } from '../../support/fakes.js';

const OPTIONS = {
  ...omegaPrmOptions.parse({}),
  ...estimateOptions.parse({ numRollouts: 4 }),
};

const WRONG = ['s1', 's2', 's3', 's4', 'Answer: 41'];

/** The third step is the error: prefixes with it never recover, all others do half of the time. */
function thirdStepIsWrong() {
  return fakePolicy((prefix, index) => {
    if (prefix.includes('s3')) return ['Answer: 41'];
    return index % 2 === 0 ? ['Answer: 42'] : WRONG.slice(prefix.length);
  });
}

it('finds the first wrong step by binary search, each midpoint under the last good prefix', async () => {
  const policy = thirdStepIsWrong();
  const context = fakeContext(policy);
  const { tree } = await omegaPrm(PROBLEM, context, { ...OPTIONS, maxSearchCount: 1 });
  // Of five steps the middle is s3: wrong. Then s1 of (s1, s2): good. Then s2: good. End.
  expect(policy.calls.map((call) => call.prefix)).toEqual([
    [],
    ['s1', 's2', 's3'],
    ['s1'],
    ['s1', 's2'],
  ]);
  const json = treeToJson(
    PROBLEM,
    { tree, selections: [], stopped: '', critiques: new Map() },
    {
      method: 'omegaprm',
      totalRollouts: 16,
      warnings: [],
    },
  );
  const shape = (states: typeof json.children): unknown =>
    states.map((state) => [
      state.partial_solution.join(' '),
      state.mc_value,
      shape(state.children),
    ]);
  expect(shape(json.children)).toEqual([
    ['Answer: 42', 1, []],
    ['s1 s2 s3', 0, []],
    [
      's1',
      0.5,
      [
        ['Answer: 42', 1, []],
        ['s2', 0.5, [['Answer: 42', 1, []]]],
      ],
    ],
  ]);
});

it('counts duplicates in the value but stores and searches a rollout once', async () => {
  const context = fakeContext(thirdStepIsWrong());
  const { tree } = await omegaPrm(PROBLEM, context, { ...OPTIONS, maxSearchCount: 0 });
  expect(tree.value(ROOT)).toBe(0.5);
  expect(tree.correctRollouts[ROOT]).toEqual([['Answer: 42']]);
  expect(tree.incorrectRollouts[ROOT]).toEqual([WRONG]);
});

it('samples the last step from nobody: the rollout itself is its verdict', async () => {
  const policy = fakePolicy((prefix, index) =>
    index % 2 === 0 ? ['Answer: 42'] : ['s1', 'Answer: 41'].slice(prefix.length),
  );
  const { tree } = await omegaPrm(PROBLEM, fakeContext(policy), { ...OPTIONS, maxSearchCount: 1 });
  expect(policy.calls.map((call) => call.prefix)).toEqual([[], ['s1']]);
  const last =
    tree
      .children(ROOT)
      .flatMap((state) => tree.children(state))
      .at(-1) ?? NO_STATE;
  expect(tree.segment(last)).toEqual(['Answer: 41']);
  expect(tree.value(last)).toBe(0);
});

it('leaves a wrong but ungradable rollout out of the value and of the pool', async () => {
  const policy = fakePolicy((_, index) =>
    index < 2
      ? ['Answer: 42']
      : { steps: ['endless'], finish: 'length' as const, policyTokens: 100 },
  );
  const context = fakeContext(policy);
  const { tree, selections, stopped } = await omegaPrm(PROBLEM, context, OPTIONS);
  expect(tree.value(ROOT)).toBe(1);
  expect(tree.ungraded[ROOT]).toBe(2);
  expect(selections).toEqual([]);
  expect(stopped).toBe('noCandidates');
});

it('stops at the rollout budget, the search count, or a spent limit, and says which', async () => {
  const run = async (more: Partial<typeof OPTIONS>, budget = {}) =>
    (await omegaPrm(PROBLEM, fakeContext(thirdStepIsWrong(), { budget }), { ...OPTIONS, ...more }))
      .stopped;
  expect(await run({ rolloutBudget: 4 })).toBe('rolloutBudget');
  expect(await run({ maxSearchCount: 1 })).toBe('maxSearchCount');
  expect(await run({}, { maxPolicyTokens: 1 })).toBe('maxPolicyTokens');
});

it('never samples a state twice in a run of many searches', async () => {
  const policy = fakePolicy((prefix, index, seed) => {
    const wrong = (seed + index) % 3 === 0;
    const length = 2 + (seed % 5);
    return [
      ...Array.from({ length }, (_, i) => `${prefix.length}.${i}.${seed % 7}`),
      wrong ? 'Answer: 41' : 'Answer: 42',
    ];
  });
  const context = fakeContext(policy);
  await omegaPrm(PROBLEM, context, { ...OPTIONS, maxSearchCount: 200, rolloutBudget: 2000 });
  const prefixes = policy.calls.map((call) => JSON.stringify(call.prefix));
  expect(new Set(prefixes).size).toBe(prefixes.length);
  expect(context.usage.rollouts).toBe(4 * prefixes.length);
});
