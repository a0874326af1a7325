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
import { stepDecoder } from './step-decoder.js';
import { bigints, floats, KvFeeds, kvNames, requireNames } from './tensors.js';

export interface SessionOptions {
  readonly intraOpThreads: number;
  readonly onnxProvider?: 'cpu' | 'cuda';
  readonly onnxDevice?: number;
}

/** Opens a graph of the folder's onnx/ subfolder. There is no other provider than the chosen one to fall
 *  back on; nodes that cuda lacks run on the CPU.
 *  @throws SteptreeError ONNX_PROVIDER_MISSING if the provider can't be had, ONNX_GRAPH if the runtime
 *  can't load the graph */
export async function openSession(
  folder: string,
  name: string,
  { intraOpThreads, onnxProvider = 'cpu', onnxDevice = 0 }: SessionOptions,
): Promise<InferenceSession> {
  const path = join(folder, 'onnx', name);
  try {
    return await InferenceSession.create(path, {
      intraOpNumThreads: intraOpThreads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      logSeverityLevel: 3,
      executionProviders:
        onnxProvider === 'cuda' ? [{ name: 'cuda', deviceId: onnxDevice }] : ['cpu'],
    });
  } catch (error) {
    if (onnxProvider === 'cuda' && /provider|cuda/i.test(errorMessage(error))) {
      throw new SteptreeError(
        'ONNX_PROVIDER_MISSING',
        `--onnx-provider cuda can't be used for device ${onnxDevice}: ${errorMessage(error)}. It needs an NVIDIA GPU, CUDA 12 with cuDNN 9, and onnxruntime-node's CUDA libraries (ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node); --onnx-provider cpu runs everywhere`,
        { provider: onnxProvider, device: onnxDevice },
        { cause: error },
      );
    }
    throw new SteptreeError(
      'ONNX_GRAPH',
      `${path} could not be loaded: ${errorMessage(error)}; export the folder again`,
      { path },
      { cause: error },
    );
  }
}

/** The append-only graph: only the new rows of keys and values come out.
 *  @param step the graph for one token per sequence with shared prefixes, where the folder has it */
export function appendDecoder(
  session: InferenceSession,
  step: InferenceSession | null,
  shape: DecoderShape,
): Decoder {
  const inputs = ['inputs_embeds', 'past_length', ...kvNames('past', shape)];
  const outputs = ['logits', 'new_keys', 'new_values'];
  requireNames(session, 'decoder_append.onnx', [...inputs, 'logits_positions'], outputs);
  const pastFeeds = pastFeeder(shape);
  return {
    name: 'append',
    shape,
    async run(input) {
      const { batch, tokens } = input;
      const feeds = pastFeeds(input);
      feeds.inputs_embeds = new Tensor('float32', input.embeds, [batch, tokens, shape.hidden]);
      feeds.past_length = new Tensor('int64', bigints(input.pastLength), [batch]);
      feeds.logits_positions = new Tensor('int64', bigints(input.logitsAt), [batch, 1]);
      const results = await session.run(feeds);
      return {
        logits: floats(results, 'logits'),
        keys: layerRows(floats(results, 'new_keys'), input, shape),
        values: layerRows(floats(results, 'new_values'), input, shape),
      };
    },
    step: step === null ? null : stepDecoder(step, shape),
  };
}

/** A reward model's graph: logits of its two answers at every token, of which those at `logitsAt`
 *  are picked. @param shape with 2 as `vocab` */
export function appendScorer(
  session: InferenceSession,
  shape: DecoderShape,
): Pick<Decoder, 'shape' | 'run'> {
  const inputs = ['inputs_embeds', 'past_length', ...kvNames('past', shape)];
  requireNames(session, 'scorer_append.onnx', inputs, ['logits', 'new_keys', 'new_values']);
  const pastFeeds = pastFeeder(shape);
  return {
    shape,
    async run(input) {
      const { batch, tokens } = input;
      const feeds = pastFeeds(input);
      feeds.inputs_embeds = new Tensor('float32', input.embeds, [batch, tokens, shape.hidden]);
      feeds.past_length = new Tensor('int64', bigints(input.pastLength), [batch]);
      const results = await session.run(feeds);
      return {
        logits: pickLogits(floats(results, 'logits'), input, shape.vocab),
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
    sequenceStride: shape.kvHeads * input.tokens * shape.headDim,
    headStride: input.tokens * shape.headDim,
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
    ['inputs_embeds', 'attention_mask', ...kvNames('past', shape)],
    ['logits', ...presents],
  );
  const takesPositions = session.inputNames.includes('position_ids');
  const takesBranch = session.inputNames.includes('use_cache_branch');
  const pastFeeds = pastFeeder(shape);
  return {
    name: 'merged',
    shape,
    async run(input) {
      const { batch, tokens, past } = input;
      const feeds = pastFeeds(input);
      feeds.inputs_embeds = new Tensor('float32', input.embeds, [batch, tokens, shape.hidden]);
      feeds.attention_mask = new Tensor('int64', attentionMask(input), [batch, past + tokens]);
      if (takesPositions) {
        feeds.position_ids = new Tensor('int64', positions(input), [batch, tokens]);
      }
      // Older exports hold two graphs, one of which does without a past.
      if (takesBranch) feeds.use_cache_branch = new Tensor('bool', [past > 0], [1]);
      const results = await session.run(feeds);
      const rows = (kind: string): NewRows[] =>
        Array.from({ length: shape.layers }, (_, layer) => ({
          data: floats(results, `present.${layer}.${kind}`),
          offset: past * shape.headDim,
          sequenceStride: shape.kvHeads * (past + tokens) * shape.headDim,
          headStride: (past + tokens) * shape.headDim,
        }));
      return {
        logits: pickLogits(floats(results, 'logits'), input, shape.vocab),
        keys: rows('key'),
        values: rows('value'),
      } satisfies DecoderOutput;
    },
    step: null,
  };
}

function pastFeeder(shape: DecoderShape): (input: DecoderInput) => Record<string, Tensor> {
  const past = new KvFeeds('past', shape);
  return (input) => {
    const feeds: Record<string, Tensor> = {};
    past.add(feeds, input.batch, { ...input, rows: input.past });
    return feeds;
  };
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
