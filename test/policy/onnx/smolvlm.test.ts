import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import type { Problem, SampleRequest } from '../../../search/types.js';
import { readModelFolder } from '../../../src/policy/onnx/folder.js';
import { tilePixels } from '../../../src/policy/onnx/image.js';
import {
  createOnnxPolicy,
  type OnnxOptions,
  type OnnxPolicy,
} from '../../../src/policy/onnx/index.js';
import { PromptText } from '../../../src/policy/onnx/prompt.js';
import { tilePlan } from '../../../src/policy/onnx/tiles.js';
import { createSplitter } from '../../../src/policy/splitter.js';

/** What the processor and PyTorch make of a picture, by training/smolvlm_folder.py --tiny. */
interface Golden {
  readonly question: string;
  readonly image: string;
  readonly promptTokens: readonly number[];
  readonly tiles: number;
  readonly pixelSums: readonly number[];
  readonly generatedTokens: readonly number[];
}

const folder = 'test/fixtures/tiny-smolvlm';
const golden: readonly Golden[] = JSON.parse(readFileSync(`${folder}/golden.json`, 'utf8'));
const pictureOf = ({ image }: Golden) => Buffer.from(image.slice(image.indexOf(',') + 1), 'base64');
const problemOf = (one: Golden, index: number): Problem => ({
  id: `p${index}`,
  question: one.question,
  images: [{ source: one.image, location: one.image }],
});

const opened: OnnxPolicy[] = [];
const open = async (options: Partial<OnnxOptions>) => {
  const policy = await createOnnxPolicy(folder, options);
  opened.push(policy);
  return policy;
};
const greedy = (problem: Problem, maxTokens: number): SampleRequest => ({
  problem,
  prefix: [],
  until: 'end',
  seeds: [1],
  sampling: { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, maxTokens },
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((policy) => policy.close()));
});

describe('a folder of SmolVLM, small and with random weights', () => {
  it('cuts pictures into the tiles of its processor', async () => {
    const { images } = await readModelFolder(folder);
    for (const one of golden) {
      const { tiles, width, height } = await tilePixels(pictureOf(one), images);
      expect(tiles.length).toBe(one.tiles);
      expect([width, height]).toEqual([32, 32]);
      // 3,072 values from -1 to 1 in a tile, so 0.013 a value: sharp and PIL resize a bit differently
      // where colours jump. Neighbouring tiles are hundreds apart.
      for (const [index, expected] of one.pixelSums.entries()) {
        const sum = tiles[index]?.reduce((all, value) => all + value, 0) ?? Number.NaN;
        expect(Math.abs(sum - expected)).toBeLessThan(40);
      }
    }
  });

  it('has the very prompt tokens of its processor', async () => {
    const model = await readModelFolder(folder);
    const settings = { systemPrompt: '', promptTemplate: '{question}' };
    const text = new PromptText(model, createSplitter('blank-line'), settings);
    for (const [index, one] of golden.entries()) {
      const size = index === 0 ? { width: 20, height: 32 } : { width: 96, height: 40 };
      const { grid } = tilePlan(size, model.images.tiles ?? { longestEdge: 0, edge: 1 });
      const images = [{ rows: 4 * one.tiles, grid }];
      expect(text.encode(problemOf(one, index), [], images)).toEqual(one.promptTokens);
    }
  });

  it.each(['append', 'merged'] as const)(
    'continues as PyTorch does with the %s decoder',
    async (decoder) => {
      const policy = await open({ decoder });
      const { tokenizer } = await readModelFolder(folder);
      for (const [index, one] of golden.entries()) {
        const { rollouts } = await policy.sample(greedy(problemOf(one, index), 12));
        const expected = tokenizer.decode([...one.generatedTokens], {
          skip_special_tokens: true,
          clean_up_tokenization_spaces: false,
        });
        expect(rollouts[0]?.steps).toEqual(createSplitter('blank-line').split(expected));
        expect(rollouts[0]?.policyTokens).toBe(one.generatedTokens.length);
      }
    },
  );

  it('says how little of what sequences on their own would compute it computed', async () => {
    const policy = await open({});
    const [one] = golden;
    if (one === undefined) throw new Error('no golden continuation');
    expect((await policy.stats()).computedShare).toBe(1);
    const request = { ...greedy(problemOf(one, 0), 5), seeds: [1, 2] };
    await policy.sample(request);
    // The prompt once and 4 passes of 2 sequences, against 2 * (prompt + 4).
    const prompt = one.promptTokens.length;
    const { computedTokens, naiveTokens, computedShare } = await policy.stats();
    expect([computedTokens, naiveTokens]).toEqual([prompt + 8, 2 * (prompt + 4)]);
    expect(computedShare).toBeCloseTo((prompt + 8) / (2 * prompt + 8), 12);
  });
});
