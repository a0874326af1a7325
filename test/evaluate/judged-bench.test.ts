import { join } from 'node:path';
import { expect, it } from 'vitest';
import { measureJudged } from '../../src/evaluate/judged-bench.js';
import { calibrationBins, stepF1 } from '../../src/evaluate/prm-metrics.js';
import { readJudgedSet } from '../../src/sets/read-judged.js';
import { findJudgedSet, JUDGED_SETS, type JudgedSet } from '../../src/sets/step-sets.js';
import { runCli, temporaryFolder, writeJsonl } from '../support/cli.js';
import { fakeScorer } from '../support/fakes.js';

const folder = temporaryFolder();

const samples: Record<string, Record<string, unknown>[]> = {
  'visual-process-bench': [
    {
      image: ['images/1.png'],
      question: 'How long?',
      answer: '5',
      response: { steps: ['good', 'bad', 'meh', 'good'], process_correctness: [1, -1, 0, 1] },
      policy_model: 'm',
      data_source: 'MathVista',
    },
  ],
  'process-bench': [
    { id: 'gsm8k-0', problem: 'How many?', steps: ['good', 'bad', 'bad'], label: 1 },
    { id: 'gsm8k-1', problem: 'How many more?', steps: ['good', 'good'], label: -1 },
    { id: 'math-0', problem: 'How few?', steps: ['bad', 'good'], label: 1 },
  ],
  'vlrm-bench': [
    {
      id: 'v1',
      question: 'Which?',
      image: ['1.png'],
      steps: ['good', 'bad'],
      labels: [1, 0],
      task: 'step_correctness',
    },
  ],
  'vl-reward-bench': [
    { id: 'rlhf-v-1', query: 'What?', response: ['bad', 'good\n\ngood'], human_ranking: [1, 0] },
    { id: 'mathverse-1', query: 'What?', response: ['bad', 'good'], human_ranking: [0, 1] },
  ],
};

const settings = {
  threshold: 0.5,
  aggregation: { aggregation: 'mean', window: 0 } as const,
  concurrency: 2,
};

async function measure(name: string) {
  const set = findJudgedSet(name) as JudgedSet;
  const file = writeJsonl(join(folder, `${name}.jsonl`), samples[name] ?? []);
  const items = await readJudgedSet(set, [file]);
  const scorer = fakeScorer((step) => (step === 'good' ? 0.9 : 0.2));
  return measureJudged(set, items, settings, { scorer, signal: new AbortController().signal });
}

it('every judged set has a hand-made sample', () => {
  expect(JUDGED_SETS.map(({ name }) => name)).toEqual(Object.keys(samples));
});

it('VisualProcessBench: neutral steps do not count, steps behind an error do', async () => {
  const report = await measure('visual-process-bench');
  expect(report).toMatchObject({ solutions: 1, steps: 3, stepAuc: 1, macro: 1 });
  expect(report.groups).toEqual({ MathVista: { value: 1, solutions: 1 } });
});

it('ProcessBench: first errors by source, what stands behind one has no label', async () => {
  const report = await measure('process-bench');
  // gsm8k: the error at 1 is found, the right one left alone. math: step 0 is taken for the error at 1.
  expect(report.steps).toBe(2 + 2 + 2);
  expect(report.firstError).toMatchObject({ erroneous: 0.5, correct: 1 });
  expect(report.groups.gsm8k).toEqual({ value: 1, solutions: 2 });
  expect(report.groups.math?.value).toBe(0);
});

it('VLRMBench: a label of 0 is a wrong step', async () => {
  expect((await measure('vlrm-bench')).stepF1).toEqual({ right: 1, wrong: 1, macro: 1 });
});

it('VL-RewardBench: the preferred response should score higher, by kind of task', async () => {
  const report = await measure('vl-reward-bench');
  expect(report.pairAccuracy?.mean).toBe(0.5);
  expect(report.groups).toEqual({
    hallucination: { value: 1, solutions: 1 },
    reasoning: { value: 0, solutions: 1 },
  });
});

