/** The port between the batcher, which owns sequences and their KV, and a decoder graph. */

export interface DecoderShape {
  readonly layers: number;
  /** Heads of queries, a multiple of the heads of keys and values. */
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly hidden: number;
  readonly vocab: number;
  /** Positions that the model can address. */
  readonly maxPositions: number;
}

/** One pass over `batch` sequences of `tokens` new tokens each. Everything is row-major. */
export interface DecoderInput {
  readonly batch: number;
  readonly tokens: number;
  /** Padded rows of the past of every sequence. */
  readonly past: number;
  /** [batch, tokens, hidden] */
  readonly embeds: Float32Array;
  /** Valid rows of each past, [batch]; the new tokens follow at these positions. */
  readonly pastLength: Int32Array;
  /** The token of each sequence whose logits are wanted, [batch]. */
  readonly logitsAt: Int32Array;
  /** Per layer [batch, kvHeads, past, headDim]. Rows from pastLength on are finite garbage. */
  readonly keys: readonly Float32Array[];
  readonly values: readonly Float32Array[];
}

/** One new token for each of `batch` sequences that share prefixes. A tile is a prefix with at most
 *  so many of its sequences; a prefix with more of them has several tiles. */
export interface StepInput {
  readonly batch: number;
  /** [batch, hidden] */
  readonly embeds: Float32Array;
  /** Positions of the new tokens, [batch]. */
  readonly positions: Int32Array;
  /** The tile of each sequence, [batch]. */
  readonly tileOf: Int32Array;
  /** The prefixes, one per tile: `lengths` [tiles] rows of each are valid. */
  readonly prefix: PaddedKv & { readonly tiles: number; readonly lengths: Int32Array };
  /** What the sequences added to their prefixes: `lengths` [batch] rows of each are valid. */
  readonly own: PaddedKv & { readonly lengths: Int32Array };
}

/** Per layer [count, kvHeads, rows, headDim]; rows past the valid ones are finite garbage. */
export interface PaddedKv {
  readonly rows: number;
  readonly keys: readonly Float32Array[];
  readonly values: readonly Float32Array[];
}

/** The new rows of one layer's keys or values inside what the graph gave back: row t of
 *  (sequence b, head h) starts at offset + b·sequenceStride + h·headStride + t·headDim. */
export interface NewRows {
  readonly data: Float32Array;
  readonly offset: number;
  readonly sequenceStride: number;
  readonly headStride: number;
}

export interface DecoderOutput {
  /** [batch, vocab]: one row per sequence. */
  readonly logits: Float32Array;
  /** Per layer. */
  readonly keys: readonly NewRows[];
  readonly values: readonly NewRows[];
}

export interface Decoder {
  readonly name: 'append' | 'merged';
  readonly shape: DecoderShape;
  run(input: DecoderInput): Promise<DecoderOutput>;
  /** A pass that reads a shared prefix once; null where every sequence needs its whole past. */
  readonly step: ((input: StepInput) => Promise<DecoderOutput>) | null;
}

/** Embeddings of token ids, and of images as the projector gives them. */
export interface Embedder {
  /** Writes hidden-sized rows of `ids` to `out` from row `at` on; every id must be `ready`. */
  copy(ids: readonly number[], out: Float32Array, at: number): void;
  /** Makes sure that the embeddings of `ids` are at hand. */
  ready(ids: readonly number[]): Promise<void>;
}

/** Rows of a padded past are allocated in multiples of this, and texts are computed in blocks of
 *  at most as many. A multiple of every vector width, so that padding never changes the order of a sum: a row's
 *  bits then don't depend on how far its past is padded. */
export const BLOCK_ROWS = 32;
