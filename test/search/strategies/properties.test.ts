import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  contentHash,
  type PolicyModel,
  type Rollout,
  type SearchContext,
  type SolveResult,
  STRATEGIES,
  STRATEGY_NAMES,
  type Step,
  type StepScorer,
  type StrategyName,
  strategyNamed,
} from '../../../search/index.js';
import {
  fakeContext,
  fakeCritic,
  fakePolicy,
  fakeScorer,
  memoryStore,
  PROBLEM,
} from '../../support/fakes.js';

/** Small, so that every limit of a strategy is met; `guided` makes one solution of n samples. */
const SMALL: Record<string, unknown> = { maxSteps: 6, simulations: 40, beamWidth: 2 };

function optionsFor(name: StrategyName, n: number): Record<string, unknown> {
  const known = STRATEGIES[name].options.shape;
  const wanted = { ...SMALL, n };
  return Object.fromEntries(Object.entries(wanted).filter(([key]) => key in known));
}

const byHash = (parts: readonly string[], ways: number) =>
  Number.parseInt(contentHash(parts).slice(0, 6), 16) % ways;

/** A random world that depends on its name alone: solutions of 1 to 4 steps, some truncated, some
 *  empty, answers 0 to 2. What is sampled depends on prefix and seed, never on order or time. */
function randomPolicy(
  name: string,
  answerLate?: () => Promise<void>,
): PolicyModel & { calls: number } {
  const policy = {
    name,
    calls: 0,
    async sample({ prefix, seeds, until }: Parameters<PolicyModel['sample']>[0]) {
      policy.calls++;
      const rollouts = seeds.map((seed): Rollout => {
        const steps: Step[] = [];
        for (;;) {
          const pick = byHash([name, String(seed), ...prefix, ...steps], 20);
          const depth = prefix.length + steps.length;
          if (pick === 0) return { steps, finish: 'length', policyTokens: 9 };
          if (pick === 1) return { steps: [...steps, ''], finish: 'step', policyTokens: 1 };
          if (depth >= 3 || pick < 5) {
            const last = `Answer: ${pick % 3}`;
            return { steps: [...steps, last], finish: 'end', policyTokens: 3 };
          }
          steps.push(`step ${pick % 4}`);
          if (until === 'step') return { steps, finish: 'step', policyTokens: 2 };
        }
      });
      await answerLate?.();
      return { rollouts, promptTokens: 5, cachedTokens: 0 };
    },
  };
  return policy;
}

const randomScorer = (name: string) =>
  fakeScorer((step, before) => byHash([name, step, ...before], 101) / 100);

const randomCritic = (name: string) =>
  fakeCritic((steps) => {
    const firstError =
      byHash([name, 'error', ...steps], 3) === 0 ? null : byHash(steps, steps.length);
    return {
      firstError,
      findings: steps.map((step) => ({ probability: byHash([name, step], 11) / 10 })),
      ...(firstError === null ? {} : { correction: 'corrected' }),
    };
  });

function world(
  name: string,
  more: Parameters<typeof fakeContext>[1] = {},
  policy: PolicyModel = randomPolicy(name),
) {
  const context = fakeContext(policy, {
    scorer: randomScorer(name),
    critic: randomCritic(name),
    ...more,
  });
  return context;
}

const solve = (name: StrategyName, n: number, context: SearchContext) =>
  strategyNamed(name).solve(PROBLEM, context, optionsFor(name, n));

/** Everything but what says that replies were stored. */
const withoutReplays = ({ usage, ...result }: SolveResult) => {
  return { ...result, usage: { ...usage, replayed: 0 } };
};

const worlds = fc.string({ minLength: 1, maxLength: 4 });
const RUNS = { seed: 7, numRuns: 25 };

