import { describe, expect, it } from 'vitest';
import { createRandom, STRATEGIES, type Step, type StrategyName } from '../../../search/index.js';
import { annealedBeamOptions, beamWidthAt } from '../../../search/strategies/annealed-beam.js';
import { effectiveSampleSize, resample } from '../../../search/strategies/particle-filter.js';
import { balancedShares } from '../../../search/strategies/rebase.js';
import { fakeContext, fakePolicy, fakeScorer, PROBLEM, treePolicy } from '../../support/fakes.js';

/** A tree as `parent path: [next steps]`, and a score per step. */
function world(tree: Record<string, readonly Step[]>, scores: Record<string, number>) {
  const policy = treePolicy((prefix) => tree[prefix.join(' ')] ?? ['Answer: 0']);
  const scorer = fakeScorer((step) => scores[step] ?? 0);
  return { policy, scorer };
}

async function solve(
  name: StrategyName,
  { policy, scorer }: ReturnType<typeof world>,
  options: Record<string, unknown>,
) {
  const result = await STRATEGIES[name].solve(PROBLEM, fakeContext(policy, { scorer }), options);
  const calls = policy.calls.map(({ prefix, n }) => [prefix.join(' '), n]);
  return { result, calls };
}

const FOUR = {
  tree: {
    '': ['a', 'b', 'c', 'd'],
    b: ['b1', 'Answer: 1'],
    d: ['d1', 'd2'],
    'd d1': ['Answer: 2', 'Answer: 3'],
    'd d2': ['Answer: 4'],
  },
  scores: {
    a: 0.1,
    b: 0.9,
    c: 0.5,
    d: 0.7,
    b1: 0.2,
    d1: 0.8,
    d2: 0.3,
    'Answer: 1': 0.6,
    'Answer: 2': 0.95,
    'Answer: 3': 0.1,
    'Answer: 4': 0.4,
  },
};
const four = () => world(FOUR.tree, FOUR.scores);

describe('beam', () => {
  it('keeps the best n / width paths, and a finished one takes its place out of the budget', async () => {
    const { result, calls } = await solve('beam', four(), { n: 4, beamWidth: 2 });
    // b (0.9) and d (0.7) survive; b's second sample completes, so 3 places are left for d1, d2.
    expect(calls).toEqual([
      ['', 4],
      ['b', 2],
      ['d', 2],
      ['d d1', 2],
      ['d d2', 1],
    ]);
    expect(result.candidates.map(({ steps, score }) => [steps.join(' '), score])).toEqual([
      ['b Answer: 1', 0.6],
      ['d d1 Answer: 2', 0.95],
      ['d d1 Answer: 3', 0.1],
      ['d d2 Answer: 4', 0.4],
    ]);
    // The best, not the first that finished.
    expect(result).toMatchObject({ answer: '2', chosen: 1, stopped: 'done', warnings: [] });
    expect(result.candidates[1]?.stepScores).toEqual([0.7, 0.8, 0.95]);
  });

  it('is no guided search at its defaults: width 2 below n = 16, 4 from there on', async () => {
    const samplesPerRound = async (n: number) => {
      const open = world({}, {});
      const policy = fakePolicy((prefix, index) => {
        const steps = [`s${prefix.length} ${index}`];
        return { steps, finish: prefix.length === 2 ? 'end' : 'step', policyTokens: 1 };
      });
      await solve('beam', { ...open, policy: { ...policy, calls: policy.calls } as never }, { n });
      // Paths that survive the first round, each with an equal share of the samples.
      return policy.calls.filter(({ prefix }) => prefix.length === 1).map(({ n: share }) => share);
    };
    expect(await samplesPerRound(1)).toEqual([1]);
    expect(await samplesPerRound(4)).toEqual([2, 2]);
    expect(await samplesPerRound(8)).toEqual([2, 2, 2, 2]);
    expect(await samplesPerRound(16)).toEqual([4, 4, 4, 4]);
  });

  it('counts the lookahead in the score', async () => {
    const tree = { '': ['a', 'b'], a: ['x'], b: ['y'], 'a x': ['Answer: 1'], 'b y': ['Answer: 2'] };
    const scores = { a: 0.9, b: 0.5, x: 0.1, y: 0.8 };
    const near = await solve('beam', world(tree, scores), { n: 2, beamWidth: 2 });
    expect(near.result.answer).toBe('1');
    const far = await solve('beam', world(tree, scores), { n: 2, beamWidth: 2, lookahead: 1 });
    expect(far.result.answer).toBe('2');
    // The lookahead's own steps are no candidates.
    expect(far.result.candidates.map(({ steps }) => steps)).toEqual([['b', 'y', 'Answer: 2']]);
  });

  it('tells sums of log-odds apart where both are certain to the last digit', async () => {
    // A score of 1 counts as 1 - 1e-7, log-odds 16.1: x has 16.1 + 16.1 + 11.5, y three times 16.1.
    const tree = { '': ['a'], a: ['b'], 'a b': ['x', 'y'], 'a b y': ['Answer: 2'] };
    const scores = { a: 1, b: 1, x: 0.99999, y: 1, 'Answer: 0': 0.5, 'Answer: 2': 0.5 };
    for (const name of ['beam', 'guided'] as const) {
      const width = name === 'beam' ? { beamWidth: 2 } : {};
      const options = { n: 2, ...width, aggregation: 'sumLogit' };
      expect((await solve(name, world(tree, scores), options)).result.answer).toBe('2');
    }
  });

  it('selects by vote if told', async () => {
    const tree = { '': ['a', 'b', 'c', 'd'], a: ['Answer: 1'] };
    const scores = { a: 0.9, b: 0.8, c: 0.7, d: 0.6, 'Answer: 1': 0.9, 'Answer: 0': 0.5 };
    const options = { n: 4, beamWidth: 1, selection: 'majority' };
    expect((await solve('beam', world(tree, scores), options)).result.answer).toBe('0');
  });
});

