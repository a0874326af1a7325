import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Problem, Step } from '../../search/index.js';
import { samplingOptions } from '../../src/config/options.js';
import { createRecordedPolicy } from '../../src/policy/recorded.js';
import { ReplyRecorder } from '../../src/runtime/recorder.js';
import { ScheduledPolicy } from '../../src/runtime/scheduler.js';
import { gradeCandidates, solveProblem } from '../../src/runtime/solve.js';
import { type ReplyScope, SolveStore } from '../../src/runtime/solve-store.js';
import { temporaryFolder } from '../support/cli.js';
import {
  fakePolicy,
  fakeScorer,
  lastStepGrouper,
  lastStepVerifier,
  memoryStore,
  PROBLEM,
} from '../support/fakes.js';
import { withoutTimes } from '../support/solve-fakes.js';

const folder = temporaryFolder();

/** Every third seed is wrong; the wrong answer is worked out in one step less. */
const policy = () =>
  fakePolicy((_prefix, _index, seed) =>
    seed % 3 === 0 ? ['hasty', 'Answer: 41'] : ['look', `think ${seed % 5}`, 'Answer: 42'],
  );
const scorer = fakeScorer((step) => (step === 'hasty' ? 0.1 : 0.9));
const grouper = lastStepGrouper;

describe('solveProblem', () => {
  it('runs a strategy over its ports and says what it spent', async () => {
    const asked = policy();
    const counts: number[] = [];
    const result = await solveProblem(PROBLEM, {
      strategy: 'best-of-n',
      options: { n: 6 },
      policy: asked,
      grouper,
      scorer,
      onStart: (usage) => counts.push(usage.rollouts),
    });
    expect(result).toMatchObject({ strategy: 'best-of-n', answer: '42', stopped: 'done' });
    expect(result.candidates).toHaveLength(6);
    expect(result.usage).toMatchObject({ rollouts: 6, prmCalls: 1 });
    expect(counts).toEqual([0]);
    expect(asked.calls.map(({ n }) => n).reduce((sum, n) => sum + n, 0)).toBe(6);
  });

  it('gives hundreds of problems over one queue the results that each has alone', async () => {
    const problems = Array.from({ length: 200 }, (_, i): Problem => ({ ...PROBLEM, id: `p${i}` }));
    const scheduled = new ScheduledPolicy(policy(), 16);
    const settings = { strategy: 'majority', options: { n: 5 }, grouper, seed: 3 };
    const together = await Promise.all(
      problems.map((problem) => solveProblem(problem, { ...settings, policy: scheduled })),
    );
    for (const i of [0, 7, 199]) {
      const alone = await solveProblem(problems[i] as Problem, { ...settings, policy: policy() });
      expect(withoutTimes(together[i] as typeof alone)).toEqual(withoutTimes(alone));
    }
    expect(new Set(together.map(({ votes }) => JSON.stringify(votes))).size).toBeGreaterThan(1);
  });

  it('answers from its store what it has asked before', async () => {
    const store = memoryStore();
    const settings = { strategy: 'majority', options: { n: 8 }, grouper, store };
    const first = await solveProblem(PROBLEM, { ...settings, policy: policy() });
    const idle = policy();
    const again = await solveProblem(PROBLEM, { ...settings, policy: idle });
    expect(idle.calls).toEqual([]);
    expect(again).toMatchObject({ answer: first.answer, candidates: first.candidates });
    expect(again.usage.replayed).toBeGreaterThan(0);
  });

  it('stops at its budget and takes seed and sampling', async () => {
    const settings = { strategy: 'majority', options: { n: 8 }, grouper };
    const temperatures: number[] = [];
    const listening = policy();
    const { sample } = listening;
    listening.sample = (request, signal) => {
      temperatures.push(request.sampling.temperature);
      return sample.call(listening, request, signal);
    };
    const cut = await solveProblem(PROBLEM, {
      ...settings,
      policy: listening,
      sampling: { temperature: 0.3 },
      budget: { maxTotalRollouts: 3 },
    });
    expect(cut).toMatchObject({ stopped: 'maxTotalRollouts' });
    expect(cut.candidates).toHaveLength(3);
    expect(new Set(temperatures)).toEqual(new Set([0.3]));
    const texts = async (seed: number) =>
      (await solveProblem(PROBLEM, { ...settings, policy: policy(), seed })).candidates;
    expect(await texts(1)).not.toEqual(await texts(2));
    expect(await texts(1)).toEqual(await texts(1));
  });

  it('names the model that a strategy lacks, an unknown strategy and a wrong option', async () => {
    const base = { policy: policy(), grouper };
    const code = (settings: object) =>
      solveProblem(PROBLEM, { strategy: 'majority', ...base, ...settings }).then(
        () => null,
        (error) => `${error.code} ${error.message}`,
      );
    expect(await code({ strategy: 'beam' })).toMatch(/^OPTION_INVALID beam needs .* --prm/);
    expect(await code({ strategy: 'refined-best-of-n' })).toMatch(/--critic URL/);
    expect(await code({ strategy: 'baem' })).toMatch(/^STRATEGY_UNKNOWN .*did you mean "beam"/);
    expect(await code({ options: { n: 0 } })).toMatch(/^OPTION_INVALID n: /);
    expect(await code({ options: { beamWidth: 2 } })).toMatch(/^OPTION_INVALID .*beamWidth/);
  });

  it('ends with the reason of its signal', async () => {
    const controller = new AbortController();
    controller.abort(new Error('enough'));
    const settings = { strategy: 'greedy', policy: policy(), grouper, signal: controller.signal };
    await expect(solveProblem(PROBLEM, settings)).rejects.toThrow('enough');
  });
});

