import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type SampleRequest, SteptreeError } from '../../search/index.js';
import { parseLabelOptions } from '../../src/cli/label-options.js';
import type { ProblemItem } from '../../src/data/problems.js';
import type { PolicyHandle } from '../../src/policy/create.js';
import { LabelRun } from '../../src/runtime/label-run.js';
import { LocalLabeller } from '../../src/runtime/labeller.js';
import { readJsonl, temporaryFolder } from '../support/cli.js';
import { lastStepVerifier } from '../support/fakes.js';

const folder = temporaryFolder();
let runs = 0;
const newDir = () => join(folder, `run-${runs++}`);

/** Repeats the question, and answers rightly every other time.
 *  @param lasts calls that it answers before it fails */
function echo(lasts = Number.POSITIVE_INFINITY): PolicyHandle {
  let calls = 0;
  return {
    kind: 'simulated',
    name: 'echo',
    checksImages: true,
    takesTurns: false,
    maxInFlight: 64,
    identity: {},
    sample: async ({ problem, prefix, seeds }: SampleRequest) => {
      if (calls++ >= lasts) throw new SteptreeError('POLICY_CALL_FAILED', 'gone');
      const said = [`It asks: ${problem.question}`, 'So we add.'].slice(prefix.length);
      const rollouts = seeds.map((seed) => {
        const answer = `Answer: ${seed % 2 === 0 ? problem.answer : 'none'}`;
        return { steps: [...said, answer], finish: 'end' as const, policyTokens: 3 };
      });
      return { rollouts, promptTokens: 1, cachedTokens: 0 };
    },
    describe: () => ({}),
    stats: async () => ({}),
    close: async () => {},
  };
}

async function label(dir: string, items: readonly ProblemItem[], policy = echo()) {
  const options = parseLabelOptions({ numRollouts: 4, rolloutBudget: 24 });
  const run = new LabelRun(
    {
      dir,
      seed: 0,
      options,
      strict: false,
      keepReplies: false,
      maxFailuresInARow: 100,
      limit: 0,
      identity: {},
      facts: {},
    },
    {
      problems: (async function* () {
        yield* items;
      })(),
      labeller: new LocalLabeller(
        {
          method: 'omegaprm',
          seed: 0,
          options,
          sampling: options,
          budget: options,
          concurrency: 2,
          maxInFlight: 64,
        },
        { policy, verifier: lastStepVerifier, now: () => performance.now() },
      ),
      signal: new AbortController().signal,
      now: () => performance.now(),
    },
  );
  return run.run();
}

const problem = (id: string, question: string): ProblemItem => ({
  line: 1,
  problem: { id, question, images: [], answer: '4' },
});

it('a problem whose text was mended after its calls failed gets no reply to the old text', async () => {
  const dir = newDir();
  const failed = await label(dir, [problem('a', 'What is 2 + ?')], echo(1));
  expect(failed.problems).toMatchObject({ done: 0, failed: 1 });
  const mended = await label(dir, [problem('a', 'What is 2 + 2?')]);
  expect(mended.problems).toMatchObject({ done: 1, failed: 0 });
  expect(readFileSync(join(dir, 'trees', 'a.json'), 'utf8')).not.toContain('What is 2 + ?');
});

it('a problem that failed and is the same goes on from its stored replies', async () => {
  const dir = newDir();
  await label(dir, [problem('a', 'What is 2 + 2?')], echo(1));
  expect((await label(dir, [problem('a', 'What is 2 + 2?')])).replayed).toBeGreaterThan(0);
});

it('a labelled problem whose line or picture is unusable by now keeps its labels', async () => {
  const dir = newDir();
  const first = await label(dir, [problem('a', 'What is 2 + 2?'), problem('b', 'And 1 + 3?')]);
  const labels = readFileSync(join(dir, 'labels.jsonl'), 'utf8');
  const gone: ProblemItem = {
    rejected: { id: 'a', line: 1, code: 'PROBLEM_IMAGE_MISSING', message: 'gone' },
  };
  const again = await label(dir, [gone, problem('b', 'And 1 + 3?')]);
  expect([again.problems, again.labels]).toEqual([first.problems, first.labels]);
  expect(readFileSync(join(dir, 'labels.jsonl'), 'utf8')).toBe(labels);
  expect(readJsonl(join(dir, 'failed.jsonl'))).toEqual([]);
});

it('a labelled problem in whose place another one stands is told, also if that one is unusable', async () => {
  const dir = newDir();
  await label(dir, [problem('a', 'What is 2 + 2?')]);
  const other: ProblemItem = {
    rejected: { id: 'z', line: 1, code: 'PROBLEM_QUESTION_EMPTY', message: 'empty' },
  };
  await expect(label(dir, [other])).rejects.toMatchObject({ code: 'RUN_PROBLEM_CHANGED' });
});
