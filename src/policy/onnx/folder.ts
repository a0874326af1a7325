import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Template } from '@huggingface/jinja';
import { Tokenizer } from '@huggingface/tokenizers';
import { z } from 'zod';
import { errorMessage, SteptreeError } from '../../../search/errors.js';
import type { DecoderShape } from './decoder.js';
import type { TileSettings } from './tiles.js';

/** A folder in the layout of Hugging Face and transformers.js, read but for its graphs. */
export interface ModelFolder {
  readonly path: string;
  readonly modelType: string;
  readonly shape: DecoderShape;
  readonly imageToken: number;
  /** The image token as the chat template writes it. */
  readonly imageTokenText: string;
  readonly tokenizer: Tokenizer;
  readonly chatTemplate: Template;
  readonly endTokens: ReadonlySet<number>;
  readonly images: ImageSettings;
  /** Which graphs of the language model there are: decoders of a policy, or a reward model's scorer. */
  readonly graphs: Readonly<Record<'append' | 'step' | 'merged' | 'scorer', boolean>>;
}

/** How a picture becomes pixel values, from preprocessor_config.json. */
export interface ImageSettings {
  /** Pixels; null keeps the picture's own size. */
  readonly size: { readonly height: number; readonly width: number } | null;
  /** How larger pictures are cut; null where they never are. */
  readonly tiles: TileSettings | null;
  /** Kernel of PIL's number: 0 nearest, 1 lanczos, 2 bilinear, 3 bicubic. */
  readonly resample: number;
  readonly rescaleFactor: number;
  /** Per channel, in rescaled units. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

const tokenIds = z.union([z.int(), z.array(z.int())]).nullish();

const configSchema = z.object({
  model_type: z.string(),
  image_token_index: z.int().optional(),
  image_token_id: z.int().optional(),
  eos_token_id: tokenIds,
  text_config: z.object({
    hidden_size: z.int(),
    num_hidden_layers: z.int(),
    num_attention_heads: z.int(),
    num_key_value_heads: z.int().optional(),
    head_dim: z.int().nullish(),
    vocab_size: z.int(),
    max_position_embeddings: z.int().default(2048),
    eos_token_id: tokenIds,
  }),
});

const tokenizerConfigSchema = z.looseObject({
  chat_template: z
    .union([z.string(), z.array(z.object({ name: z.string(), template: z.string() }))])
    .optional(),
});

/** Processors of 2024 wrote their template into a file of its own. */
const templateFileSchema = z.object({ chat_template: z.string() });

const sizeSchema = z.object({
  height: z.int().optional(),
  width: z.int().optional(),
  shortest_edge: z.int().optional(),
  longest_edge: z.int().optional(),
});

const imageSchema = z.object({
  do_resize: z.boolean().default(true),
  size: z.union([sizeSchema, z.int()]).nullish(),
  max_image_size: sizeSchema.nullish(),
  do_image_splitting: z.boolean().default(false),
  resample: z.int().default(3),
  do_rescale: z.boolean().default(true),
  rescale_factor: z.number().default(1 / 255),
  do_normalize: z.boolean().default(true),
  image_mean: z.array(z.number()).length(3).default([0.5, 0.5, 0.5]),
  image_std: z.array(z.number()).length(3).default([0.5, 0.5, 0.5]),
});

const generationSchema = z.looseObject({ eos_token_id: tokenIds });

/** Reads everything of a model folder but its weights.
 *  @throws SteptreeError ONNX_FOLDER for a missing or malformed file, ONNX_CONFIG for a config that
 *  the host can't run */
export async function readModelFolder(path: string): Promise<ModelFolder> {
  const config = await readJson(join(path, 'config.json'), configSchema);
  const tokenizerJson = await readJson(join(path, 'tokenizer.json'), z.looseObject({}));
  const tokenizerConfig = await readJson(
    join(path, 'tokenizer_config.json'),
    tokenizerConfigSchema,
  );
  const generation = await readOptional(join(path, 'generation_config.json'), generationSchema);
  const tokenizer = createTokenizer(path, tokenizerJson, tokenizerConfig);
  const imageToken = config.image_token_index ?? config.image_token_id;
  const imageTokenText = imageToken === undefined ? undefined : tokenizer.id_to_token(imageToken);
  if (imageToken === undefined || imageTokenText === undefined) {
    throw configError(
      path,
      'config.json needs image_token_index or image_token_id, an id of the tokenizer',
    );
  }
  const endTokens = new Set(
    [
      generation?.eos_token_id ?? config.text_config.eos_token_id ?? config.eos_token_id ?? [],
    ].flat(),
  );
  if (endTokens.size === 0) {
    throw configError(path, 'no eos_token_id in generation_config.json or config.json');
  }
  return {
    path,
    modelType: config.model_type,
    shape: decoderShape(config.text_config),
    imageToken,
    imageTokenText,
    tokenizer,
    chatTemplate: await readChatTemplate(path, tokenizerConfig),
    endTokens,
    images: await readImageSettings(path),
    graphs: await findGraphs(path),
  };
}

function decoderShape(text: z.infer<typeof configSchema>['text_config']): DecoderShape {
  return {
    layers: text.num_hidden_layers,
    heads: text.num_attention_heads,
    kvHeads: text.num_key_value_heads ?? text.num_attention_heads,
    headDim: text.head_dim ?? text.hidden_size / text.num_attention_heads,
    hidden: text.hidden_size,
    vocab: text.vocab_size,
    maxPositions: text.max_position_embeddings,
  };
}

function createTokenizer(path: string, json: object, config: object): Tokenizer {
  try {
    return new Tokenizer(json, config);
  } catch (error) {
    throw new SteptreeError(
      'ONNX_FOLDER',
      `${join(path, 'tokenizer.json')} is not a tokenizer that can be read: ${errorMessage(error)}`,
      { path },
      { cause: error },
    );
  }
}

async function readChatTemplate(
  path: string,
  tokenizerConfig: z.infer<typeof tokenizerConfigSchema>,
): Promise<Template> {
  const source =
    (await readText(join(path, 'chat_template.jinja'))) ??
    (await readOptional(join(path, 'chat_template.json'), templateFileSchema))?.chat_template ??
    inConfig(tokenizerConfig);
  if (source === undefined) {
    throw new SteptreeError(
      'ONNX_FOLDER',
      `${path} has no chat template; expected chat_template.jinja, chat_template.json, or chat_template in tokenizer_config.json`,
      { path },
    );
  }
  try {
    return new Template(source);
  } catch (error) {
    throw new SteptreeError(
      'ONNX_FOLDER',
      `the chat template of ${path} is not valid Jinja: ${errorMessage(error)}`,
      { path },
      { cause: error },
    );
  }
}

function inConfig(config: z.infer<typeof tokenizerConfigSchema>): string | undefined {
  const { chat_template: template } = config;
  if (template === undefined || typeof template === 'string') return template;
  return (template.find((one) => one.name === 'default') ?? template[0])?.template;
}

async function readImageSettings(path: string): Promise<ImageSettings> {
  const own = await readOptional(join(path, 'preprocessor_config.json'), imageSchema);
  const nested = z.object({ image_processor: imageSchema });
  // transformers 5 keeps the image processor inside the processor's file.
  const settings =
    own ?? (await readJson(join(path, 'processor_config.json'), nested)).image_processor;
  return {
    size: settings.do_resize ? targetSize(path, settings) : null,
    tiles: tileSettings(settings),
    resample: settings.resample,
    rescaleFactor: settings.do_rescale ? settings.rescale_factor : 1,
    mean: settings.do_normalize ? settings.image_mean : [0, 0, 0],
    std: settings.do_normalize ? settings.image_std : [1, 1, 1],
  };
}

function tileSettings(settings: z.infer<typeof imageSchema>): TileSettings | null {
  const { size, max_image_size: tile } = settings;
  const longestEdge = typeof size === 'number' ? size : size?.longest_edge;
  const edge = tile?.longest_edge;
  if (!settings.do_image_splitting || longestEdge === undefined || edge === undefined) return null;
  return { longestEdge, edge };
}

/** What a picture is brought to that is not cut into tiles. */
function targetSize(
  path: string,
  settings: z.infer<typeof imageSchema>,
): { height: number; width: number } {
  const size = settings.max_image_size ?? settings.size;
  if (typeof size === 'number') return { height: size, width: size };
  const edge = size?.longest_edge ?? size?.shortest_edge;
  const height = size?.height ?? edge;
  const width = size?.width ?? edge;
  if (height === undefined || width === undefined) {
    throw configError(path, 'preprocessor_config.json has no size with height and width');
  }
  return { height, width };
}

async function findGraphs(path: string): Promise<ModelFolder['graphs']> {
  const exists = (name: string) =>
    access(join(path, 'onnx', name)).then(
      () => true,
      () => false,
    );
  for (const name of ['vision_encoder.onnx', 'embed_tokens.onnx']) {
    if (!(await exists(name))) throw missing(join(path, 'onnx', name));
  }
  const append = await exists('decoder_append.onnx');
  const step = await exists('decoder_step.onnx');
  const merged = await exists('decoder_model_merged.onnx');
  const scorer = await exists('scorer_append.onnx');
  if (!append && !merged && !scorer) {
    throw missing(join(path, 'onnx', 'decoder_model_merged.onnx'));
  }
  return { append, step, merged, scorer };
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** @throws SteptreeError ONNX_FOLDER for a file that is missing or not as expected */
export async function readJson<T>(path: string, schema: z.ZodType<T>): Promise<T> {
  const value = await readOptional(path, schema);
  if (value === undefined) throw missing(path);
  return value;
}

async function readOptional<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const text = await readText(path);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new SteptreeError(
      'ONNX_FOLDER',
      `${path} is not JSON: ${errorMessage(error)}`,
      { path },
      { cause: error },
    );
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new SteptreeError(
    'ONNX_FOLDER',
    `${path}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not as expected'}; expected the config of a LLaVA- or SmolVLM-style model`,
    { path, field: issue?.path.join('.') },
  );
}

function missing(path: string): SteptreeError {
  return new SteptreeError(
    'ONNX_FOLDER',
    `${path} is missing or unreadable; expected a model folder in the transformers.js layout with config.json, tokenizer.json, tokenizer_config.json, a chat template, preprocessor_config.json and onnx/{vision_encoder,embed_tokens,decoder_model_merged}.onnx`,
    { path },
  );
}

function configError(path: string, reason: string): SteptreeError {
  return new SteptreeError('ONNX_CONFIG', `${path}: ${reason}`, { path });
}
