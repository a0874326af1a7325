import type { DecoderShape, NewRows } from './decoder.js';
import type { KvBlock } from './prefix-cache.js';

/** Buffers that go from one set of slots to the next: fresh memory costs more to touch than a
 *  step's rows cost to write. What a used buffer holds is finite, so it needs no clearing. */
export class BufferPool {
  private readonly spare: Float32Array[] = [];

  /** A buffer of at least `floats` floats. */
  take(floats: number): Float32Array {
    let best = -1;
    for (let i = 0; i < this.spare.length; i++) {
      const length = this.spare[i]?.length ?? 0;
      if (length >= floats && (best < 0 || length < (this.spare[best]?.length ?? 0))) best = i;
    }
    const found = best < 0 ? undefined : this.spare.splice(best, 1)[0];
    return found ?? new Float32Array(2 ** Math.ceil(Math.log2(Math.max(floats, 1024))));
  }

  give(buffer: Float32Array): void {
    if (buffer.length > 0) this.spare.push(buffer);
  }
}

/** KV of sequences of like length: slots of `rows` rows each, dense from 0 on, so that the first n
 *  slots are the padded past of a batch of n without a copy. */
export class KvSlots {
  readonly keys: Float32Array[];
  readonly values: Float32Array[];
  private capacity = 0;
  private lastPast: { slots: number; keys: Float32Array[]; values: Float32Array[] } | null = null;
  private readonly headFloats: number;
  private readonly slotFloats: number;

  /** @param rows rows of a slot, a multiple of BLOCK_ROWS */
  constructor(
    private readonly shape: DecoderShape,
    readonly rows: number,
    private readonly pool: BufferPool,
  ) {
    this.headFloats = rows * shape.headDim;
    this.slotFloats = shape.kvHeads * this.headFloats;
    this.keys = Array.from({ length: shape.layers }, () => new Float32Array(0));
    this.values = Array.from({ length: shape.layers }, () => new Float32Array(0));
  }

  /** Grows to at least `slots` slots, keeping what the present ones hold. */
  reserve(slots: number): void {
    if (slots <= this.capacity || this.slotFloats === 0) return;
    const floats = Math.max(slots, this.capacity * 2, 4) * this.slotFloats;
    const used = this.capacity * this.slotFloats;
    this.lastPast = null;
    this.capacity = Number.MAX_SAFE_INTEGER;
    for (const buffers of [this.keys, this.values]) {
      for (const [layer, old] of buffers.entries()) {
        const grown = this.pool.take(floats);
        grown.set(old.subarray(0, used));
        buffers[layer] = grown;
        this.pool.give(old);
        this.capacity = Math.min(this.capacity, Math.floor(grown.length / this.slotFloats));
      }
    }
  }

  /** Gives the buffers back; the slots are empty afterwards. */
  release(): void {
    this.lastPast = null;
    for (const buffers of [this.keys, this.values]) {
      for (const [layer, buffer] of buffers.entries()) {
        this.pool.give(buffer);
        buffers[layer] = new Float32Array(0);
      }
    }
    this.capacity = 0;
  }

  /** The first `slots` slots of every layer; the same arrays as last time if they lie where they
   *  lay then. */
  past(slots: number): { keys: Float32Array[]; values: Float32Array[] } {
    if (this.lastPast?.slots !== slots) {
      const end = slots * this.slotFloats;
      this.lastPast = {
        slots,
        keys: this.keys.map((buffer) => buffer.subarray(0, end)),
        values: this.values.map((buffer) => buffer.subarray(0, end)),
      };
    }
    return this.lastPast;
  }

  /** Writes one new row per head of every layer.
   *  @param batchIndex the sequence's place in the batch that made `keys` and `values` */
  append(
    slot: number,
    row: number,
    keys: readonly NewRows[],
    values: readonly NewRows[],
    batchIndex: number,
  ): void {
    for (let layer = 0; layer < this.shape.layers; layer++) {
      this.appendLayer(this.keys[layer], slot, row, keys[layer], batchIndex);
      this.appendLayer(this.values[layer], slot, row, values[layer], batchIndex);
    }
  }

  private appendLayer(
    buffer: Float32Array | undefined,
    slot: number,
    row: number,
    rows: NewRows | undefined,
    batchIndex: number,
  ): void {
    if (buffer === undefined || rows === undefined) return;
    const { kvHeads, headDim } = this.shape;
    const { data } = rows;
    for (let head = 0; head < kvHeads; head++) {
      let to = slot * this.slotFloats + head * this.headFloats + row * headDim;
      let from = rows.offset + batchIndex * rows.sequenceStride + head * rows.headStride;
      // A loop beats TypedArray.set with its subarray for rows of some dozen floats.
      for (const end = from + headDim; from < end; from++, to++) buffer[to] = data[from] ?? 0;
    }
  }

  /** Copies the first `rows` rows of a slot of `source` to a slot of this one. */
  copySlot(slot: number, source: KvSlots, sourceSlot: number, rows: number): void {
    const { kvHeads, headDim } = this.shape;
    const floats = rows * headDim;
    for (const kind of ['keys', 'values'] as const) {
      for (let layer = 0; layer < this.shape.layers; layer++) {
        const from = source[kind][layer];
        const to = this[kind][layer];
        if (from === undefined || to === undefined) continue;
        for (let head = 0; head < kvHeads; head++) {
          const start = sourceSlot * source.slotFloats + head * source.headFloats;
          const at = slot * this.slotFloats + head * this.headFloats;
          to.set(from.subarray(start, start + floats), at);
        }
      }
    }
  }

  /** Lays the blocks of a prefix out in a slot, one after the other. */
  copyBlocks(slot: number, blocks: readonly KvBlock[]): void {
    const { layers, kvHeads, headDim } = this.shape;
    let row = 0;
    for (const block of blocks) {
      const blockFloats = block.rows * headDim;
      for (let part = 0; part < 2 * layers; part++) {
        const to = part < layers ? this.keys[part] : this.values[part - layers];
        for (let head = 0; head < kvHeads; head++) {
          const from = (part * kvHeads + head) * blockFloats;
          const at = slot * this.slotFloats + head * this.headFloats + row * headDim;
          to?.set(block.kv.subarray(from, from + blockFloats), at);
        }
      }
      row += block.rows;
    }
  }
}

/** The rows of one sequence of a prefill pass as a block's KV. */
export function blockKv(
  shape: DecoderShape,
  keys: readonly NewRows[],
  values: readonly NewRows[],
  batchIndex: number,
  rows: number,
): Float32Array {
  const { kvHeads, headDim, layers } = shape;
  const kv = new Float32Array(2 * layers * kvHeads * rows * headDim);
  let part = 0;
  for (const tensor of [...keys, ...values]) {
    for (let head = 0; head < kvHeads; head++) {
      const from = tensor.offset + batchIndex * tensor.sequenceStride + head * tensor.headStride;
      const at = (part * kvHeads + head) * rows * headDim;
      kv.set(tensor.data.subarray(from, from + rows * headDim), at);
    }
    part += 1;
  }
  return kv;
}
