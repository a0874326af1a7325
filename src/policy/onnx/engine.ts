import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { errorMessage, SteptreeError } from '../../../search/errors.js';
import type {
  Decoder,
  DecoderInput,
  DecoderOutput,
  DecoderShape,
  Embedder,
  NewRows,
} from './decoder.js';

export interface SessionOptions {
  readonly intraOpThreads: number;
}

/** Opens a graph of the folder's onnx/ subfolder.
 *  @throws SteptreeError ONNX_GRAPH if the runtime can't load it */
export async function openSession(
  folder: string,
  name: string,
  options: SessionOptions,
): Promise<InferenceSession> {
  const path = join(folder, 'onnx', name);
  try {
    return await InferenceSession.create(path, {
      intraOpNumThreads: options.intraOpThreads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      logSeverityLevel: 3,
    });
  } catch (error) {
    throw new SteptreeError(
      'ONNX_GRAPH',
      `${path} could not be loaded: ${errorMessage(error)}; export the folder again`,
      { path },
      { cause: error },
    );
  }
}

/** @throws SteptreeError ONNX_GRAPH if the session lacks an input or output */
export function requireNames(
  session: InferenceSession,
  graph: string,
  inputs: readonly string[],
  outputs: readonly string[],
): void {
  const missing = [
    ...inputs.filter((name) => !session.inputNames.includes(name)),
    ...outputs.filter((name) => !session.outputNames.includes(name)),
  ];
  if (missing.length > 0) {
    throw new SteptreeError(
      'ONNX_GRAPH',
      `${graph} lacks ${missing.join(', ')}; it has inputs ${session.inputNames.join(', ')} and outputs ${session.outputNames.join(', ')}`,
      { graph, missing },
    );
  }
}

/** Reads back a float32 output.
 *  @throws SteptreeError ONNX_GRAPH for another type */
export function floats(results: InferenceSession.OnnxValueMapType, name: string): Float32Array {
  const data = (results[name] as Tensor | undefined)?.data;
  if (data instanceof Float32Array) return data;
  throw new SteptreeError('ONNX_GRAPH', `output ${name} is not float32; export in float32`, {
    name,
  });
}

/** The append-only graph: only the new rows of keys and values come out.
 *  @param step the same for one token per sequence, where the folder has it */
export function appendDecoder(
  session: InferenceSession,
  step: InferenceSession | null,
  shape: DecoderShape,
): Decoder {
  const inputs = ['inputs_embeds', 'past_length', ...pastNames(shape)];
  const outputs = ['logits', 'new_keys', 'new_values'];
  requireNames(session, 'decoder_append.onnx', [...inputs, 'logits_positions'], outputs);
  if (step !== null) requireNames(step, 'decoder_step.onnx', inputs, outputs);
  return {
    name: 'append',
    shape,
    async run(input) {
      const { batch, tokens } = input;
      const feeds = pastFeeds(input, shape);
      feeds.inputs_embeds = new Tensor('float32', input.embeds, [batch, tokens, shape.hidden]);
      feeds.past_length = new Tensor('int64', bigints(input.pastLength), [batch]);
      const graph = tokens === 1 && step !== null ? step : session;
      if (graph === session) {
        feeds.logits_positions = new Tensor('int64', bigints(input.logitsAt), [batch, 1]);
      }
      const results = await graph.run(feeds);
      return {
        logits: floats(results, 'logits'),
        keys: layerRows(floats(results, 'new_keys'), input, shape),
        values: layerRows(floats(results, 'new_values'), input, shape),
      };
    },
  };
}

/** Per layer its part of [layers, batch, kvHeads, tokens, headDim]. */
function layerRows(data: Float32Array, input: DecoderInput, shape: DecoderShape): NewRows[] {
  const layerFloats = input.batch * shape.kvHeads * input.tokens * shape.headDim;
  return Array.from({ length: shape.layers }, (_, layer) => ({
    data,
    offset: layer * layerFloats,
    stride: input.tokens,
  }));
}

/** The standard merged graph of transformers.js: the whole present comes out, and the new rows are
 *  picked from its end. */