describe('guided', () => {
  it('appends the best of n next steps until one ends the solution', async () => {
    const tree = {
      '': ['a', 'b', '', 'b'],
      b: ['Answer: 1', 'c'],
      'b c': ['Answer: 2', 'Answer: 3'],
    };
    const scores = { a: 0.3, b: 0.9, c: 0.8, 'Answer: 1': 0.2, 'Answer: 2': 0.5, 'Answer: 3': 0.6 };
    const { result, calls } = await solve('guided', world(tree, scores), { n: 4 });
    expect(calls).toEqual([
      ['', 4],
      ['b', 4],
      ['b c', 4],
    ]);
    expect(result.candidates.map(({ steps }) => steps)).toEqual([['b', 'c', 'Answer: 3']]);
    expect(result.answer).toBe('3');
    expect(result.warnings).toEqual(['the policy returned empty steps; they were dropped']);
  });

  it('falls back on the best solution that it passed over when it gets stuck', async () => {
    const tree = { '': ['Answer: 1', 'a'], a: ['a'], 'a a': ['a'] };
    const { result } = await solve('guided', world(tree, { a: 0.9, 'Answer: 1': 0.5 }), { n: 2 });
    expect(result).toMatchObject({ answer: '1', chosen: 0 });
  });
});

describe('dvts', () => {
  it('walks n / width subtrees apart and keeps every solution of their last steps', async () => {
    const tree = {
      '': ['a', 'b', 'c', 'd'],
      b: ['Answer: 1', 'Answer: 2'],
      c: ['c1', 'Answer: 9'],
      'c c1': ['Answer: 3', 'Answer: 4'],
    };
    const scores = { a: 0.1, b: 0.2, c: 0.9, d: 0.8, c1: 0.7, 'Answer: 9': 0.6, 'Answer: 4': 0.5 };
    const { result, calls } = await solve('dvts', world(tree, scores), { n: 4, beamWidth: 2 });
    // The first subtree draws a, b and the second c, d: b lives on though d is better.
    expect(calls).toEqual([
      ['', 2],
      ['', 2],
      ['b', 2],
      ['c', 2],
      ['c c1', 2],
    ]);
    expect(result.candidates.map(({ answer }) => answer)).toEqual(['1', '2', '4', '3']);
    expect(result.answer).toBe('4');
  });

  it('says so when n is no multiple of the width', async () => {
    const { result } = await solve('dvts', four(), { n: 5, beamWidth: 2 });
    expect(result.warnings[0]).toContain('4 paths');
  });
});

