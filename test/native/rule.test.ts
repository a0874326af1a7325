import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  chooseKernels,
  kernels,
  SETTINGS,
  typescriptKernels,
  writeSettings,
} from '../../native/index.js';
import { stepsPerNat, UNIT, weightOf, wholeWeight } from '../../native/weights.js';
import type { SamplingOptions } from '../../search/types.js';

const plain: SamplingOptions = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  maxTokens: 1,
};

function drawOne(row: Float32Array, options: SamplingOptions, uniform: number) {
  const settings = new Float64Array(SETTINGS);
  writeSettings(settings, 0, options, uniform);
  const tokens = new Int32Array(1);
  const logprobs = new Float64Array(1);
  const request = { logits: row, vocab: row.length, rows: 1, settings, seen: [] };
  const bad = kernels().sample(request, tokens, logprobs);
  return { bad, token: tokens[0] ?? -1, logprob: logprobs[0] ?? 0 };
}

/** The rule of native/sampling.ts as it is written there, by sorting everything. */
function drawnBySorting(row: Float32Array, options: SamplingOptions, uniform: number): number {
  const top = Math.max(...row);
  const steps = stepsPerNat(options.temperature);
  const all = Array.from(row, (logit, id) => ({
    id,
    weight: wholeWeight(weightOf(logit, top, steps)),
  }));
  let kept = all
    .filter(({ weight }) => weight > 0 && weight >= options.minP * UNIT)
    .sort((a, b) => b.weight - a.weight || a.id - b.id);
  if (options.topK > 0) kept = kept.slice(0, options.topK);
  const sum = kept.reduce((total, { weight }) => total + weight, 0);
  let reached = 0;
  let count = 0;
  while (count < kept.length && (count === 0 || reached < options.topP * sum)) {
    reached += kept[count]?.weight ?? 0;
    count += 1;
  }
  kept = kept.slice(0, options.topP < 1 ? count : kept.length).sort((a, b) => a.id - b.id);
  const target = uniform * kept.reduce((total, { weight }) => total + weight, 0);
  let passed = 0;
  for (const { id, weight } of kept) {
    passed += weight;
    if (passed > target) return id;
  }
  return -1;
}

const rowOf = fc
  .tuple(
    fc.array(fc.double({ min: -30, max: 30, noNaN: true }), { minLength: 1, maxLength: 700 }),
    // Rounded, so that there are ties.
    fc.constantFrom(1e-7, 0.5, 4),
  )
  .map(([values, grid]) => Float32Array.from(values, (value) => Math.round(value / grid) * grid));
const optionsOf = fc.record({
  temperature: fc.constantFrom(1, 0.7, 3, 20),
  topK: fc.constantFrom(0, 1, 3, 50, 650),
  topP: fc.constantFrom(1, 0.95, 0.5, 0.01),
  minP: fc.constantFrom(0, 0.05, 0.5, 1e-6),
  repetitionPenalty: fc.constant(1),
  maxTokens: fc.constant(1),
});

describe('drawing', () => {
  it('follows its rule', () => {
    const uniforms = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(rowOf, optionsOf, uniforms, (row, options, uniform) => {
        expect(drawOne(row, options, uniform).token).toBe(drawnBySorting(row, options, uniform));
      }),
      { numRuns: 500, seed: 6 },
    );
  });

  it('gives log-probabilities within 1e-5 of the log-softmax', () => {
    fc.assert(
      fc.property(rowOf, optionsOf, (row, options) => {
        const { token, logprob } = drawOne(row, options, 0.4);
        const top = Math.max(...row);
        const sum = row.reduce((total, logit) => total + Math.exp(logit - top), 0);
        const exact = (row[token] ?? 0) - top - Math.log(sum);
        expect(Math.abs(logprob - exact)).toBeLessThan(1e-5);
      }),
      { numRuns: 300, seed: 6 },
    );
  });

  it('draws as often as a token is probable', () => {
    // 1/2, 1/4, 1/8, 1/8 of 8,000 evenly spaced numbers: within one of 4,000, 2,000, 1,000, 1,000.
    const row = Float32Array.from([0.5, 0.25, 0.125, 0.125], Math.log);
    const counts = [0, 0, 0, 0];
    for (let k = 0; k < 8000; k++) {
      const { token } = drawOne(row, plain, (k + 0.5) / 8000);
      counts[token] = (counts[token] ?? 0) + 1;
    }
    for (const [token, expected] of [4000, 2000, 1000, 1000].entries()) {
      expect(Math.abs((counts[token] ?? 0) - expected)).toBeLessThanOrEqual(1);
    }
  });

  it('says which row has logits that are no numbers', () => {
    const settings = new Float64Array(3 * SETTINGS);
    for (const row of [0, 1, 2]) writeSettings(settings, row, plain, 0.5);
    for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const logits = Float32Array.of(1, 2, 3, 4, wrong, 0);
      for (const one of [kernels(), typescriptKernels]) {
        const request = { logits, vocab: 2, rows: 3, settings, seen: [] };
        expect(one.sample(request, new Int32Array(3), new Float64Array(3))).toBe(2);
        const picks = Int32Array.of(0, 0, 0);
        expect(one.gather({ logits, vocab: 2, rows: 3, picks }, new Float64Array(3))).toBe(2);
      }
    }
  });
});

describe('a weight', () => {
  it('falls with every step and stays within 6e-6 of its value', () => {
    const steps = stepsPerNat(1);
    const weights = Array.from({ length: 3 * 65536 }, (_, k) => weightOf(-k / steps, 0, steps));
    expect(weights.findIndex((weight, k) => weight > (weights[k - 1] ?? UNIT))).toBe(-1);
    const errors = weights.map((weight, k) => Math.abs(weight / UNIT / Math.exp(-k / steps) - 1));
    expect(errors.reduce((most, error) => Math.max(most, error), 0)).toBeLessThan(6e-6);
    expect(weightOf(5, 5, steps)).toBe(UNIT);
    expect(wholeWeight(weightOf(Number.NEGATIVE_INFINITY, 0, steps))).toBe(0);
  });
});

describe('STEPTREE_NATIVE', () => {
  it('turns the addon off, and says why', () => {
    const { kernels: off, reason } = chooseKernels('off');
    expect([off.name, reason]).toEqual(['typescript', 'STEPTREE_NATIVE=off']);
  });

  it('takes the twins where no processor has the named instructions', () => {
    expect(chooseKernels('abacus').kernels.name).toBe('typescript');
  });
});
