import { type InferenceSession, Tensor } from 'onnxruntime-node';
import type { DecoderOutput, DecoderShape, NewRows, StepInput } from './decoder.js';
import { bigints, floats, KvFeeds, kvNames, requireNames } from './tensors.js';

/** What hides padding: its exponential is exactly 0, and unlike -Infinity it never makes a NaN. */
const MASKED = -1e30;

/** The graph for one token per sequence with shared prefixes (training/onnx_graphs.py says how).
 *  @throws SteptreeError ONNX_GRAPH for a graph with other inputs or outputs */
export function stepDecoder(
  session: InferenceSession,
  shape: DecoderShape,
): (input: StepInput) => Promise<DecoderOutput> {
  requireNames(
    session,
    'decoder_step.onnx',
    [
      ...['inputs_embeds', 'positions', 'attention_bias', 'tile_queries', 'sequence_rows'],
      ...kvNames('prefix', shape),
      ...kvNames('past', shape),
    ],
    ['logits', 'new_key_values'],
  );
  const scratch = new Scratch();
  const group = shape.heads / shape.kvHeads;
  const prefixFeeds = new KvFeeds('prefix', shape);
  const ownFeeds = new KvFeeds('past', shape);
  return async (input) => {
    const { batch, prefix, own } = input;
    const width = prefix.rows + own.rows + 1;
    const bias = scratch.floats(batch * width);
    fillBias(bias, input);
    const rows = tileRows(input);
    const queries = scratch.ints(0, prefix.tiles * shape.heads * rows * 3);
    const places = scratch.ints(1, batch * shape.heads * 3);
    fillPlaces(queries, places, rows, input, shape);
    const feeds: Record<string, Tensor> = {
      inputs_embeds: new Tensor('float32', input.embeds, [batch, 1, shape.hidden]),
      positions: new Tensor('int64', bigints(input.positions), [batch, 1]),
      attention_bias: new Tensor('float32', bias, [batch, 1, 1, width]),
      tile_queries: new Tensor('int64', queries, [prefix.tiles, shape.kvHeads, rows * group, 3]),
      sequence_rows: new Tensor('int64', places, [batch, shape.kvHeads, group, 3]),
    };
    prefixFeeds.add(feeds, prefix.tiles, prefix);
    ownFeeds.add(feeds, batch, own);
    const results = await session.run(feeds);
    const data = floats(results, 'new_key_values');
    return {
      logits: floats(results, 'logits'),
      keys: newRows(data, 0, shape),
      values: newRows(data, 1, shape),
    };
  };
}

/** Sequences per tile in this pass. At least two: a product with a single row takes another path
 *  through the matrix kernels, whose sums differ in their last bits. */
function tileRows({ tileOf, prefix }: StepInput): number {
  const members = new Int32Array(prefix.tiles);
  let most = 2;
  for (const tile of tileOf) {
    members[tile] = (members[tile] ?? 0) + 1;
    most = Math.max(most, members[tile] ?? 0);
  }
  return most;
}

/** [batch, prefix rows + own rows + 1]: 0 for what a token sees, itself last. */
function fillBias(bias: Float32Array, { tileOf, prefix, own }: StepInput): void {
  const width = prefix.rows + own.rows + 1;
  bias.fill(MASKED);
  for (let b = 0; b < tileOf.length; b++) {
    const start = b * width;
    bias.fill(0, start, start + (prefix.lengths[tileOf[b] ?? 0] ?? 0));
    const ownStart = start + prefix.rows;
    bias.fill(0, ownStart, ownStart + (own.lengths[b] ?? 0));
    bias[start + width - 1] = 0;
  }
}

/** Which query, as (sequence, kvHead, query of its group), each row of the tiles is,
 *  [tiles, kvHeads, rows · group, 3]; and the place, as (tile, kvHead, row), of each query,
 *  [batch, heads, 3]. A tile's idle rows repeat the first query; nobody reads what comes of it. */
function fillPlaces(
  queries: BigInt64Array,
  places: BigInt64Array,
  rows: number,
  { tileOf, prefix }: StepInput,
  { heads, kvHeads }: DecoderShape,
): void {
  const group = heads / kvHeads;
  const filled = new Int32Array(prefix.tiles);
  const to = lowWords(queries);
  const from = lowWords(places);
  to.fill(0);
  for (let b = 0; b < tileOf.length; b++) {
    const tile = tileOf[b] ?? 0;
    const row = filled[tile] ?? 0;
    filled[tile] = row + 1;
    for (let head = 0; head < heads; head++) {
      const kvHead = Math.floor(head / group);
      const query = head % group;
      setTriple(to, ((tile * kvHeads + kvHead) * rows + row) * group + query, b, kvHead, query);
      setTriple(from, b * heads + head, tile, kvHead, row * group + query);
    }
  }
}

/** The values of small int64s at even places: BigInts would be far slower to make. Every platform
 *  that the runtime is built for has the low word first. */
function lowWords(values: BigInt64Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.length * 2);
}

function setTriple(words: Int32Array, index: number, a: number, b: number, c: number): void {
  words[6 * index] = a;
  words[6 * index + 2] = b;
  words[6 * index + 4] = c;
}

/** Per layer its part of [batch, layers, 2, kvHeads, headDim]. */
function newRows(data: Float32Array, part: 0 | 1, shape: DecoderShape): NewRows[] {
  const rowFloats = shape.kvHeads * shape.headDim;
  return Array.from({ length: shape.layers }, (_, layer) => ({
    data,
    offset: (2 * layer + part) * rowFloats,
    sequenceStride: 2 * shape.layers * rowFloats,
    headStride: shape.headDim,
  }));
}

/** Inputs that are filled anew at every pass: a run has read them by the time it is over. */
class Scratch {
  private float = new Float32Array(0);
  private readonly int = [new BigInt64Array(0), new BigInt64Array(0)];

  floats(size: number): Float32Array {
    if (this.float.length < size) this.float = new Float32Array(size * 2);
    return this.float.subarray(0, size);
  }

  /** High words are 0. */
  ints(which: 0 | 1, size: number): BigInt64Array {
    let buffer = this.int[which] ?? new BigInt64Array(0);
    if (buffer.length < size) buffer = new BigInt64Array(size * 2);
    this.int[which] = buffer;
    return buffer.subarray(0, size);
  }
}