describe.each(STRATEGY_NAMES)('%s', (name) => {
  it('never has more than n complete solutions, and chooses one of them', async () => {
    await fc.assert(
      fc.asyncProperty(worlds, fc.integer({ min: 1, max: 9 }), async (seed, n) => {
        const result = await solve(name, n, world(seed));
        const complete = result.candidates.filter(({ finish }) => finish === 'end');
        expect(complete.length).toBeLessThanOrEqual(n);
        if (complete.length === 0) {
          expect(result).toMatchObject({ answer: null, chosen: null });
          expect(result.warnings.join()).toContain('no solution was completed');
        } else {
          const chosen = result.candidates[result.chosen ?? -1];
          expect(chosen?.finish).toBe('end');
          expect(chosen?.steps.length).toBeGreaterThan(0);
          expect(result.answer).toBe(chosen?.answer);
        }
        for (const { steps, stepScores, group } of result.candidates) {
          // one-shot has the whole solution scored as one step.
          if (stepScores) expect(stepScores).toHaveLength(name === 'one-shot' ? 1 : steps.length);
          expect(group).toBeLessThan(result.votes.length);
        }
        const votes = result.votes.reduce((sum, vote) => sum + vote.votes, 0);
        expect(votes).toBe(result.candidates.filter(({ group }) => group >= 0).length);
      }),
      RUNS,
    );
  });

  it('resumes from its stored replies without a new call, with the same result', async () => {
    await fc.assert(
      fc.asyncProperty(worlds, async (seed) => {
        const store = memoryStore();
        const first = world(seed, { store });
        const result = await solve(name, 6, first);
        const policy = randomPolicy(seed);
        const again = world(seed, { store }, policy);
        expect(withoutReplays(await solve(name, 6, again))).toEqual(withoutReplays(result));
        expect(policy.calls).toBe(0);
        expect(again.usage.replayed).toBeGreaterThan(0);
      }),
      RUNS,
    );
  });

  it('finds and spends the same without a store', async () => {
    for (const seed of ['a', 'b', 'c']) {
      const stored = withoutReplays(await solve(name, 6, world(seed)));
      const bare = withoutReplays(await solve(name, 6, world(seed, { store: null })));
      expect(bare).toEqual(stored);
    }
  });

  it('goes on from any part of its stored replies', async () => {
    const store = memoryStore();
    const whole = withoutReplays(await solve(name, 6, world('part', { store })));
    const entries = [...store.entries];
    for (let kept = 0; kept <= entries.length; kept += 3) {
      const part = memoryStore();
      for (const [key, value] of entries.slice(0, kept)) part.entries.set(key, value);
      const { usage, ...result } = await solve(name, 6, world('part', { store: part }));
      expect(result).toEqual((({ usage: _, ...rest }) => rest)(whole));
      expect(usage.policyTokens).toBe(whole.usage.policyTokens);
    }
  });

  it('does not depend on when replies arrive', async () => {
    const late = (state: number) => async () => {
      state = (state * 1103515245 + 12345) % 2147483648;
      for (let tick = state % 13; tick > 0; tick--) await Promise.resolve();
    };
    const prompt = withoutReplays(await solve(name, 7, world('late')));
    for (let order = 1; order <= 5; order++) {
      const delayed = world('late', {}, randomPolicy('late', late(order)));
      expect(withoutReplays(await solve(name, 7, delayed))).toEqual(prompt);
    }
  });

  it('spends nothing more once its budget is spent, and says so', async () => {
    const free = await solve(name, 8, world('budget'));
    const tight = await solve(name, 8, world('budget', { budget: { maxPolicyTokens: 1 } }));
    // One round is asked in any case; only greedy has no second one.
    expect(tight.usage.policyTokens).toBeGreaterThan(0);
    if (name === 'greedy') return;
    expect(tight.stopped).toBe('maxPolicyTokens');
    expect(tight.usage.policyTokens).toBeLessThan(free.usage.policyTokens);
    if (tight.chosen === null) expect(tight.warnings.join()).toContain('no solution was completed');
  });

  it.each([{ maxCalls: 1 }, { maxTotalRollouts: 1 }, { maxSeconds: 1 }])(
    'ends under a budget too small for it (%o), with an answer or the reason',
    async (budget) => {
      let clockMs = 0;
      const now = () => (clockMs += 400);
      const result = await solve(name, 8, world('small', { budget, now }));
      if (name !== 'greedy') expect(result.stopped).toBe(Object.keys(budget)[0]);
      if (result.chosen === null) {
        expect(result.warnings.join()).toMatch(/no solution was completed/);
      }
    },
  );

  it('fails with its policy, at whichever call that dies', async () => {
    for (let lives = 0; lives < 4; lives++) {
      const policy = randomPolicy('dies');
      const dying: PolicyModel = {
        name: 'dying',
        sample: (request) =>
          policy.calls < lives ? policy.sample(request) : Promise.reject(new Error('gone')),
      };
      const outcome = await solve(name, 8, world('dies', {}, dying)).then(
        () => 'needed fewer calls',
        (error: Error) => error.message,
      );
      expect(['gone', 'needed fewer calls']).toContain(outcome);
      if (lives === 0) expect(outcome).toBe('gone');
    }
  });

  it('refuses n = 0 and unknown options, naming the known ones', async () => {
    const context = world('options');
    const refused = { code: 'OPTION_INVALID' };
    const run = (options: object) => strategyNamed(name).solve(PROBLEM, context, { ...options });
    await expect(run({ n: 0 })).rejects.toMatchObject(refused);
    await expect(run({ width_: 3 })).rejects.toMatchObject(refused);
    expect(context.usage.calls).toBe(0);
  });

  it('ends with a warning under a policy that returns nothing', async () => {
    const context = world(
      'empty',
      {},
      fakePolicy(() => []),
    );
    const result = await solve(name, 4, context);
    expect(result).toMatchObject({ answer: null, chosen: null });
    expect(result.warnings.join()).toContain('no solution was completed');
  });

  it('ends with a warning under a policy that never ends, or repeats one step for ever', async () => {
    for (const text of [(depth: number) => `on ${depth}`, () => 'again']) {
      const policy = fakePolicy((prefix) => {
        return { steps: [text(prefix.length)], finish: 'step', policyTokens: 1 };
      });
      const context = world('endless', {}, policy);
      const result = await solve(name, 4, context);
      expect(result).toMatchObject({ answer: null, chosen: null });
      expect(result.warnings.join()).toContain('no solution was completed');
      expect(result.usage.rollouts).toBeLessThan(400);
    }
  });

  it('answers under a policy that only repeats one solution, and warns if it had to choose', async () => {
    const policy = fakePolicy((prefix) => {
      const steps = ['read', 'Answer: 5'].slice(prefix.length);
      return {
        steps: steps.slice(0, 1),
        finish: steps.length < 2 ? 'end' : 'step',
        policyTokens: 1,
      };
    });
    const whole = fakePolicy((prefix) => ['read', 'Answer: 5'].slice(prefix.length));
    const both = {
      ...policy,
      sample: (request: Parameters<PolicyModel['sample']>[0]) =>
        (request.until === 'step' ? policy : whole).sample(request),
    };
    const context = world('same', {}, both);
    const result = await solve(name, 4, context);
    expect(result.answer).toBe('5');
    const complete = result.candidates.filter(({ finish }) => finish === 'end').length;
    const texts = new Set(result.candidates.map(({ steps }) => steps.join()));
    expect(result.warnings.some((text) => text.includes('one text'))).toBe(
      complete > 1 && texts.size === 1,
    );
  });
});

