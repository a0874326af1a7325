import { describe, expect, it } from 'vitest';
import {
  batchingOptions,
  createHybridScorer,
  createMarkerHost,
  createPathScorer,
  createRolloutsHost,
  createRulesScorer,
  PLAIN_AGGREGATES,
  type RulesOptions,
  rolloutsOptions,
  rulesOptions,
} from '../../prm/index.js';
import type {
  AnswerGrouper,
  PathScores,
  Problem,
  StepScorer,
  Verifier,
} from '../../search/types.js';
import { announcesAnswer, extractAnswer } from '../../src/verify/index.js';
import { fakePolicy, lastStepVerifier } from '../support/fakes.js';
import { PROBLEM, scorePath } from './stub-server.js';
import { toyMarkerModel } from './toy-marker-model.js';

const sampling = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  maxTokens: 10,
};

describe('rules', () => {
  /** 12 and 24/2 are the same answer. */
  const grouper: AnswerGrouper = {
    async group(_, solutions) {
      const answers = solutions.map((steps) => /= (.+)$/.exec(steps.at(-1) ?? '')?.[1] ?? null);
      const groups = answers.map((one) => (one === null ? -1 : one === '7' ? 1 : 0));
      return { answers, groups };
    },
  };
  const score = async (paths: readonly (readonly string[])[], given: Partial<RulesOptions>) => {
    const scorer = createRulesScorer(grouper, rulesOptions.parse(given));
    return (await scorer.score({ problem: PROBLEM, paths })).paths.map((path) => path.outcome);
  };
  const paths = [['a', 'x = 12'], ['x = 24/2'], ['x = 7'], ['a', 'a', 'a', 'no idea']];

  it('counts how many solutions reach an equivalent answer', async () => {
    // Two of four mean 12, one 7; no answer agrees with nobody.
    expect(await score(paths, { format: 0, length: 0, agreement: 1 })).toEqual([0.5, 0.5, 0.25, 0]);
  });

  it('wants an answer and steps that do not repeat', async () => {
    const repeating = [['a', 'a ', 'b', 'x = 1'], ...paths];
    // 3 of 4 steps are new; the last has no answer.
    expect(await score(repeating, { format: 1, length: 0, agreement: 0 })).toEqual([
      0.75, 1, 1, 1, 0,
    ]);
  });

  it('marks solutions down in proportion to their length above the limit', async () => {
    const long = [['x'.repeat(40)], ['x'.repeat(10)], ['x'.repeat(5), 'y'.repeat(15)]];
    const given = { format: 0, length: 2, agreement: 0, maxChars: 10 };
    expect(await score(long, given)).toEqual([0.25, 1, 0.5]);
  });

  it('weighs them, and refuses to weigh nothing', async () => {
    // (1·1 + 0.5·1 + 1·0.5) / 2.5
    expect((await score(paths, {}))[0]).toBeCloseTo(0.8, 12);
    expect(() =>
      createRulesScorer(grouper, rulesOptions.parse({ format: 0, length: 0, agreement: 0 })),
    ).toThrow(/no weight/);
    expect(createRulesScorer(grouper, rulesOptions.parse({})).setwise).toBe(true);
    expect(createRulesScorer(grouper, rulesOptions.parse({ agreement: 0 })).setwise).toBe(false);
  });
});