it('a solution without a label for each step is refused with its place', async () => {
  const file = writeJsonl(join(folder, 'short.jsonl'), [
    { question: 'How?', response: { steps: ['a', 'b'], process_correctness: [1] } },
  ]);
  const set = findJudgedSet('VisualProcessBench') as JudgedSet;
  await expect(readJudgedSet(set, [file])).rejects.toThrow(/record 1: has 2 steps and 1 labels/);
});

it('F1 of right and of wrong steps, by hand', () => {
  const items = [
    { score: 0.9, right: true },
    { score: 0.8, right: true },
    { score: 0.4, right: true },
    { score: 0.7, right: false },
    { score: 0.1, right: false },
  ];
  // Taken for right: 2 hits, 1 false, 1 missed: 4/6. For wrong: 1 hit, 1 false, 1 missed: 2/4.
  expect(stepF1(items, 0.5)).toEqual({ right: 4 / 6, wrong: 0.5, macro: (4 / 6 + 0.5) / 2 });
  expect(calibrationBins(items, 2)).toEqual([
    { score: 0.25, share: 0.5, count: 2 },
    { score: expect.closeTo(0.8, 10), share: 2 / 3, count: 3 },
  ]);
});

it('bench prm runs on a judged set, and says where a reward model scores no steps', async () => {
  const file = (name: string) => writeJsonl(join(folder, `${name}-e2e.jsonl`), samples[name] ?? []);
  const bench = (name: string) =>
    runCli([
      ...['bench', 'prm', name, '--problems', file(name), '--out', join(folder, `prm-${name}`)],
      ...['--policy', 'simulated', '--prm-kind', 'rules', '--quiet'],
    ]);
  const pairs = await bench('vl-reward-bench');
  expect(pairs.stderr).toBe('');
  expect(pairs.code).toBe(0);
  expect(pairs.stdout).toContain('VL-RewardBench: 2 pairs');
  const steps = await bench('process-bench');
  expect(steps.code).toBe(2);
  expect(steps.stderr).toMatch(/no score to any labelled step of process-bench.*OPTION_INVALID/);
});

it('how step scores are aggregated decides pairs', async () => {
  const set = findJudgedSet('vl-reward-bench') as JudgedSet;
  const file = writeJsonl(join(folder, 'pair.jsonl'), [
    { id: 'x', query: 'What?', response: ['good\n\nbad', 'bad\n\ngood'], human_ranking: [0, 1] },
  ]);
  const items = await readJudgedSet(set, [file]);
  const scorer = fakeScorer((step) => (step === 'good' ? 0.9 : 0.2));
  const signal = new AbortController().signal;
  const accuracy = async (aggregation: 'mean' | 'last') => {
    const by = { ...settings, aggregation: { aggregation, window: 0 } };
    return (await measureJudged(set, items, by, { scorer, signal })).pairAccuracy?.mean;
  };
  expect(await accuracy('mean')).toBe(0.5);
  expect(await accuracy('last')).toBe(0);
});

it('an unscored solution loses to one with a negative score, and ties with another', async () => {
  const set = findJudgedSet('vl-reward-bench') as JudgedSet;
  const pair = (id: string, response: string[]) => ({
    id,
    query: 'What?',
    response,
    human_ranking: [0, 1],
  });
  const file = writeJsonl(join(folder, 'unscored.jsonl'), [
    pair('x', ['good', 'none']),
    pair('y', ['none', 'none']),
  ]);
  const items = await readJudgedSet(set, [file]);
  // ln 0.1 is -2.3, below the -1 that once stood for no score.
  const scorer = fakeScorer((step) => (step === 'good' ? 0.1 : Number.NaN));
  const by = { ...settings, aggregation: { aggregation: 'sumLog', window: 0 } as const };
  const report = await measureJudged(set, items, by, {
    scorer,
    signal: new AbortController().signal,
  });
  expect(report.pairAccuracy?.mean).toBe(0.75);
});
