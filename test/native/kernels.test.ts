import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addonKernels, addonPath, loadAddon } from '../../native/addon.js';
import { type Kernels, SETTINGS, typescriptKernels, writeSettings } from '../../native/index.js';
import type { SamplingOptions } from '../../search/types.js';

const plain: SamplingOptions = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  maxTokens: 1,
};

interface Case {
  readonly logits: Float32Array;
  readonly vocab: number;
  readonly options: readonly SamplingOptions[];
  readonly uniforms: readonly number[];
  readonly seen: readonly (Uint8Array | null)[];
}

function sampled(kernels: Kernels, { logits, vocab, options, uniforms, seen }: Case) {
  const rows = options.length;
  const settings = new Float64Array(rows * SETTINGS);
  for (const [row, one] of options.entries()) {
    writeSettings(settings, row, one, uniforms[row] ?? 0);
  }
  const tokens = new Int32Array(rows).fill(-1);
  const logprobs = new Float64Array(rows);
  const bad = kernels.sample({ logits, vocab, rows, settings, seen }, tokens, logprobs);
  const done = bad < 0 ? rows : bad;
  return { bad, tokens: [...tokens.subarray(0, done)], logprobs: [...logprobs.subarray(0, done)] };
}

/** The addon with some instructions, or null where it can't be had. */
function addonWith(instructions: string): Kernels | null {
  const path = addonPath();
  const addon = path === null ? null : loadAddon(path);
  if (!addon?.use(instructions)) return null;
  const found = addonKernels(addon);
  // Instructions are chosen for the whole thread, so each call says which.
  const using = <Args extends unknown[], Result>(call: (...args: Args) => Result) => {
    return (...args: Args): Result => {
      addon.use(instructions);
      return call(...args);
    };
  };
  return { name: found.name, sample: using(found.sample), gather: using(found.gather) };
}

/** Logits of many shapes: bells, steps of equals, integers, peaks, impossible tokens. */
function rowOf(vocab: number, kind: number, spread: number, seed: number): Float32Array {
  let state = seed | 1;
  const random = () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d);
    state = Math.imul(state ^ (state >>> 12), 0x297a2d39) + 0x9e3779b9;
    return ((state ^ (state >>> 15)) >>> 0) / 2 ** 32;
  };
  return Float32Array.from({ length: vocab }, (_, id) => {
    const bell = random() + random() + random() + random() - 2;
    if (kind === 0) return bell * spread;
    if (kind === 1) return Math.round(bell * spread);
    if (kind === 2) return 3.25;
    if (kind === 3) return random() < 0.01 ? 20 + bell : bell * spread - 10;
    if (kind === 4) return random() < 0.5 ? Number.NEGATIVE_INFINITY : bell * spread;
    if (kind === 5) return -id * 1e-3 * spread;
    return id * 1e-3 * spread - 100;
  });
}

const optionsOf = fc.record({
  temperature: fc.constantFrom(0, 1, 1, 0.7, 1.3, 1e-3, 1e-30, 1e-45, 5, 1e30, 1e60),
  topK: fc.constantFrom(0, 0, 1, 2, 50, 300, 1500, 100_000, 1_000_000),
  topP: fc.constantFrom(1, 1, 0.95, 0.5, 1e-9, 0.999999),
  minP: fc.constantFrom(0, 0, 0.05, 0.9, 1e-12, 0.99999999),
  repetitionPenalty: fc.constantFrom(1, 1, 1.05, 2),
  maxTokens: fc.constant(1),
});
const uniformOf = fc.oneof(
  fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  fc.constantFrom(0, 0.5, 1 - 2 ** -53),
);

