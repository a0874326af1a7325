import { describe, expect, it } from 'vitest';
import type { SamplingOptions } from '../../../search/types.js';
import { type SampledToken, Sampler, uniformAt } from '../../../src/policy/onnx/sampler.js';

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

/** One draw from `row`. */
function sample(
  row: Float32Array,
  options: Partial<SamplingOptions>,
  uniform: number,
  seen: Uint8Array | null = null,
): SampledToken {
  const draw = { sampling: { ...plain, ...options }, seen, uniform };
  return new Sampler(row.length).sample(row, [draw])[0] as SampledToken;
}

function drawn(options: Partial<SamplingOptions>): Set<number> {
  const draws = Array.from({ length: 400 }, (_, k) => (k + 0.5) / 400);
  return new Set(draws.map((uniform) => sample(logits, options, uniform).token));
}

describe('the sampler', () => {
  it('is greedy at temperature 0, and takes the smaller id of equals', () => {
    expect(sample(logits, { temperature: 0 }, 0.99).token).toBe(0);
    expect(sample(Float32Array.of(1, 2, 2, 0), { temperature: 0 }, 0.5).token).toBe(1);
  });

  it('inverts the cumulative distribution', () => {
    const tokenAt = (uniform: number) => sample(logits, {}, uniform).token;
    expect([0, 0.49, 0.51, 0.74, 0.76, 0.87, 0.88, 0.999].map(tokenAt)).toEqual([
      0, 0, 1, 1, 2, 2, 3, 3,
    ]);
  });

  it('squares the odds at temperature 1/2', () => {
    // Weights 1/4, 1/16, 1/64, 1/64 of 22/64: the first takes 16/22 = 0.727.
    const tokenAt = (uniform: number) => sample(logits, { temperature: 0.5 }, uniform).token;
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
    const options = { temperature: 0, repetitionPenalty: 4 };
    expect(sample(logits, options, 0, Uint8Array.of(1, 0, 0, 0)).token).toBe(1);
  });

  it('reports the log-probability under the model, whatever the filters are', () => {
    const options = { temperature: 0.3, topK: 1, repetitionPenalty: 1.3 };
    const { token, logprob } = sample(logits, options, 0.2, new Uint8Array(4));
    expect(token).toBe(0);
    expect(logprob).toBeCloseTo(Math.log(0.5), 5);
  });

  it('draws each row of a batch by its own settings', () => {
    const rows = Float32Array.from([...logits, ...logits, ...logits]);
    const draw = (options: Partial<SamplingOptions>, uniform: number) => ({
      sampling: { ...plain, ...options },
      seen: null,
      uniform,
    });
    const draws = [draw({}, 0.9), draw({ temperature: 0 }, 0.9), draw({ topK: 2 }, 0.9)];
    const tokens = new Sampler(4).sample(rows, draws).map(({ token }) => token);
    // Of the two that top-k leaves, 2/3 and 1/3, 0.9 falls into the second.
    expect(tokens).toEqual([3, 0, 1]);
  });

  it('refuses logits that are no numbers', () => {
    for (const row of [
      [0, Number.NaN, 1],
      [Number.NEGATIVE_INFINITY],
      [1, Number.POSITIVE_INFINITY],
    ]) {
      expect(() => sample(Float32Array.from(row), {}, 0.5)).toThrow(
        expect.objectContaining({ code: 'ONNX_LOGITS' }),
      );
    }
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
