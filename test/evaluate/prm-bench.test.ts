import { expect, it } from 'vitest';
import { measurePrm } from '../../src/evaluate/prm-bench.js';
import { generateProblem } from '../../src/figmath/index.js';
import { createStepTruth } from '../../src/figmath/truth.js';
import { fakePolicy, fakeScorer, lastStepGrouper, memoryStore } from '../support/fakes.js';

const figures = Array.from({ length: 8 }, (_, i) => generateProblem('validation', 1, i));
const problems = figures.map(({ id, question, answer }) => ({ id, question, answer, images: [] }));
const figureOf = (id: string) => figures.find((figure) => figure.id === id) ?? figures[0];

/** Half of the solutions are right, the others have a wrong first step. */
function policy() {
  const inner = fakePolicy(() => []);
  return {
    ...inner,
    sample: async (request: Parameters<typeof inner.sample>[0]) => ({
      rollouts: request.seeds.map((seed) => {
        const [first = '', ...rest] = figureOf(request.problem.id)?.solution(seed % 7) ?? [];
        const broken = first.replace(/=(\d+)/, (_, value) => `=${Number(value) + 1}`);
        return {
          steps: [seed % 2 === 0 ? first : broken, ...rest],
          finish: 'end' as const,
          policyTokens: 1,
        };
      }),
      promptTokens: 0,
      cachedTokens: 0,
    }),
  };
}

const settings = {
  samples: 8,
  seed: 1,
  sampling: { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, maxTokens: 100 },
  threshold: 0.5,
  concurrency: 2,
};

const measure = (
  scorer: ReturnType<typeof fakeScorer>,
  more: Partial<Parameters<typeof measurePrm>[2]> = {},
) =>
  measurePrm(problems, settings, {
    policy: policy(),
    scorer,
    ...more,
    grouper: lastStepGrouper,
    signal: new AbortController().signal,
  });

it('finds a reward model that knows the truth perfect', async () => {
  const truths = figures.map((figure) => createStepTruth(figure));
  // A step's text is of one problem, or right in all of which it is one.
  const knows = fakeScorer((step, before) =>
    truths.some((truth) => truth([...before, step]).every(({ right }) => right)) ? 0.99 : 0.01,
  );
  const report = await measure(knows);
  expect(report.problems).toBe(8);
  expect(report.stepAuc).toBeGreaterThan(0.98);
  expect(report.firstError.f1).toBeGreaterThan(0.95);
  expect(report.withinProblemAuc.mean).toBeGreaterThan(0.95);
  expect(report.calibrationError).toBeLessThan(0.05);
});

it('finds one that says the same of everything useless', async () => {
  const report = await measure(fakeScorer(() => 0.9));
  expect(report.stepAuc).toBe(0.5);
  expect(report.withinProblemAuc.mean).toBe(0.5);
  expect(report.firstError).toMatchObject({ erroneous: 0, correct: 1, f1: 0 });
  // Half of the solutions are right throughout, the others nowhere: about 0.9 - 0.5.
  expect(report.calibrationError).toBeGreaterThan(0.2);
});

it('scores a text once however often it was sampled', async () => {
  const scorer = fakeScorer(() => 0.5);
  const { solutions } = await measure(scorer);
  expect(solutions).toBeLessThan(8 * 8);
  expect(solutions).toBe(new Set(scorer.asked.flat().map((steps) => JSON.stringify(steps))).size);
});

it('asks neither policy nor reward model again when it resumes, and reports the same', async () => {
  const stores = new Map(problems.map(({ id }) => [id, memoryStore()]));
  const repliesOf = async ({ id }: { id: string }) => stores.get(id) ?? memoryStore();
  const first = await measure(
    fakeScorer((step) => step.length / 100),
    { repliesOf },
  );
  const nobody = fakeScorer(() => {
    throw new Error('nobody should score');
  });
  const mute = fakePolicy(() => {
    throw new Error('nobody should ask');
  });
  expect(await measure(nobody, { repliesOf, policy: mute })).toEqual(first);
});