describe('rebase', () => {
  it('shares the width by softmax, the best first, rounding up', () => {
    // T = 1: weights 1, e^-0.4 = 0.670, e^-0.8 = 0.449 of 2.120. 4 * 0.472 -> 2, then 2 * 0.599 -> 2.
    expect(balancedShares([0.9, 0.5, 0.1], 4, 1)).toEqual([2, 2, 0]);
    // T = 0.2: weights 1, 0.135, 0.018: 4 * 0.867 = 3.47 -> 4.
    expect(balancedShares([0.9, 0.5, 0.1], 4, 0.2)).toEqual([4, 0, 0]);
    expect(balancedShares([0.5, 0.5], 4, 0.2)).toEqual([2, 2]);
    // No overflow however cold.
    expect(balancedShares([1, 0], 3, 1e-6)).toEqual([3, 0]);
  });

  it('continues paths by their share and narrows by one for each that ends', async () => {
    const { result, calls } = await solve('rebase', four(), { n: 4, balanceTemperature: 1 });
    // b: 4 * e^0 / (1 + e^-0.2 + e^-0.4 + e^-0.8) = 4 * 0.342 -> 2; then d 2 * 0.424 -> 1, c 1.
    expect(calls.slice(0, 4)).toEqual([
      ['', 4],
      ['b', 2],
      ['d', 1],
      ['c', 1],
    ]);
    // `b Answer: 1` and `c Answer: 0` have ended: 2 are left for d1 (0.8) and b1 (0.2).
    expect(calls.slice(4)).toEqual([['d d1', 2]]);
    expect(result.candidates.map(({ answer }) => answer)).toEqual(['1', '0', '2', '3']);
    expect(result.answer).toBe('2');
  });
});

describe('annealed-beam', () => {
  it('narrows linearly or geometrically, never below its least width', () => {
    const widths = (options: object) => {
      const parsed = annealedBeamOptions.parse({ n: 8, ...options });
      return [0, 1, 2, 3, 4].map((round) => beamWidthAt(round, parsed));
    };
    expect(widths({})).toEqual([4, 3, 2, 1, 1]);
    expect(widths({ beamDecrement: 2, minBeam: 2 })).toEqual([4, 2, 2, 2, 2]);
    expect(widths({ schedule: 'geometric', beamDecay: 0.5 })).toEqual([4, 2, 1, 1, 1]);
    expect(widths({ branch: 1 })).toEqual([8, 7, 6, 5, 4]);
  });

  it('samples `branch` steps of each path that its beam has room for', async () => {
    const options = { n: 4, branch: 2, aggregation: 'last' };
    const { result, calls } = await solve('annealed-beam', four(), options);
    // Beam of 2 after the first step (b, d), of 1 after the second (d1).
    expect(calls).toEqual([
      ['', 4],
      ['b', 2],
      ['d', 2],
      ['d d1', 2],
    ]);
    expect(result.answer).toBe('2');
  });
});

describe('particle-filter', () => {
  it('takes particles in proportion to their weights', () => {
    const particles = [0.5, 0.25, 0.125, 0.125].map((weight, i) => {
      const path = { steps: [String(i)], finish: 'step', policyTokens: 0 } as const;
      return { path, logWeight: Math.log(weight), copied: false };
    });
    // Points 0.5, 1.5, 2.5, 3.5 on the cumulated 2, 3, 3.5, 4.
    const taken = resample(particles, 0.5);
    expect(taken.map(({ path, copied }) => [path.steps[0], copied])).toEqual([
      ['0', false],
      ['0', true],
      ['1', false],
      ['3', false],
    ]);
    const dead = particles.map((p, i) => (i === 0 ? p : { ...p, logWeight: -Infinity }));
    expect(resample(dead, 0.9).map(({ path }) => path.steps[0])).toEqual(['0', '0', '0', '0']);
  });

  it('gives every count within one of its share, for any offset', () => {
    const random = createRandom('resample');
    for (let trial = 0; trial < 200; trial++) {
      const weights = Array.from({ length: 7 }, random);
      const total = weights.reduce((a, b) => a + b, 0);
      const particles = weights.map((weight, i) => {
        const path = { steps: [String(i)], finish: 'step', policyTokens: 0 } as const;
        return { path, logWeight: Math.log(weight), copied: false };
      });
      const taken = resample(particles, random());
      expect(taken).toHaveLength(7);
      weights.forEach((weight, i) => {
        const count = taken.filter(({ path }) => path.steps[0] === String(i)).length;
        expect(Math.abs(count - (7 * weight) / total)).toBeLessThan(1);
      });
    }
  });

  it('gives a path its share where its copies alternate with those of another', () => {
    // Odds 4 and 1, five particles each: shares of 8 and 2. Spaced points could miss all of one.
    const particles = [...'ababababab'].map((step) => {
      const path = { steps: [step], finish: 'step', policyTokens: 0 } as const;
      return { path, logWeight: step === 'a' ? Math.log(4) : 0, copied: false };
    });
    for (const offset of [0, 0.3, 0.7, 0.999]) {
      const taken = resample(particles, offset).map(({ path }) => path.steps[0]);
      expect(taken.join('')).toBe('aaaaaaaabb');
    }
  });

  it('lets likely paths multiply and hopeless ones die, and keeps finished ones', async () => {
    const tree = { '': ['good', 'bad'], good: ['Answer: 1'], bad: ['Answer: 2'] };
    const scores = { good: 0.99, bad: 0.0001, 'Answer: 1': 0.9, 'Answer: 2': 0.99 };
    const { result, calls } = await solve('particle-filter', world(tree, scores), { n: 4 });
    expect(calls).toEqual([
      ['', 4],
      ['good', 4],
    ]);
    expect(result.candidates.map(({ answer }) => answer)).toEqual(['1', '1', '1', '1']);
  });
});

