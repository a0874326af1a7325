import type {
  Decoder,
  DecoderInput,
  DecoderShape,
  Embedder,
  NewRows,
  PaddedKv,
  StepInput,
} from '../../../src/policy/onnx/decoder.js';

/** A decoder whose logits are a hash of the whole text so far, read back from the KV that the
 *  batcher keeps for it. One misplaced, stale or missing row changes every later token, or is found
 *  at once: layer l's head h stores 1 + 2·l + h times the token's embedding as key, the negative
 *  as value. */
export const HASH_SHAPE: DecoderShape = {
  layers: 2,
  heads: 2,
  kvHeads: 2,
  headDim: 2,
  hidden: 1,
  vocab: 40,
  maxPositions: 400,
};

/** Embedding of token id t: t + 1. */
export const hashEmbedder: Embedder = {
  ready: async () => undefined,
  copy(ids, out, at) {
    for (const [index, id] of ids.entries()) out[at + index] = id + 1;
  },
};

/** Logits after a text, [vocab], in [0, 4). */
export function hashLogits(embeddings: readonly number[]): Float32Array {
  let hash = 7;
  for (const embedding of embeddings) hash = (hash * 31 + embedding) % 65521;
  return Float32Array.from(
    { length: HASH_SHAPE.vocab },
    (_, id) => ((Math.imul(hash, id * 7919 + 104729) >>> 8) % 1000) / 250,
  );
}

export interface HashDecoder extends Decoder {
  readonly passes: { batch: number; tokens: number; past: number }[];
}

/** @param beforeRun called at each pass, for tests that cancel or fail in the middle
 *  @param shares whether decode passes read shared prefixes apart from what sequences added */
export function hashDecoder(
  beforeRun: (pass: number) => void = () => undefined,
  shares = true,
): HashDecoder {
  const passes: HashDecoder['passes'] = [];
  return {
    name: 'append',
    shape: HASH_SHAPE,
    passes,
    async run(input) {
      beforeRun(passes.length);
      passes.push({ batch: input.batch, tokens: input.tokens, past: input.past });
      await null;
      const logits = new Float32Array(input.batch * HASH_SHAPE.vocab);
      for (let b = 0; b < input.batch; b++) {
        const past = readRows({ ...input, rows: input.past }, b, input.pastLength[b] ?? 0);
        const start = b * input.tokens;
        const seen = input.embeds.subarray(start, start + (input.logitsAt[b] ?? 0) + 1);
        logits.set(hashLogits([...past, ...seen]), b * HASH_SHAPE.vocab);
      }
      return { logits, keys: newRows(input, 1), values: newRows(input, -1) };
    },
    step: shares ? step : null,
  };

  async function step(input: StepInput) {
    beforeRun(passes.length);
    const { batch, prefix, own, embeds } = input;
    passes.push({ batch, tokens: 1, past: prefix.rows + own.rows });
    await null;
    const logits = new Float32Array(batch * HASH_SHAPE.vocab);
    for (let b = 0; b < batch; b++) {
      const tile = input.tileOf[b] ?? -1;
      const shared = readRows(prefix, tile, prefix.lengths[tile] ?? 0);
      const past = [...shared, ...readRows(own, b, own.lengths[b] ?? 0)];
      if (past.length !== input.positions[b]) throw new Error(`sequence ${b} is misplaced`);
      logits.set(hashLogits([...past, embeds[b] ?? 0]), b * HASH_SHAPE.vocab);
    }
    const rows = { batch, tokens: 1, embeds };
    return { logits, keys: newRows(rows, 1), values: newRows(rows, -1) };
  }
}

/** The embeddings that the first `length` rows of entry `b` stand for. */
function readRows(kv: PaddedKv, b: number, length: number): number[] {
  const { kvHeads, headDim, layers } = HASH_SHAPE;
  return Array.from({ length }, (_, row) => {
    const embedding = kv.keys[0]?.[(b * kvHeads * kv.rows + row) * headDim] ?? 0;
    for (let layer = 0; layer < layers; layer++) {
      for (let head = 0; head < kvHeads; head++) {
        const at = ((b * kvHeads + head) * kv.rows + row) * headDim;
        const expected = embedding * (1 + 2 * layer + head);
        for (let i = at; i < at + headDim; i++) {
          if (kv.keys[layer]?.[i] === expected && kv.values[layer]?.[i] === -expected) continue;
          throw new Error(`row ${row} of sequence ${b} is torn in layer ${layer}, head ${head}`);
        }
      }
    }
    return embedding;
  });
}

function newRows(
  input: Pick<DecoderInput, 'batch' | 'tokens' | 'embeds'>,
  sign: 1 | -1,
): NewRows[] {
  const { kvHeads, headDim, layers } = HASH_SHAPE;
  const stride = input.tokens + 3;
  return Array.from({ length: layers }, (_, layer) => {
    // An offset and gaps between heads, as a graph that gives more than the new rows has them.
    const data = new Float32Array(5 + input.batch * kvHeads * stride * headDim).fill(1e6);
    for (let b = 0; b < input.batch; b++) {
      for (let head = 0; head < kvHeads; head++) {
        for (let t = 0; t < input.tokens; t++) {
          const at = 5 + ((b * kvHeads + head) * stride + t) * headDim;
          const embedding = input.embeds[b * input.tokens + t] ?? 0;
          data.fill(sign * (1 + 2 * layer + head) * embedding, at, at + headDim);
        }
      }
    }
    const headStride = stride * headDim;
    return { data, offset: 5, sequenceStride: kvHeads * headStride, headStride };
  });
}
