import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SamplingOptions } from '../../../search/types.js';
import { Batcher } from '../../../src/policy/onnx/batcher.js';
import { Sampler, uniformAt } from '../../../src/policy/onnx/sampler.js';
import type { BatchRequest } from '../../../src/policy/onnx/sequence.js';
import { HASH_SHAPE, hashDecoder, hashEmbedder, hashLogits } from './hash-decoder.js';

const END = 3;
const IMAGE = 5;
const sampling: SamplingOptions = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  maxTokens: 60,
};

function request(ids: readonly number[], seeds: readonly number[]): BatchRequest {
  return {
    ids,
    imageToken: IMAGE,
    imageFeatures: [],
    imageKeys: [],
    seeds,
    sampling,
    endTokens: new Set([END]),
  };
}

/** What one sequence must be, computed from its whole text at every token. */
function alone(embeddings: readonly number[], seed: number, options = sampling): number[] {
  const sampler = new Sampler(HASH_SHAPE.vocab);
  const tokens: number[] = [];
  while (tokens.length < options.maxTokens && tokens.at(-1) !== END) {
    const logits = hashLogits([...embeddings, ...tokens.map((token) => token + 1)]);
    const uniform = uniformAt(seed, tokens.length);
    const [sampled] = sampler.sample(logits, [{ sampling: options, seen: null, uniform }]);
    tokens.push(sampled?.token ?? -1);
  }
  return tokens;
}

const embed = (ids: readonly number[]) => ids.map((id) => id + 1);