describe('hybrid', () => {
  const fixed = (name: string, scores: PathScores, setwise = false): StepScorer => ({
    name,
    setwise,
    score: async ({ paths }) => ({ paths: paths.map(() => scores), prmTokens: 5 }),
  });
  const request = { problem: PROBLEM, paths: [['a', 'b']] };
  const steps = fixed('one', { steps: [1, 0.5] });
  const others = fixed('two', { steps: [0.2, 0.1] });
  const whole = fixed('whole', { steps: [], outcome: 0.9 }, true);

  it('averages step scores by weight', async () => {
    const hybrid = createHybridScorer(
      [
        { scorer: steps, weight: 3 },
        { scorer: others, weight: 1 },
      ],
      PLAIN_AGGREGATES.mean,
    );
    const { paths, prmTokens } = await hybrid.score(request);
    // (3·1 + 0.2)/4 and (3·0.5 + 0.1)/4
    expect(paths[0]?.steps[0]).toBeCloseTo(0.8, 12);
    expect(paths[0]?.steps[1]).toBeCloseTo(0.4, 12);
    expect(paths[0]).not.toHaveProperty('outcome');
    expect(prmTokens).toBe(10);
    expect(hybrid.setwise).toBe(false);
  });

  it('gives an outcome as soon as one part scores whole solutions', async () => {
    const parts = [
      { scorer: steps, weight: 1 },
      { scorer: whole, weight: 3 },
    ];
    const { paths } = await createHybridScorer(parts, PLAIN_AGGREGATES.min).score(request);
    // (0.5 + 3·0.9)/4; the steps are the one scoring part's own
    expect(paths[0]?.outcome).toBeCloseTo(0.8, 12);
    expect(paths[0]?.steps).toEqual([1, 0.5]);
    expect(createHybridScorer(parts, PLAIN_AGGREGATES.mean).setwise).toBe(true);
  });

  it('knows the plain aggregates', () => {
    const scores = [0.5, 1, 0.25];
    expect(PLAIN_AGGREGATES.mean(scores)).toBeCloseTo(1.75 / 3, 12);
    expect(PLAIN_AGGREGATES.min(scores)).toBe(0.25);
    expect(PLAIN_AGGREGATES.last(scores)).toBe(0.25);
    expect(PLAIN_AGGREGATES.product(scores)).toBe(0.125);
  });

  it.each([
    ['too few scores', { steps: [0.5] }, 'SCORE_COUNT'],
    ['NaN', { steps: [0.5, Number.NaN] }, 'SCORE_RANGE'],
    ['a score above 1', { steps: [], outcome: 1.5 }, 'SCORE_RANGE'],
  ])('does not mix in %s', async (_, bad, code) => {
    const parts = [
      { scorer: steps, weight: 1 },
      { scorer: fixed('bad', bad), weight: 1 },
    ];
    const scored = createHybridScorer(parts, PLAIN_AGGREGATES.mean).score(request);
    await expect(scored).rejects.toMatchObject({ code });
  });

  it('refuses parts without weight, and no parts', () => {
    expect(() => createHybridScorer([], PLAIN_AGGREGATES.mean)).toThrow(/at least one part/);
    expect(() => createHybridScorer([{ scorer: steps, weight: 0 }], PLAIN_AGGREGATES.mean)).toThrow(
      /weight above 0/,
    );
  });
});