export function mergedDecoder(session: InferenceSession, shape: DecoderShape): Decoder {
  const presents = Array.from({ length: shape.layers }, (_, layer) => [
    `present.${layer}.key`,
    `present.${layer}.value`,
  ]).flat();
  requireNames(
    session,
    'decoder_model_merged.onnx',
    ['inputs_embeds', 'attention_mask', ...pastNames(shape)],
    ['logits', ...presents],
  );
  const takesPositions = session.inputNames.includes('position_ids');
  return {
    name: 'merged',
    shape,
    async run(input) {
      const { batch, tokens, past } = input;
      const feeds = pastFeeds(input, shape);
      feeds.inputs_embeds = new Tensor('float32', input.embeds, [batch, tokens, shape.hidden]);
      feeds.attention_mask = new Tensor('int64', attentionMask(input), [batch, past + tokens]);
      if (takesPositions) {
        feeds.position_ids = new Tensor('int64', positions(input), [batch, tokens]);
      }
      const results = await session.run(feeds);
      const rows = (kind: string): NewRows[] =>
        Array.from({ length: shape.layers }, (_, layer) => ({
          data: floats(results, `present.${layer}.${kind}`),
          offset: past * shape.headDim,
          stride: past + tokens,
        }));
      return {
        logits: pickLogits(floats(results, 'logits'), input, shape.vocab),
        keys: rows('key'),
        values: rows('value'),
      } satisfies DecoderOutput;
    },
  };
}

function pastNames(shape: DecoderShape): string[] {
  return Array.from({ length: shape.layers }, (_, layer) => [
    `past_key_values.${layer}.key`,
    `past_key_values.${layer}.value`,
  ]).flat();
}

function pastFeeds(input: DecoderInput, shape: DecoderShape): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  const dims = [input.batch, shape.kvHeads, input.past, shape.headDim];
  for (let layer = 0; layer < shape.layers; layer++) {
    const keys = input.keys[layer] ?? new Float32Array(0);
    const values = input.values[layer] ?? new Float32Array(0);
    feeds[`past_key_values.${layer}.key`] = new Tensor('float32', keys, dims);
    feeds[`past_key_values.${layer}.value`] = new Tensor('float32', values, dims);
  }
  return feeds;
}

function bigints(values: Int32Array): BigInt64Array {
  const out = new BigInt64Array(values.length);
  for (let i = 0; i < values.length; i++) out[i] = BigInt(values[i] ?? 0);
  return out;
}

/** 1 for the valid rows of the past and for the new tokens, 0 for the padding between them. */
function attentionMask(input: DecoderInput): BigInt64Array {
  const width = input.past + input.tokens;
  const mask = new BigInt64Array(input.batch * width);
  for (let b = 0; b < input.batch; b++) {
    const start = b * width;
    mask.fill(1n, start, start + (input.pastLength[b] ?? 0));
    mask.fill(1n, start + input.past, start + width);
  }
  return mask;
}

function positions(input: DecoderInput): BigInt64Array {
  const ids = new BigInt64Array(input.batch * input.tokens);
  for (let b = 0; b < input.batch; b++) {
    for (let t = 0; t < input.tokens; t++) {
      ids[b * input.tokens + t] = BigInt((input.pastLength[b] ?? 0) + t);
    }
  }
  return ids;
}

/** [batch, tokens, vocab] to the one wanted row per sequence, [batch, vocab]. */
function pickLogits(logits: Float32Array, input: DecoderInput, vocab: number): Float32Array {
  if (input.tokens === 1) return logits;
  const picked = new Float32Array(input.batch * vocab);
  for (let b = 0; b < input.batch; b++) {
    const from = (b * input.tokens + (input.logitsAt[b] ?? 0)) * vocab;
    picked.set(logits.subarray(from, from + vocab), b * vocab);
  }
  return picked;
}

/** Token embeddings by the folder's embed_tokens graph, each id computed once and kept. */
export class TokenEmbedder implements Embedder {
  private readonly rows = new Map<number, Float32Array>();

  constructor(
    private readonly session: InferenceSession,
    private readonly hidden: number,
  ) {
    requireNames(session, 'embed_tokens.onnx', ['input_ids'], []);
  }

  async ready(ids: readonly number[]): Promise<void> {
    const missing = [...new Set(ids.filter((id) => !this.rows.has(id)))];
    if (missing.length === 0) return;
    const input = new Tensor('int64', BigInt64Array.from(missing, BigInt), [1, missing.length]);
    const results = await this.session.run({ input_ids: input });
    const data = floats(results, this.session.outputNames[0] ?? 'inputs_embeds');
    for (const [index, id] of missing.entries()) {
      this.rows.set(id, data.slice(index * this.hidden, (index + 1) * this.hidden));
    }
  }

  copy(ids: readonly number[], out: Float32Array, at: number): void {
    for (let index = 0; index < ids.length; index++) {
      const row = this.rows.get(ids[index] ?? -1);
      if (row !== undefined) out.set(row, (at + index) * this.hidden);
    }
  }
}
