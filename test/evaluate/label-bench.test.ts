import { expect, it } from 'vitest';
import { NO_BUDGET, type PolicyModel, type Problem, type ReplyStore } from '../../search/index.js';
import { createRandom } from '../../search/rng.js';
import { type LabelBenchSettings, measureLabels } from '../../src/evaluate/label-bench.js';
import { makeMethods } from '../../src/evaluate/label-methods.js';
import { labelTable, summarizeLabels } from '../../src/evaluate/label-summary.js';
import { fakePolicy, lastStepVerifier, memoryStore } from '../support/fakes.js';

const problems: Problem[] = Array.from({ length: 60 }, (_, i) => ({
  id: `p${i}`,
  question: 'q',
  images: [],
  answer: '42',
}));

const SHARE = 0.3;

/** Solutions of one step before the answer; right with chance 0.3 whatever came before. */
const unsure = () =>
  fakePolicy((prefix, _index, seed) => {
    const answer = createRandom(`${seed}`)() < SHARE ? 'Answer: 42' : 'Answer: 41';
    return prefix.length === 0 ? ['a', answer] : [answer];
  });

const SETTINGS: LabelBenchSettings = {
  truthRollouts: 128,
  repeats: 4,
  maxStates: 0,
  seed: 1,
  sampling: { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, maxTokens: 100 },
  budget: NO_BUDGET,
  concurrency: 8,
};

const K4 = 'step-rollouts:numRollouts=4';
const K16 = 'step-rollouts:numRollouts=16';

async function measure(
  specs: readonly string[],
  policy: PolicyModel,
  more: Partial<
    LabelBenchSettings & { of: readonly Problem[]; stores: Map<string, ReplyStore> }
  > = {},
) {
  const { of = problems, stores = new Map<string, ReplyStore>(), ...settings } = more;
  const methods = makeMethods(specs);
  const measured = await measureLabels(
    of,
    methods,
    { ...SETTINGS, ...settings },
    {
      policy,
      verifier: lastStepVerifier,
      repliesOf: async ({ id }) => {
        const store = stores.get(id) ?? memoryStore();
        stores.set(id, store);
        return store;
      },
      signal: new AbortController().signal,
      now: () => 0,
    },
  );
  return { measured, summaries: summarizeLabels(methods, measured, K16), stores };
}

it('finds the error of k rollouts to be sqrt(p (1 - p) / k)', async () => {
  const { measured, summaries } = await measure([K4, K16], unsure());
  expect(measured.states).toBe(60);
  const [k4, k16] = summaries;
  expect(k16?.labels).toBe(60 * 4);
  // 240 labels: the relative spread of an RMSE is about 1 / sqrt(2 * 240) = 4.6 %, with the truth's
  // and the rollouts' own skew some 6 %; 20 % is more than 3 of that, about 1 in 1,000 seeds.
  expect(k4?.rmse.mean).toBeGreaterThan(Math.sqrt(0.21 / 4) * 0.8);
  expect(k4?.rmse.mean).toBeLessThan(Math.sqrt(0.21 / 4) * 1.2);
  expect(k16?.rmse.mean).toBeGreaterThan(Math.sqrt(0.21 / 16) * 0.8);
  expect(k16?.rmse.mean).toBeLessThan(Math.sqrt(0.21 / 16) * 1.2);
  expect(Math.abs(k16?.bias.mean ?? 1)).toBeLessThan(0.03);
  expect(k16?.coverage.mean).toBeGreaterThan(0.85);
  // 4 solutions of 2 tokens for one label, and 16 rollouts of 1 token.
  expect(k16?.policyTokens.mean).toBe(24);
  expect(k4?.againstBaseline?.policyTokens.mean).toBe(0.5);
});

it('lets methods and repeats share solutions, truth and the rollouts that they have in common', async () => {
  const policy = unsure();
  await measure([K4, K16], policy, { of: problems.slice(0, 1), repeats: 2 });
  // 4 solutions; the truth in calls of 64; 4 rollouts a repeat, then 12 more for k = 16.
  const drawn = policy.calls.map(({ n }) => n).sort((a, b) => a - b);
  expect(drawn).toEqual([4, 4, 4, 12, 12, 64, 64]);
});

it('asks nothing again when it resumes, and only what is new with other methods', async () => {
  const first = await measure([K16], unsure(), { of: problems.slice(0, 4) });
  const nobody = fakePolicy(() => {
    throw new Error('nobody should ask');
  });
  const options = { of: problems.slice(0, 4), stores: first.stores };
  expect((await measure([K4, K16], nobody, options)).measured.methods[1]).toEqual(
    first.measured.methods[0],
  );
  const policy = unsure();
  await measure(['step-rollouts:numRollouts=17'], policy, options);
  expect(policy.calls.map(({ n }) => n)).toEqual(Array(4 * 4).fill(1));
});

it('measures so many states a problem at most, the same for all methods', async () => {
  const long = fakePolicy((prefix) => ['a', 'b', 'c', 'd', 'Answer: 42'].slice(prefix.length));
  const { measured } = await measure([K4, K16], long, {
    of: problems.slice(0, 1),
    maxStates: 2,
    repeats: 1,
  });
  expect(measured.states).toBe(2);
  expect(measured.methods.map(([one]) => one?.labels.length)).toEqual([2, 2]);
  // Of 4 states with 4 rollouts each and 4 solutions, 2 states bear half.
  expect(measured.methods[0]?.[0]?.rollouts).toBe((4 + 4 * 4) / 2);
});

it('measures the states that OmegaPRM chooses', async () => {
  const { measured } = await measure(['omegaprm'], unsure(), {
    of: problems.slice(0, 3),
    repeats: 1,
  });
  expect(measured.failures).toEqual([]);
  expect(measured.methods[0]?.every(({ labels }) => labels.length === 1)).toBe(true);
});

it('reports a problem whose calls fail, and keeps the others', async () => {
  const good = unsure();
  const failing: PolicyModel = {
    name: 'failing',
    sample: (request) =>
      request.problem.id === 'p0' ? Promise.reject(new Error('down')) : good.sample(request),
  };
  const { measured, summaries } = await measure([K16], failing, { of: problems.slice(0, 3) });
  expect(measured.failures).toMatchObject([{ id: 'p0', message: 'down' }]);
  expect(summaries[0]?.labels).toBe(2 * 4);
});

it('prints a row a method', async () => {
  const { summaries } = await measure([K4, K16], unsure(), { of: problems.slice(0, 5) });
  const lines = labelTable(summaries, K16).split('\n');
  expect(lines[2]).toMatch(/^\| step-rollouts:numRollouts=4 \| 20 \| 0\.\d{4} \(/);
  expect(lines.at(-1)).toBe(`Ratios are to ${K16}, problem by problem.`);
});