const scored = STRATEGY_NAMES.filter((name) => STRATEGIES[name].needs.includes('scorer' as never));

describe.each(scored)('%s', (name) => {
  it.each<[string, (steps: readonly Step[]) => number[]]>([
    ['one score too few', (steps) => steps.slice(1).map(() => 0.5)],
    ['one score too many', (steps) => [...steps.map(() => 0.5), 0.5]],
    ['a score above 1', (steps) => steps.map(() => 1.01)],
    ['a score below 0', (steps) => steps.map(() => -0.01)],
    ['an infinite score', (steps) => steps.map(() => Number.POSITIVE_INFINITY)],
  ])('refuses a reward model that returns %s', async (_what, scoresOf) => {
    const scorer: StepScorer = {
      name: 'bad',
      score: async ({ paths }) => {
        return { paths: paths.map((steps) => ({ steps: scoresOf(steps) })), prmTokens: 0 };
      },
    };
    await expect(solve(name, 4, world('bad', { scorer }))).rejects.toMatchObject({
      code: 'SCORE_INVALID',
    });
  });

  it('fails with the scorer, never with a score of its own', async () => {
    const nan: StepScorer = {
      name: 'nan',
      score: async ({ paths }) => {
        return {
          paths: paths.map((steps) => ({ steps: steps.map(() => Number.NaN) })),
          prmTokens: 0,
        };
      },
    };
    await expect(solve(name, 4, world('nan', { scorer: nan }))).rejects.toMatchObject({
      code: 'SCORE_INVALID',
    });
    let left = 1;
    const dies = {
      ...randomScorer('dies'),
      score: async (request: Parameters<StepScorer['score']>[0]) => {
        if (left-- > 0) return randomScorer('dies').score(request);
        throw new Error('the reward model is gone');
      },
    };
    const outcome = await solve(name, 4, world('dies', { scorer: dies })).then(
      () => 'one call was enough',
      (error: Error) => error.message,
    );
    expect(['one call was enough', 'the reward model is gone']).toContain(outcome);
  });
});

it('names the known strategies when it is asked for another', () => {
  expect(() => strategyNamed('best-of-m')).toThrow('best-of-n');
  expect(() => strategyNamed('toString')).toThrow('unknown strategy');
});
