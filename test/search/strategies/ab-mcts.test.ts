import { describe, expect, it } from 'vitest';
import { createRandom, STRATEGIES, type Step } from '../../../search/index.js';
import { descend, newTrial, prefixToKeep, record } from '../../../search/strategies/ab-mcts.js';
import { Arm, DEFAULT_PRIOR } from '../../../search/strategies/posterior.js';
import { fakeContext, fakeScorer, PROBLEM, treePolicy } from '../../support/fakes.js';

describe('Arm', () => {
  it('has the posterior that is computed by hand', () => {
    const arm = new Arm(DEFAULT_PRIOR);
    expect(arm.posterior()).toEqual({ mean: 0, kappa: 1, nu: 1, tau2: 0.1 });
    arm.observe(1);
    arm.observe(1);
    arm.observe(0.3);
    arm.forget(0.3);
    // n 2, mean 1, no spread: kappa 3, mean 2/3, nu 3, tau2 (0.1 + 0 + 2/3 * 1) / 3 = 0.2556
    const { mean, kappa, nu, tau2 } = arm.posterior();
    expect([kappa, nu]).toEqual([3, 3]);
    expect(mean).toBeCloseTo(2 / 3, 9);
    expect(tau2).toBeCloseTo(0.25556, 5);
  });

  it('draws its mean around the posterior mean, the closer the more it has seen', () => {
    const random = createRandom('arm');
    const arm = new Arm(DEFAULT_PRIOR);
    for (let i = 0; i < 50; i++) arm.observe(i % 2 === 0 ? 0.6 : 0.8);
    const draws = Array.from({ length: 4000 }, () => arm.sample(random));
    const mean = draws.reduce((a, b) => a + b, 0) / draws.length;
    const { mean: expected, kappa, tau2 } = arm.posterior();
    const deviation = Math.sqrt(draws.reduce((a, b) => a + (b - mean) ** 2, 0) / draws.length);
    // Sigma of the draws is sqrt(tau2 / kappa) * sqrt(nu / (nu - 2)); of their mean 1/63 of it.
    const sigma = Math.sqrt(tau2 / kappa) * Math.sqrt(51 / 49);
    expect(Math.abs(mean - expected)).toBeLessThan((6 * sigma) / Math.sqrt(4000));
    expect(deviation / sigma).toBeGreaterThan(0.9);
    expect(deviation / sigma).toBeLessThan(1.1);
  });
});

describe('prefixToKeep', () => {
  const steps = ['a', 'b', 'c', 'd'];

  it('keeps the steps before the lowest score, one more than the parent kept at least', () => {
    expect(prefixToKeep(steps, { steps: [0.9, 0.8, 0.1, 0.2] }, 0)).toEqual(['a', 'b']);
    expect(prefixToKeep(steps, { steps: [0.1, 0.8, 0.7, 0.9] }, 0)).toEqual(['a', 'b']);
    expect(prefixToKeep(steps, { steps: [0.9, 0.1, 0.7, 0.6] }, 1)).toEqual(['a', 'b', 'c']);
  });

  it('keeps half of the rest where no step is scored, and nothing of what is too short', () => {
    expect(prefixToKeep(steps, { steps: [] }, 0)).toEqual(['a', 'b']);
    expect(prefixToKeep(steps, { steps: [0.9, 0.9, 0.9, 0.1] }, 3)).toBeNull();
    expect(prefixToKeep(['a'], { steps: [0.5] }, 0)).toBeNull();
  });
});

describe('descend', () => {
  /** A root with one child; the child's rewards were 0.9, other solutions' 0.1, 200 each. */
  function promising() {
    const root = newTrial(null, -1, []);
    const child = newTrial(root, 0, ['a']);
    root.children.push(child);
    for (let i = 0; i < 200; i++) {
      record(child, (arm) => arm.observe(0.9));
      root.wider.observe(0.1);
    }
    return { root, child };
  }
  const share = (root: ReturnType<typeof newTrial>, child: ReturnType<typeof newTrial>) => {
    const random = createRandom('descend');
    const drawn = Array.from({ length: 200 }, () => descend(root, random) === child);
    return drawn.filter(Boolean).length / 200;
  };

  it('credits a solution to the place where it was made and to all choices above it', () => {
    const { root, child } = promising();
    const seen = [child.wider, child.own, root.deeper].map((arm) => arm.posterior().kappa);
    expect(seen).toEqual([201, 201, 201]);
    expect(child.deeper.posterior().kappa).toBe(1);
    expect(root.own.posterior().kappa).toBe(1);
  });

  it('goes deeper where that paid, and elsewhere while many trials there are under way', () => {
    const { root, child } = promising();
    expect(share(root, child)).toBe(1);
    // 3,000 pending zeros pull 0.9 down to 0.056, below the 0.1 of going wider.
    for (let i = 0; i < 3000; i++) record(child, (arm) => arm.observe(0));
    expect(share(root, child)).toBe(0);
    for (let i = 0; i < 3000; i++) record(child, (arm) => arm.forget(0));
    expect(share(root, child)).toBe(1);
  });

  it('passes over solutions that have nothing to go deeper into', () => {
    const { root, child } = promising();
    child.prefix = null;
    expect(share(root, child)).toBe(0);
  });
});

describe('ab-mcts', () => {
  const ways = (prefix: readonly Step[]) =>
    prefix.length < 3 ? ['o', 'x'] : [`Answer: ${prefix.join('')}`];
  const scorer = () => fakeScorer((step, before) => ([...before, step].includes('o') ? 0.2 : 0.9));

  async function solve(options: Record<string, unknown>, seed = 1) {
    const policy = treePolicy(ways);
    const context = fakeContext(policy, { scorer: scorer(), seed });
    return { result: await STRATEGIES['ab-mcts'].solve(PROBLEM, context, options), policy };
  }

  it('spends n solutions, some of them on branches of earlier ones, and says of which', async () => {
    const { result } = await solve({ n: 24 });
    expect(result.candidates).toHaveLength(24);
    const branched = result.candidates.filter(({ origin }) => origin === 'branched');
    expect(branched.length).toBeGreaterThan(0);
    for (const { steps, parent } of branched) {
      expect(result.candidates[parent ?? -1]?.steps[0]).toBe(steps[0]);
    }
    expect(result.answer).toBe('xxx');
  });

  it('spreads a batch: trials under way count as failures', async () => {
    const { policy } = await solve({ n: 24, trialBatch: 8 });
    const batches = [1, 2].map((batch) => policy.calls.slice(8 * batch, 8 * batch + 8));
    for (const batch of batches) {
      expect(new Set(batch.map(({ prefix }) => prefix.join(' '))).size).toBeGreaterThan(2);
    }
  });

  it('does the same again with the same seed', async () => {
    expect((await solve({ n: 12 }, 5)).result).toEqual((await solve({ n: 12 }, 5)).result);
  });
});