describe('rollouts', () => {
  const announces = (_: Problem, steps: readonly string[]) => announcesAnswer(steps, []);
  const problem: Problem = { ...PROBLEM, answer: '42' };
  /** Three of four rollouts are right after "good", one after anything else. */
  const policy = () =>
    fakePolicy((prefix, index) => [
      index < (prefix.at(-1) === 'good' ? 3 : 1) ? 'Answer: 42' : 'Answer: 41',
    ]);
  const host = (changes: { policy?: ReturnType<typeof fakePolicy>; verifier?: Verifier } = {}) => {
    const ports = { policy: policy(), verifier: lastStepVerifier, sampling, announces, ...changes };
    return { ports, host: createRolloutsHost(ports, rolloutsOptions.parse({ count: 4, seed: 3 })) };
  };
  const noAnswerYet: Verifier = {
    verify: async (asked, solutions) =>
      solutions.map((steps) =>
        steps.at(-1)?.startsWith('Answer')
          ? { verdict: steps.at(-1) === `Answer: ${asked.answer}` ? 'equal' : 'different' }
          : { verdict: 'different', reason: 'no-answer' },
      ),
  };

  it('gives each step the share of its rollouts that are right', async () => {
    const made = host({ verifier: noAnswerYet });
    const { scores, prmTokens } = await scorePath(made.host, ['good', 'bad'], problem);
    expect(scores.steps).toEqual([0.75, 0.25]);
    expect(prmTokens).toBe(8);
  });

  it('checks a last step that states an answer instead of going on after it', async () => {
    const made = host({ verifier: noAnswerYet });
    const right = await scorePath(made.host, ['good', 'Answer: 42'], problem);
    expect(right.scores.steps).toEqual([0.75, 1]);
    const wrong = await scorePath(made.host, ['good', 'Answer: 3'], problem);
    expect(wrong.scores.steps).toEqual([0.75, 0]);
    // The shared first step was sampled once.
    expect(made.ports.policy.calls).toEqual([{ prefix: ['good'], n: 4 }]);
  });

  /** As the real one: failing a mark it takes the last number. */
  const lastNumber: Verifier = {
    verify: async (asked, solutions) =>
      solutions.map((steps) => {
        const found = extractAnswer(steps)?.answer;
        if (found === undefined) return { verdict: 'different', reason: 'no-answer' };
        return { verdict: found === asked.answer ? 'equal' : 'different' };
      }),
  };

  it('goes on after an unfinished path, whatever numbers its last step holds', async () => {
    const good = fakePolicy((_, index) => [index < 3 ? 'Answer: 42' : 'Answer: 41']);
    const made = host({ policy: good, verifier: lastNumber });
    const { scores } = await scorePath(made.host, ['Bar A shows 20.', '20 + 22 = 42'], problem);
    expect(scores.steps).toEqual([0.75, 0.75]);
    const wrong = await scorePath(made.host, ['Bar A shows 20.', 'Bar B shows 22.'], problem);
    expect(wrong.scores.steps).toEqual([0.75, 0.75]);
  });

  it('takes a path for the solution where the policy adds nothing to it and ends', async () => {
    const ending = fakePolicy((prefix) => (prefix.length === 1 ? ['It is 41.'] : []));
    const { host: done } = host({ policy: ending, verifier: lastNumber });
    const right = await scorePath(done, ['Bar A shows 20.', 'So it is 42.'], problem);
    expect(right.scores.steps).toEqual([0, 1]);
    const wrong = await scorePath(done, ['Bar A shows 20.', 'So it is 40.'], problem);
    expect(wrong.scores.steps).toEqual([0, 0]);
  });

  it('leaves truncated rollouts out, and fails where nothing could be graded', async () => {
    const cut = fakePolicy((_, index) =>
      index < 2
        ? { steps: ['Answer: 42'], finish: 'end', policyTokens: 1 }
        : { steps: ['on and on'], finish: 'length', policyTokens: 1 },
    );
    const some = host({ policy: cut, verifier: noAnswerYet });
    expect((await scorePath(some.host, ['a'], problem)).scores.steps).toEqual([1]);
    const endless = fakePolicy(() => ({ steps: ['on'], finish: 'length', policyTokens: 1 }));
    const none = host({ policy: endless, verifier: noAnswerYet });
    await expect(scorePath(none.host, ['a'], problem)).rejects.toMatchObject({
      code: 'SCORE_UNGRADED',
    });
  });

  it('draws with seeds of its own, and again what it may not remember', async () => {
    const seedsOf = async (seed: number, knownStates: number) => {
      const seeds: number[] = [];
      const ports = {
        policy: fakePolicy((_prefix, _index, drawn) => {
          seeds.push(drawn);
          return ['Answer: 42'];
        }),
        verifier: noAnswerYet,
        sampling,
        announces,
      };
      const options = rolloutsOptions.parse({ count: 2, seed, knownStates });
      const made = createRolloutsHost(ports, options);
      await scorePath(made, ['a'], problem);
      await scorePath(made, ['a'], problem);
      return seeds;
    };
    const first = await seedsOf(1, 10);
    expect(first).toHaveLength(2);
    expect(await seedsOf(1, 0)).toEqual([...first, ...first]);
    expect(await seedsOf(2, 10)).not.toEqual(first);
  });

  it("does not take another gold answer's values for a question's own", async () => {
    const made = host({ verifier: noAnswerYet });
    const scorer = createPathScorer(made.host, batchingOptions.parse({ maxWaitMs: 0 }));
    const stepsFor = async (answer: string) => {
      const request = { problem: { ...problem, answer }, paths: [['good']] };
      return (await scorer.score(request)).paths[0]?.steps;
    };
    expect(await stepsFor('42')).toEqual([0.75]);
    expect(await stepsFor('41')).toEqual([0.25]);
    await scorer.close();
  });

  it('needs the gold answer', async () => {
    await expect(scorePath(host().host, ['a'], PROBLEM)).rejects.toMatchObject({
      code: 'SCORE_NO_ANSWER',
    });
  });
});

describe('a marker model', () => {
  it('gets a path cut after each marker, so that a child starts as its parent', async () => {
    const model = toyMarkerModel();
    const host = createMarkerHost(model, {
      marker: '',
      systemPrompt: 'Judge.',
      images: true,
    });
    const scorer = createPathScorer(host, batchingOptions.parse({ maxWaitMs: 0 }));
    const parent = ['a <prm> p=0.3', 'b p=0.8'];
    const request = { problem: { ...PROBLEM, choices: ['1', '2'] }, paths: [parent] };
    expect((await scorer.score(request)).paths[0]?.steps).toEqual([0.3, 0.8]);
    const child = { ...request, paths: [[...parent, 'c p=0.1']] };
    const { paths, prmTokens } = await scorer.score(child);
    expect(paths[0]?.steps).toEqual([0.3, 0.8, 0.1]);
    // Only the new segment was computed.
    expect(prmTokens).toBe(1);
    expect(model.asked[1]?.[0]).toMatchObject({
      systemPrompt: 'Judge.',
      question: 'How many?\n\nChoices:\n(A) 1\n(B) 2',
      segments: ['a < prm> p=0.3<prm>', '\n\nb p=0.8<prm>', '\n\nc p=0.1<prm>'],
    });
    await scorer.close();
  });
});