describe('continuous batching', () => {
  it('gives every sequence the text that it has alone, in any company and with any cache', async () => {
    const prompt = fc.array(fc.integer({ min: 6, max: 39 }), { minLength: 1, maxLength: 100 });
    const requests = fc.array(fc.tuple(prompt, fc.integer({ min: 1, max: 20 })), {
      minLength: 1,
      maxLength: 12,
    });
    const options = fc.record({
      maxBatch: fc.constantFrom(1, 2, 7, 64),
      cacheBytes: fc.constantFrom(0, 3000, 1e9),
    });
    const shares = fc.boolean();
    await fc.assert(
      fc.asyncProperty(requests, options, shares, async (wanted, settings, shared) => {
        const batcher = new Batcher(hashDecoder(undefined, shared), hashEmbedder, settings);
        const results = await Promise.all(
          wanted.map(([ids, n], index) => batcher.submit(request(ids, seedsOf(index, n))).done),
        );
        for (const [index, [ids, n]] of wanted.entries()) {
          const expected = seedsOf(index, n).map((seed) => alone(embed(ids), seed));
          expect(results[index]?.sequences.map((one) => one.tokens)).toEqual(expected);
        }
        await batcher.drain();
      }),
      { seed: 11, numRuns: 40 },
    );
  });

  it('computes a shared prompt once and says what the cache gave', async () => {
    const batcher = new Batcher(hashDecoder(), hashEmbedder, { maxBatch: 8, cacheBytes: 1e9 });
    const ids = Array.from({ length: 70 }, (_, index) => 6 + (index % 30));
    const first = await batcher.submit(request(ids, [1, 2, 3])).done;
    expect(first.cachedTokens).toBe(0);
    expect(batcher.stats.computedPromptTokens).toBe(70);
    const again = await batcher.submit(request(ids, [4])).done;
    expect(again.cachedTokens).toBe(70);
    // 70 tokens are blocks of 32, 32 and 6; with other tokens after them only two are the same.
    const longer = await batcher.submit(request([...ids, 8, 9], [5])).done;
    expect(longer.cachedTokens).toBe(64);
    expect(batcher.stats.computedPromptTokens).toBe(70 + 8);
    expect(longer.sequences[0]?.tokens).toEqual(alone(embed([...ids, 8, 9]), 5));
  });

  it('counts the tokens that it computed and those that sequences on their own would have', async () => {
    const batcher = new Batcher(hashDecoder(), hashEmbedder, { maxBatch: 8, cacheBytes: 1e9 });
    const ids = Array.from({ length: 40 }, (_, index) => 6 + (index % 30));
    const four = { ...request(ids, [1, 2, 3]), sampling: { ...sampling, maxTokens: 4 } };
    const never = { ...four, endTokens: new Set<number>() };
    await batcher.submit(never).done;
    // The prompt once, and 3 sequences of 4 tokens, whose first comes with the prompt: 40 + 3 * 3.
    // On their own: 3 * (40 + 3).
    expect(batcher.stats).toMatchObject({ computedTokens: 49, naiveTokens: 129 });
    await batcher.submit({ ...never, seeds: [4] }).done;
    // The prompt is there: 3 tokens more, where 43 would be.
    expect(batcher.stats).toMatchObject({ computedTokens: 52, naiveTokens: 172 });
  });

  it('never takes the KV of one picture for that of another', async () => {
    const batcher = new Batcher(hashDecoder(), hashEmbedder, { maxBatch: 8, cacheBytes: 1e9 });
    const ids = [6, IMAGE, IMAGE, 7];
    const withPicture = (key: string, features: number[]) =>
      batcher.submit({
        ...request(ids, [1]),
        imageFeatures: [Float32Array.from(features)],
        imageKeys: [key],
      }).done;
    const cat = await withPicture('cat', [101, 102]);
    const dog = await withPicture('dog', [201, 202]);
    expect(cat.sequences[0]?.tokens).toEqual(alone([7, 101, 102, 8], 1));
    expect(dog.sequences[0]?.tokens).toEqual(alone([7, 201, 202, 8], 1));
    expect(dog.cachedTokens).toBe(0);
  });

  it('lets sequences join while others are under way', async () => {
    let late: Promise<unknown> | null = null;
    const decoder = hashDecoder((pass) => {
      if (pass === 5) late = batcher.submit(request([20, 21], [9, 10])).done;
    });
    const batcher = new Batcher(decoder, hashEmbedder, { maxBatch: 4, cacheBytes: 0 });
    const early = await batcher.submit(request([6, 7, 8], [1, 2])).done;
    expect(early.sequences.map((one) => one.tokens)).toEqual(
      [1, 2].map((s) => alone([7, 8, 9], s)),
    );
    expect(await late).toMatchObject({
      sequences: [9, 10].map((seed) => ({ tokens: alone([21, 22], seed) })),
    });
    expect(Math.max(...decoder.passes.map((pass) => pass.batch))).toBeGreaterThan(2);
  });

  it('drops a cancelled request at the next step and leaves the others as they were', async () => {
    let cancel = (): void => undefined;
    const decoder = hashDecoder((pass) => {
      if (pass === 3) cancel();
    });
    const batcher = new Batcher(decoder, hashEmbedder, { maxBatch: 8, cacheBytes: 0 });
    const noEnd = { ...request([6, 7], [1, 2, 3]), endTokens: new Set<number>() };
    const dropped = batcher.submit(noEnd);
    cancel = dropped.cancel;
    const kept = await batcher.submit({ ...request([9], [4]), endTokens: new Set() }).done;
    expect(kept.sequences[0]?.tokens.length).toBe(60);
    // Passes 0 to 3 ran with both requests; after the cancel one sequence is left.
    expect(decoder.passes.slice(4).map((pass) => pass.batch)).toEqual(
      decoder.passes.slice(4).map(() => 1),
    );
    await batcher.drain();
  });

  it('rejects what is under way when a pass fails, and works on', async () => {
    const decoder = hashDecoder((pass) => {
      if (pass === 2) throw new Error('out of memory');
    });
    const batcher = new Batcher(decoder, hashEmbedder, { maxBatch: 8, cacheBytes: 0 });
    const failing = batcher.submit({ ...request([6], [1]), endTokens: new Set() });
    await expect(failing.done).rejects.toThrow('out of memory');
    await batcher.drain();
    decoder.passes.push({ batch: 0, tokens: 0, past: 0 });
    const next = await batcher.submit(request([6], [1])).done;
    expect(next.sequences[0]?.tokens).toEqual(alone([7], 1));
  });

  it('ends at the token limit, at the last position and at a step', async () => {
    const batcher = new Batcher(hashDecoder(), hashEmbedder, { maxBatch: 8, cacheBytes: 0 });
    const open = { ...request([6], [1]), endTokens: new Set<number>() };
    const limited = await batcher.submit({ ...open, sampling: { ...sampling, maxTokens: 5 } }).done;
    expect(limited.sequences[0]).toMatchObject({ finish: 'length', tokens: { length: 5 } });
    const ids = new Array<number>(398).fill(9);
    const full = await batcher.submit({ ...open, ids }).done;
    // Positions 398 and 399 take two tokens as input; a third is sampled after the last of them.
    expect(full.sequences[0]).toMatchObject({ finish: 'length', tokens: { length: 3 } });
    const endsStep = (tokens: readonly number[]) => tokens.length === 4;
    const step = await batcher.submit({ ...open, endsStep }).done;
    expect(step.sequences[0]).toMatchObject({ finish: 'step', tokens: { length: 4 } });
  });
});

function seedsOf(index: number, count: number): number[] {
  return Array.from({ length: count }, (_, k) => index * 100 + k);
}
