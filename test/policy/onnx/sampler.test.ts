import { describe, expect, it } from 'vitest';
import type { SamplingOptions } from '../../../search/types.js';
import { expOfDrop, Sampler, uniformAt } from '../../../src/policy/onnx/sampler.js';

const plain: SamplingOptions = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  maxTokens: 1,
};

// Probabilities 1/2, 1/4, 1/8, 1/8.
const logits = Float32Array.from([0.5, 0.25, 0.125, 0.125], Math.log);

function drawn(options: Partial<SamplingOptions>, seen: Uint8Array | null = null): Set<number> {
  const sampler = new Sampler(4);
  const tokens = new Set<number>();
  for (let k = 0; k < 400; k++) {
    tokens.add(sampler.sample(logits, 0, { ...plain, ...options }, seen, (k + 0.5) / 400).token);
  }
  return tokens;
}

describe('the sampler', () => {
  it('is greedy at temperature 0, and takes the smaller id of equals', () => {
    const sampler = new Sampler(4);
    const greedy = { ...plain, temperature: 0 };
    expect(sampler.sample(logits, 0, greedy, null, 0.99).token).toBe(0);
    expect(sampler.sample(Float32Array.of(1, 2, 2, 0), 0, greedy, null, 0.5).token).toBe(1);
  });

  it('inverts the cumulative distribution', () => {
    const sampler = new Sampler(4);
    const tokenAt = (uniform: number) => sampler.sample(logits, 0, plain, null, uniform).token;
    expect([0, 0.49, 0.51, 0.74, 0.76, 0.87, 0.88, 0.999].map(tokenAt)).toEqual([
      0, 0, 1, 1, 2, 2, 3, 3,
    ]);
  });

  it('squares the odds at temperature 1/2', () => {
    const sampler = new Sampler(4);
    // Weights 1/4, 1/16, 1/64, 1/64 of 22/64: the first takes 16/22 = 0.727.
    const tokenAt = (uniform: number) =>
      sampler.sample(logits, 0, { ...plain, temperature: 0.5 }, null, uniform).token;
    expect([0.72, 0.73].map(tokenAt)).toEqual([0, 1]);
  });

  it('keeps what top-k, top-p and min-p keep', () => {
    expect(drawn({ topK: 2 })).toEqual(new Set([0, 1]));
    // 1/2 + 1/4 reaches 0.7, and of equals the smaller id is taken first.
    expect(drawn({ topP: 0.7 })).toEqual(new Set([0, 1]));
    expect(drawn({ topP: 0.8 })).toEqual(new Set([0, 1, 2]));
    expect(drawn({ topP: 0.01 })).toEqual(new Set([0]));
    // min-p is a share of the largest probability: 0.4 · 1/2 = 0.2.
    expect(drawn({ minP: 0.4 })).toEqual(new Set([0, 1]));
    expect(drawn({})).toEqual(new Set([0, 1, 2, 3]));
  });

  it('pushes seen tokens down by the repetition penalty', () => {
    // Logits are negative, so the penalty multiplies: ln(1/2) · 4 = ln(1/16) loses to 1/4.
    const sampler = new Sampler(4);
    const options = { ...plain, temperature: 0, repetitionPenalty: 4 };
    expect(sampler.sample(logits, 0, options, Uint8Array.of(1, 0, 0, 0), 0).token).toBe(1);
  });

  it('reports the log-probability under the model, whatever the filters are', () => {
    const sampler = new Sampler(4);
    const options = { ...plain, temperature: 0.3, topK: 1, repetitionPenalty: 1.3 };
    const { token, logprob } = sampler.sample(logits, 0, options, new Uint8Array(4), 0.2);
    expect(token).toBe(0);
    expect(logprob).toBeCloseTo(Math.log(0.5), 6);
  });

  it('takes exponentials to within 1e-8, and nothing from what is impossible', () => {
    expect(expOfDrop(0)).toBe(1);
    for (let drop = 0; drop < 44; drop += 0.0137) {
      expect(Math.abs(expOfDrop(drop) / Math.exp(-drop) - 1)).toBeLessThan(1e-8);
    }
    expect([45, 1e30, Number.POSITIVE_INFINITY].map(expOfDrop)).toEqual([0, 0, 0]);
  });

  it('draws numbers that depend on seed and position alone and fill [0, 1) evenly', () => {
    expect(uniformAt(5, 7)).toBe(uniformAt(5, 7));
    const bins = new Array<number>(64).fill(0);
    const seen = new Set<number>();
    for (let seed = 0; seed < 160; seed++) {
      for (let position = 0; position < 200; position++) {
        const uniform = uniformAt(seed, position);
        seen.add(uniform);
        bins[Math.floor(uniform * 64)] = (bins[Math.floor(uniform * 64)] ?? 0) + 1;
      }
    }
    expect(seen.size).toBe(32000);
    // 500 expected in each; chi-square with 63 degrees of freedom exceeds 126 with odds of 4e-6,
    // and the numbers are fixed anyway.
    const chiSquare = bins.reduce((sum, count) => sum + (count - 500) ** 2 / 500, 0);
    expect(chiSquare).toBeLessThan(126);
    expect(chiSquare).toBeGreaterThan(24);
  });
});
