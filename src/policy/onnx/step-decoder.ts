import { type InferenceSession, Tensor } from 'onnxruntime-node';
import type { DecoderOutput, DecoderShape, NewRows, StepInput } from './decoder.js';
import { addKv, bigints, floats, kvNames, requireNames } from './tensors.js';

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
  return async (input) => {
    const { batch, prefix, own } = input;
    const width = prefix.rows + own.rows + 1;
    const bias = scratch.floats(batch * width);
    fillBias(bias, input);
    const rows = tileRows(input);
    const queries = scratch.ints(0, prefix.tiles * shape.heads * rows);
    const places = scratch.ints(1, batch * shape.heads);
    fillPlaces(queries, places, rows, input, shape);
    const feeds: Record<string, Tensor> = {
      inputs_embeds: new Tensor('float32', input.embeds, [batch, 1, shape.hidden]),
      positions: new Tensor('int64', bigints(input.positions), [batch, 1]),
      attention_bias: new Tensor('float32', bias, [batch, 1, 1, width]),
      tile_queries: new Tensor('int32', queries, [prefix.tiles, shape.kvHeads, rows * group]),
      sequence_rows: new Tensor('int32', places, [batch, shape.kvHeads, group]),
    };
    addKv(feeds, 'prefix', prefix.tiles, prefix, shape);
    addKv(feeds, 'past', batch, own, shape);
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

/** Where the queries of [batch, heads] go in the tiles' [tiles, kvHeads, rows · group], and back.
 *  A tile's idle rows repeat some query; nobody reads what comes of it. */
function fillPlaces(
  queries: Int32Array,
  places: Int32Array,
  rows: number,
  { tileOf, prefix }: StepInput,
  { heads, kvHeads }: DecoderShape,
): void {
  const group = heads / kvHeads;
  const filled = new Int32Array(prefix.tiles);
  queries.fill(0);
  for (let b = 0; b < tileOf.length; b++) {
    const tile = tileOf[b] ?? 0;
    const row = filled[tile] ?? 0;
    filled[tile] = row + 1;
    for (let head = 0; head < heads; head++) {
      const kvHead = Math.floor(head / group);
      const at = ((tile * kvHeads + kvHead) * rows + row) * group + (head % group);
      queries[at] = b * heads + head;
      places[b * heads + head] = at;
    }
  }
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
  private readonly int = [new Int32Array(0), new Int32Array(0)];

  floats(size: number): Float32Array {
    if (this.float.length < size) this.float = new Float32Array(size * 2);
    return this.float.subarray(0, size);
  }

  ints(which: 0 | 1, size: number): Int32Array {
    let buffer = this.int[which] ?? new Int32Array(0);
    if (buffer.length < size) buffer = new Int32Array(size * 2);
    this.int[which] = buffer;
    return buffer.subarray(0, size);
  }
}