const caseOf: fc.Arbitrary<Case> = fc
  .record({
    vocab: fc.oneof(
      fc.integer({ min: 1, max: 130 }),
      fc.constantFrom(640, 1024, 2047, 4096, 5003, 20_000),
    ),
    kind: fc.integer({ min: 0, max: 6 }),
    spread: fc.constantFrom(1e-6, 0.1, 1, 3, 10, 1000, 1e38),
    seed: fc.integer(),
    draws: fc.array(fc.tuple(optionsOf, uniformOf, fc.boolean()), { minLength: 1, maxLength: 8 }),
  })
  .map(({ vocab, kind, spread, seed, draws }) => {
    const logits = new Float32Array(vocab * draws.length);
    for (const row of draws.keys()) logits.set(rowOf(vocab, kind, spread, seed + row), row * vocab);
    return {
      logits,
      vocab,
      options: draws.map(([options]) => options),
      uniforms: draws.map(([, uniform]) => uniform),
      seen: draws.map(([, , marked], row) =>
        marked
          ? Uint8Array.from({ length: vocab }, (_, id) => ((id * 7 + row) % 5 === 0 ? 1 : 0))
          : null,
      ),
    };
  });

describe.each(['avx2', 'portable'])('the addon with %s instructions', (instructions) => {
  const addon = addonWith(instructions);

  it.skipIf(addon === null)('draws what its twin draws, to the last bit', () => {
    fc.assert(
      fc.property(caseOf, (one) => {
        expect(sampled(addon as Kernels, one)).toEqual(sampled(typescriptKernels, one));
      }),
      { numRuns: 400, seed: 6 },
    );
  });

  it.skipIf(addon === null)('cuts by mass among the lightest weights', () => {
    // One weight of 2^30 and 999 of 0 to 2: the sum is reached in the lowest bins, and some are empty.
    const logits = Float32Array.from({ length: 1000 }, (_, id) => (id > 0 ? -20 - id * 1e-3 : 0));
    for (const topP of [1 - 1e-7, 1 - 3e-7, 1 - 6e-7, 1 - 9e-7]) {
      const options = [{ ...plain, topP }];
      const one: Case = { logits, vocab: 1000, options, uniforms: [1 - 2 ** -53], seen: [null] };
      expect(sampled(addon as Kernels, one)).toEqual(sampled(typescriptKernels, one));
    }
  });

  it.skipIf(addon === null)('agrees at a vocabulary of 151,936 in batches of up to 64', () => {
    const vocab = 151_936;
    const settings: Partial<SamplingOptions>[] = [
      {},
      { temperature: 0 },
      { temperature: 0.7 },
      { topP: 0.95 },
      { topP: 0.5, temperature: 2 },
      { topK: 50 },
      { topK: 5000, topP: 0.9 },
      { minP: 0.05 },
      { temperature: 0.8, topK: 40, topP: 0.9, minP: 0.02, repetitionPenalty: 1.1 },
    ];
    for (const [kind, rows] of [
      [0, 64],
      [1, 9],
      [2, 9],
      [3, 16],
      [6, 9],
    ] as const) {
      const logits = new Float32Array(vocab * rows);
      for (let row = 0; row < rows; row++) logits.set(rowOf(vocab, kind, 6, row), row * vocab);
      const one: Case = {
        logits,
        vocab,
        options: Array.from({ length: rows }, (_, row) => ({ ...plain, ...settings[row % 9] })),
        uniforms: Array.from({ length: rows }, (_, row) => ((row + 1) * 0.6180339887498949) % 1),
        seen: Array.from({ length: rows }, () => new Uint8Array(vocab).fill(1, 0, 1000)),
      };
      expect(sampled(addon as Kernels, one)).toEqual(sampled(typescriptKernels, one));
    }
  });

  it.skipIf(addon === null)('gathers what its twin gathers', () => {
    fc.assert(
      fc.property(caseOf, fc.integer({ min: 1, max: 3 }), ({ logits, vocab, options }, width) => {
        const rows = options.length;
        const picks = Int32Array.from({ length: rows * width }, (_, i) => (i * 31) % vocab);
        const [ours, twins] = [addon as Kernels, typescriptKernels].map((kernels) => {
          const logprobs = new Float64Array(picks.length);
          return { bad: kernels.gather({ logits, vocab, rows, picks }, logprobs), logprobs };
        });
        expect(ours?.bad).toBe(twins?.bad);
        if (ours?.bad === -1) expect(ours.logprobs).toEqual(twins?.logprobs);
      }),
      { numRuns: 200, seed: 6 },
    );
  });
});