describe('particle-filter, resampling less', () => {
  const particle = (logWeight: number) => {
    return { path: { steps: ['s'], finish: 'step', policyTokens: 0 }, logWeight, copied: false };
  };

  it('measures how many particles the weights leave', () => {
    const sizes = [
      [0, 0, 0, 0],
      [0, -Infinity, -Infinity, -Infinity],
      // Weights 3, 1: 16 / 10.
      [Math.log(3), 0],
    ].map((weights) => effectiveSampleSize(weights.map(particle) as never));
    expect(sizes[0]).toBeCloseTo(4, 12);
    expect(sizes[1]).toBeCloseTo(1, 12);
    expect(sizes[2]).toBeCloseTo(1.6, 12);
  });

  // Odds 4 and 1 after the first step: effective size of two pairs 100 / 34 = 2.94 of 4.
  const tree = { '': ['a', 'b'], a: ['Answer: 1'], b: ['Answer: 2'] };
  const scores = { a: 0.8, b: 0.5, 'Answer: 1': 0.5, 'Answer: 2': 0.5 };
  const starts = async (options: object) => {
    const run = await solve('particle-filter', world(tree, scores), { n: 4, ...options });
    return { shares: run.calls.slice(1), details: run.result.details };
  };

  it('waits until the effective sample size is below resampleBelow of n', async () => {
    const kept = [
      ['a', 2],
      ['b', 2],
    ];
    expect(await starts({ resampleBelow: 0.7 })).toEqual({
      shares: kept,
      details: { resamplings: 0 },
    });
    expect((await starts({ resampleBelow: 0 })).shares).toEqual(kept);
    // 4 * 0.8 = 3.2 places for a.
    const often = await starts({ resampleBelow: 0.75 });
    expect(often.details).toEqual({ resamplings: 1 });
    expect(often.shares).not.toEqual(kept);
    expect(await starts({})).toEqual(often);
  });

  it('flattens the weights by their temperature', async () => {
    const sharp = await starts({ weightTemperature: 0.1 });
    expect(sharp.shares).toEqual([['a', 4]]);
    // Odds 4^(1/1000), nearly the same for both.
    const flat = await starts({ weightTemperature: 1000 });
    expect(flat.shares).toEqual([
      ['a', 2],
      ['b', 2],
    ]);
  });

  it('counts a score that it has resampled by only once where weights are gains', async () => {
    // Five a of odds 4 and five b of odds 1 become eight and two; the second step changes nothing.
    const first = [...'ababababab'];
    const long = { '': first, a: ['a1'], b: ['b1'], 'a a1': ['Answer: 1'], 'b b1': ['Answer: 2'] };
    const same = { ...scores, a1: 0.8, b1: 0.5 };
    const resamplings = async (weighting: string) => {
      const options = { n: 10, resampleBelow: 0.999, weighting };
      const { result } = await solve('particle-filter', world(long, same), options);
      return result.details?.resamplings;
    };
    expect(await resamplings('score')).toBe(2);
    expect(await resamplings('gain')).toBe(1);
  });
});

describe('a path cut by the token limit', () => {
  it.each<StrategyName>(['beam', 'dvts', 'guided', 'rebase', 'annealed-beam', 'particle-filter'])(
    'is never complete in %s',
    async (name) => {
      const policy = fakePolicy((prefix, index) => ({
        steps: [index % 2 === 0 ? 'Answer: cut' : 'Answer: 1'],
        finish: index % 2 === 0 || prefix.length > 0 ? 'length' : 'end',
        policyTokens: 3,
      }));
      const scorer = fakeScorer((step) => (step === 'Answer: cut' ? 1 : 0.1));
      const context = fakeContext(policy, { scorer });
      const result = await STRATEGIES[name].solve(PROBLEM, context, { n: 4 });
      expect(result.answer).toBe('1');
      const cut = scorer.asked.flat().filter((steps) => steps.includes('Answer: cut'));
      expect(cut).toEqual([]);
      for (const { finish, score } of result.candidates) {
        expect(score === null).toBe(finish !== 'end');
      }
    },
  );
});
