import { describe, expect, it } from 'vitest';
import { createMarkerCritic, firstWrongStep, markerCriticOptions } from '../../prm/index.js';
import type { Problem, Rollout, SampleRequest, Step } from '../../search/types.js';

const problem: Problem = { id: 'p', question: 'How many?', images: [] };
const options = markerCriticOptions.parse({});

/** A model whose scores are given and which always writes the same. */
function critic(
  scores: readonly number[],
  written: Partial<Rollout> = {},
  given = {},
  correctionPrefix: string | null = '<prm>No',
) {
  const asked: SampleRequest[] = [];
  const scorer = {
    name: 'm',
    score: async () => ({ paths: [{ steps: scores }], prmTokens: 12 }),
  };
  const writer = {
    name: 'm',
    sample: async (request: SampleRequest) => {
      asked.push(request);
      const rollout = { steps: ['right'], finish: 'step', policyTokens: 3, ...written } as const;
      return { rollouts: [rollout], promptTokens: 30, cachedTokens: 20 };
    },
  };
  const parts = { scorer, writer, marker: '<prm>', correctionPrefix };
  const host = createMarkerCritic(parts, { ...options, ...given });
  return { asked, critique: (steps: readonly Step[]) => host.critique(problem, steps) };
}

describe('the first wrong step by scores', () => {
  const first = (scores: readonly number[], given = {}) =>
    firstWrongStep(scores, { ...options, ...given });

  it('is where the score falls below half of the one before and below 0.5', () => {
    expect(first([0.9, 0.8, 0.3, 0.1])).toBe(2);
  });

  it('is not a low score that was low before: the problem is hard', () => {
    expect(first([0.6, 0.45, 0.4, 0.35])).toBeNull();
  });

  it('is the first step where it starts below both bounds', () => {
    expect(first([0.2, 0.2])).toBe(0);
  });

  it('moves with both bounds', () => {
    expect(first([0.9, 0.6, 0.4], { wrongShare: 0.7 })).toBe(2);
    expect(first([0.9, 0.3], { wrongBelow: 0.2 })).toBeNull();
  });
});

describe('a critic in a folder', () => {
  it('shows the writer the steps with their markers and No after the wrong one', async () => {
    const { critique, asked } = critic([0.9, 0.1, 0.05]);
    expect(await critique(['a', 'b <prm> c', 'd'])).toEqual({
      firstError: 1,
      findings: [{ probability: 0.9 }, { probability: 0.1 }, { probability: 0.05 }],
      correction: 'right',
      criticTokens: 12 + 10 + 3,
    });
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({ until: 'step', sampling: { temperature: 0 } });
    expect(asked[0]?.prefix).toEqual(['a<prm>', 'b < prm> c<prm>No']);
  });

  it('shows a writer without a correction prefix the right steps alone', async () => {
    const { critique, asked } = critic([0.9, 0.8, 0.1], {}, {}, null);
    expect(await critique(['a', 'b', 'c'])).toMatchObject({ firstError: 2, correction: 'right' });
    expect(asked[0]?.prefix).toEqual(['a<prm>', 'b<prm>']);
  });

  it('writes nothing where no step is wrong', async () => {
    const { critique, asked } = critic([0.9, 0.8]);
    expect(await critique(['a', 'b'])).toEqual({
      firstError: null,
      findings: [{ probability: 0.9 }, { probability: 0.8 }],
      criticTokens: 12,
    });
    expect(asked).toEqual([]);
  });

  it.each([
    ['repeats the wrong step', { steps: ['a'] }],
    ['is cut', { finish: 'length' as const }],
    ['is empty', { steps: [], finish: 'end' as const }],
  ])('gives no correction that %s', async (_, written) => {
    const { critique } = critic([0.1], written);
    const critique1 = await critique(['a']);
    expect(critique1.firstError).toBe(0);
    expect(critique1).not.toHaveProperty('correction');
  });

  it('leaves the marker out of what it wrote', async () => {
    const { critique } = critic([0.1], { steps: ['right<prm>'] });
    expect((await critique(['a'])).correction).toBe('right');
  });

  it('lets the correction be as long as the option says', async () => {
    const { critique, asked } = critic([0.1], {}, { correctionTokens: 7 });
    await critique(['a']);
    expect(asked[0]?.sampling.maxTokens).toBe(7);
  });
});