describe('grades of a result', () => {
  it('grade complete candidates and the chosen answer; what was not completed is ungraded', async () => {
    let drawn = 0;
    const cut = fakePolicy(() =>
      drawn++ === 0 ? { steps: ['long'], finish: 'length', policyTokens: 9 } : ['Answer: 42'],
    );
    const result = await solveProblem(PROBLEM, {
      strategy: 'majority',
      options: { n: 2 },
      policy: cut,
      grouper,
    });
    expect(await gradeCandidates(PROBLEM, result, lastStepVerifier)).toEqual({
      verdict: { verdict: 'equal' },
      candidates: [{ verdict: 'ungraded', reason: 'incomplete' }, { verdict: 'equal' }],
    });
    const none = { ...result, chosen: null };
    const { verdict } = await gradeCandidates(PROBLEM, none, lastStepVerifier);
    expect(verdict).toEqual({ verdict: 'different', reason: 'no-answer' });
  });
});

describe('the store of solves', () => {
  const sampling = samplingOptions.parse({});
  const scope: ReplyScope = {
    problem: PROBLEM,
    seed: 0,
    sampling,
    policy: { model: 'a' },
    prm: { model: 'b' },
    critic: null,
  };

  it('finds a reply again only under all that decides it', async () => {
    const store = new SolveStore(join(folder, 'store'));
    try {
      const replies = await store.replies(scope);
      await replies.put('sample solution', 1);
      await replies.put('score x', 2);
      await replies.put('critique y', 3);
      const seen = async (changes: Partial<ReplyScope>) => {
        const other = await store.replies({ ...scope, ...changes });
        return ['sample solution', 'score x', 'critique y'].map((key) => other.get(key));
      };
      const gone = undefined;
      expect(await seen({})).toEqual([1, 2, 3]);
      expect(await seen({ prm: { model: 'c' } })).toEqual([1, gone, 3]);
      expect(await seen({ critic: { model: 'c' } })).toEqual([1, 2, gone]);
      for (const changes of [
        { seed: 1 },
        { sampling: { ...sampling, temperature: 0.5 } },
        { policy: { model: 'c' } },
        { problem: { ...PROBLEM, question: 'another' } },
      ]) {
        expect(await seen(changes), JSON.stringify(changes)).toEqual([gone, gone, gone]);
      }
    } finally {
      await store.close();
    }
  });
});

describe('the store of solves with pictures', () => {
  it('notices that a picture changed under its name', async () => {
    const store = new SolveStore(join(folder, 'picture-store'));
    try {
      const location = join(folder, 'picture.png');
      const problem = { ...PROBLEM, images: [{ source: 'picture.png', location }] };
      const sampling = samplingOptions.parse({});
      const scope = { problem, seed: 0, sampling, policy: {}, prm: null, critic: null };
      writeFileSync(location, 'one');
      await (await store.replies(scope)).put('sample x', 1);
      expect((await store.replies(scope)).get('sample x')).toBe(1);
      writeFileSync(location, 'two');
      expect((await store.replies(scope)).get('sample x')).toBeUndefined();
    } finally {
      await store.close();
    }
  });
});

describe('a recording of solves', () => {
  /** Steps that depend on the seed, so that a replay in another order would differ. */
  const stepPolicy = () =>
    fakePolicy((prefix, _index, seed) =>
      prefix.length < 2
        ? { steps: [`step ${seed % 7}`], finish: 'step', policyTokens: 2 }
        : [`Answer: ${seed % 4}`],
    );
  const settings = {
    strategy: 'beam',
    options: { n: 4, beamWidth: 2 },
    grouper,
    scorer: fakeScorer((step: Step) => (Number(/\d+/.exec(step)) + 1) / 9),
  };

  it('replays to the same result, also where stored replies took part', async () => {
    const store = memoryStore();
    const live = await solveProblem(PROBLEM, { ...settings, policy: stepPolicy(), store });
    // Half of the replies are lost: the recording has stored and fresh ones.
    [...store.entries.keys()].forEach((key, i) => {
      if (key.startsWith('sample ') && i % 2 === 0) store.entries.delete(key);
    });
    const recorder = new ReplyRecorder();
    const resumed = await solveProblem(PROBLEM, {
      ...settings,
      policy: recorder.policy(stepPolicy()),
      store: recorder.store(PROBLEM.id, store),
    });
    expect(resumed.usage.replayed).toBeGreaterThan(0);
    const file = join(folder, 'recorded.jsonl');
    writeFileSync(file, recorder.text());
    expect(readFileSync(file, 'utf8').split('\n').length).toBeGreaterThan(3);
    const recorded = await createRecordedPolicy(file);
    const replay = await solveProblem(PROBLEM, { ...settings, policy: recorded });
    await recorded.close();
    expect(withoutTimes(replay)).toEqual(withoutTimes(live));
  });
});
