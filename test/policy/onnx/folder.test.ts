import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readModelFolder } from '../../../src/policy/onnx/folder.js';
import { tilePixels } from '../../../src/policy/onnx/image.js';

const files: Record<string, unknown> = {
  'config.json': {
    model_type: 'llava',
    image_token_index: 1,
    text_config: {
      hidden_size: 8,
      num_hidden_layers: 2,
      num_attention_heads: 2,
      vocab_size: 4,
      max_position_embeddings: 64,
      eos_token_id: 2,
    },
  },
  'tokenizer.json': {
    added_tokens: [{ id: 1, content: '<image>', special: true }],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    model: { type: 'BPE', vocab: { a: 0, b: 3 }, merges: [] },
  },
  'tokenizer_config.json': { chat_template: '{{ messages[0].content[0].text }}' },
  'preprocessor_config.json': { size: { height: 4, width: 6 }, resample: 0 },
  'onnx/vision_encoder.onnx': 'x',
  'onnx/embed_tokens.onnx': 'x',
  'onnx/decoder_model_merged.onnx': 'x',
};

describe('a model folder', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'steptree-folder-'));
    await mkdir(join(folder, 'onnx'));
    for (const [name, content] of Object.entries(files)) {
      await writeFile(join(folder, name), JSON.stringify(content));
    }
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('gives its shape, its tokens, its picture size and its graphs', async () => {
    const read = await readModelFolder(folder);
    expect(read.shape).toEqual({
      layers: 2,
      heads: 2,
      kvHeads: 2,
      headDim: 4,
      hidden: 8,
      vocab: 4,
      maxPositions: 64,
    });
    expect(read.imageTokenText).toBe('<image>');
    expect(read.endTokens).toEqual(new Set([2]));
    expect(read.images.size).toEqual({ height: 4, width: 6 });
    expect(read.graphs).toEqual({ append: false, step: false, merged: true, scorer: false });
  });

  it.each(Object.keys(files))('is refused without %s, naming it', async (name) => {
    await rm(join(folder, name));
    const refusal = await readModelFolder(folder).then(
      () => null,
      (error: unknown) => error,
    );
    expect(refusal).toMatchObject({ code: 'ONNX_FOLDER' });
    const named = {
      'preprocessor_config.json': 'processor_config.json',
      'tokenizer_config.json': 'tokenizer_config.json',
    }[name];
    expect(String(refusal)).toContain(named ?? name);
  });

  it('names the field that is not as expected', async () => {
    await writeFile(join(folder, 'config.json'), '{"model_type":"llava"}');
    await expect(readModelFolder(folder)).rejects.toMatchObject({
      code: 'ONNX_FOLDER',
      facts: { field: 'text_config' },
    });
  });

  it('finds the chat template in chat_template.json too, as processors of 2024 wrote it', async () => {
    await writeFile(join(folder, 'tokenizer_config.json'), '{}');
    await expect(readModelFolder(folder)).rejects.toThrow(/no chat template/);
    await writeFile(join(folder, 'chat_template.json'), '{"chat_template":"said: {{ text }}"}');
    const { chatTemplate } = await readModelFolder(folder);
    expect(chatTemplate.render({ text: 'a' })).toBe('said: a');
  });

  it('says when a file is not JSON', async () => {
    await writeFile(join(folder, 'tokenizer.json'), '{"a":');
    await expect(readModelFolder(folder)).rejects.toThrow(/tokenizer\.json is not JSON/);
  });

  it('is refused without an image token or an end token', async () => {
    const config = files['config.json'] as { text_config: object };
    await writeFile(
      join(folder, 'config.json'),
      JSON.stringify({ ...config, image_token_index: 77 }),
    );
    await expect(readModelFolder(folder)).rejects.toMatchObject({ code: 'ONNX_CONFIG' });
    const text = { ...config.text_config, eos_token_id: null };
    await writeFile(join(folder, 'config.json'), JSON.stringify({ ...config, text_config: text }));
    await expect(readModelFolder(folder)).rejects.toThrow(/eos_token_id/);
  });

  it('prefers the end tokens of generation_config.json', async () => {
    await writeFile(join(folder, 'generation_config.json'), '{"eos_token_id":[0,2]}');
    expect((await readModelFolder(folder)).endTokens).toEqual(new Set([0, 2]));
  });
});

describe('pixel values', () => {
  const settings = {
    size: { height: 2, width: 2 },
    tiles: null,
    resample: 0,
    rescaleFactor: 1 / 255,
    mean: [0.5, 0.5, 0.5],
    std: [0.5, 0.25, 1],
  };

  it('are planes of rescaled and normalised channels', async () => {
    const raw = { width: 2, height: 2, channels: 3 as const };
    const bytes = await sharp(Buffer.from([255, 0, 51, 0, 0, 0, 0, 0, 0, 0, 0, 255]), { raw })
      .png()
      .toBuffer();
    const { tiles, height, width } = await tilePixels(bytes, settings);
    const [pixels = []] = tiles;
    expect([height, width]).toEqual([2, 2]);
    // (value / 255 - 0.5) / std: 1 and -1 of the first, -2 of the second, -0.3 … of the third.
    const expected = [1, -1, -1, -1, -2, -2, -2, -2, 0.2 - 0.5, -0.5, -0.5, 0.5];
    for (const [index, value] of expected.entries()) expect(pixels[index]).toBeCloseTo(value, 5);
  });

  it('of a grey picture with alpha are three equal planes', async () => {
    const raw = { width: 1, height: 1, channels: 4 as const };
    const bytes = await sharp(Buffer.from([51, 51, 51, 128]), { raw })
      .png()
      .toBuffer();
    const { tiles } = await tilePixels(bytes, { ...settings, std: [1, 1, 1] });
    const [pixels = []] = tiles;
    expect(pixels.length).toBe(12);
    for (const value of pixels) expect(value).toBeCloseTo(-0.3, 5);
  });
});
