import { describe, expect, it } from 'vitest';
import type { Rollout } from '../../search/types.js';
import { createSimulatedPolicy, simulatedOptions } from '../../src/policy/simulated.js';
import { policyContract } from './contract.js';
import {
  defaultSimulation,
  manyProblems,
  request,
  sampling,
  simulatedRequests,
} from './samples.js';

policyContract('the simulated policy', {
  open: async () => createSimulatedPolicy(defaultSimulation),
  openSlow: async () => createSimulatedPolicy({ ...defaultSimulation, latencyMs: 60_000 }),
  requests: simulatedRequests,
  deterministic: true,
});

const seeds = (count: number) => Array.from({ length: count }, (_, i) => i);

async function sampleWith(
  options: Record<string, unknown>,
  changes: Parameters<typeof request>[0] = {},
): Promise<readonly Rollout[]> {
  const policy = createSimulatedPolicy(simulatedOptions.parse(options));
  return (await policy.sample(request(changes))).rollouts;
}

const shareRight = (rollouts: readonly Rollout[]) =>
  rollouts.filter((rollout) => rollout.steps.at(-1) === 'Answer: 12').length / rollouts.length;

describe('the simulated policy', () => {
  it('always reaches the gold answer when it never errs', async () => {
    const rollouts = await sampleWith({ errorRate: 0 }, { seeds: seeds(50) });
    expect(shareRight(rollouts)).toBe(1);
  });

  it('never reaches the gold answer from an error that it never corrects', async () => {
    const options = { errorRate: 1, difficultySpread: 0, recoverRate: 0, minSteps: 2 };
    const [first] = await sampleWith(options, { seeds: [1], until: 'step' });
    expect(first?.finish).toBe('step');
    const prefix = first?.steps ?? [];
    expect(prefix).toHaveLength(1);
    const rest = await sampleWith({ ...options, errorRate: 0 }, { prefix, seeds: seeds(50) });
    expect(shareRight(rest)).toBe(0);
  });

  it('gets back to the gold answer when it corrects every error at once', async () => {
    const [wrong] = await sampleWith(
      { errorRate: 1, difficultySpread: 0, recoverRate: 0, minSteps: 6 },
      { seeds: [1], until: 'step' },
    );
    const rest = await sampleWith(
      { errorRate: 0, recoverRate: 1, minSteps: 6 },
      { prefix: wrong?.steps ?? [], seeds: seeds(50) },
    );
    expect(shareRight(rest)).toBe(1);
  });

  it('has as many steps as the options allow, the answer included', async () => {
    const lengths = new Set<number>();
    for (const problem of manyProblems(60)) {
      const rollouts = await sampleWith({ minSteps: 3, maxSteps: 5 }, { problem, seeds: seeds(4) });
      for (const { steps } of rollouts) lengths.add(steps.length);
    }
    // 240 draws from 3, 4, 5 that depend on seeds and names only: the same in every run.
    expect([...lengths].sort()).toEqual([3, 4, 5]);
  });

  it('solves one problem in about as many steps each time', async () => {
    for (const stepSpread of [0, 1, 2]) {
      const rollouts = await sampleWith(
        { minSteps: 3, maxSteps: 20, stepSpread },
        { seeds: seeds(300) },
      );
      const lengths = rollouts.map((rollout) => rollout.steps.length);
      // Both ends are drawn with 1/5 or more each: missing one of them has odds under 1e-28.
      expect(Math.max(...lengths) - Math.min(...lengths)).toBe(2 * stepSpread);
    }
  });

  it('spreads its wrong answers over as many values as told', async () => {
    const rollouts = await sampleWith(
      { errorRate: 1, difficultySpread: 0, recoverRate: 0, wrongAnswers: 3, minSteps: 2 },
      { seeds: seeds(200) },
    );
    const answers = new Set(rollouts.map((rollout) => rollout.steps.at(-1)));
    expect([...answers].sort()).toEqual(['Answer: 13', 'Answer: 14', 'Answer: 15']);
  });

  it('answers a choice problem with another choice when it is wrong', async () => {
    const problem = { ...request().problem, answer: 'B', choices: ['one', 'two', 'three'] };
    const rollouts = await sampleWith(
      { errorRate: 1, difficultySpread: 0, recoverRate: 0, minSteps: 2 },
      { problem, seeds: seeds(60) },
    );
    const answers = new Set(rollouts.map((rollout) => rollout.steps.at(-1)));
    expect([...answers].sort()).toEqual(['Answer: A', 'Answer: C']);
  });

  it('adds nothing to a finished solution', async () => {
    const rollouts = await sampleWith({}, { prefix: ['Answer: 12'], seeds: [1] });
    expect(rollouts).toEqual([{ steps: [], finish: 'end', policyTokens: 1 }]);
  });

  it('is greedy at temperature 0: every seed gives the same text', async () => {
    const rollouts = await sampleWith({}, { sampling: { ...sampling, temperature: 0 } });
    expect(new Set(rollouts.map((rollout) => rollout.steps.join('\n'))).size).toBe(1);
  });

  it('makes some problems harder than others', async () => {
    const shares: number[] = [];
    for (const problem of manyProblems(40)) {
      const rollouts = await sampleWith(
        { errorRate: 0.3, difficultySpread: 1, recoverRate: 0, minSteps: 5, maxSteps: 5 },
        { problem, seeds: seeds(64) },
      );
      const right = rollouts.filter((r) => r.steps.at(-1) === `Answer: ${problem.answer}`);
      shares.push(right.length / rollouts.length);
    }
    // Error rates lie between 0 and 0.6 a step, so solutions are right in 100 % to 3 % of cases.
    expect(Math.max(...shares)).toBeGreaterThan(0.7);
    expect(Math.min(...shares)).toBeLessThan(0.25);
  });

  it('draws long-tailed step lengths with the mean of even ones, and more far from it', async () => {
    const lengths = async (stepLengths: 'even' | 'long-tail') => {
      const options = { minStepTokens: 10, maxStepTokens: 90, stepLengths };
      const rollouts = await sampleWith(options, { seeds: seeds(400) });
      const steps = rollouts.flatMap((rollout) => rollout.steps.slice(0, -1));
      return steps.map((step) => step.split(' ').length);
    };
    const mean = (values: number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;
    const even = await lengths('even');
    const tail = await lengths('long-tail');
    // Mean 50 in both; an exponential of mean 40 above 10 passes 90 with chance exp(-2) = 13.5 %.
    // About 1,500 steps: a standard error of 1 token and of 0.9 points; 5 of them are allowed.
    expect(Math.abs(mean(even) - 50)).toBeLessThan(5);
    expect(Math.abs(mean(tail) - 50)).toBeLessThan(5);
    expect(Math.max(...even)).toBeLessThanOrEqual(90);
    const far = tail.filter((length) => length > 90).length / tail.length;
    expect(Math.abs(far - 0.135)).toBeLessThan(0.045);
  });

  it('refuses a problem without a gold answer', async () => {
    const { answer: _, ...problem } = request().problem;
    await expect(sampleWith({}, { problem })).rejects.toMatchObject({
      code: 'SIMULATED_NO_ANSWER',
    });
  });

  it('refuses options that contradict each other', () => {
    expect(simulatedOptions.safeParse({ minSteps: 5, maxSteps: 4 }).success).toBe(false);
    expect(simulatedOptions.safeParse({ minStepTokens: 9, maxStepTokens: 8 }).success).toBe(false);
  });
});
