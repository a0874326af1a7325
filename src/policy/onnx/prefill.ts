import { BLOCK_ROWS, type Decoder, type Embedder } from './decoder.js';
import { type BufferPool, blockKv, KvSlots } from './kv-slots.js';
import type { Prefix } from './prefix.js';
import type { KvBlock, PrefixCache } from './prefix-cache.js';

/** Rows that a past is padded to: what its graph sees of a block depends on the block alone. */
export function paddedRows(length: number): number {
  return Math.ceil(length / BLOCK_ROWS) * BLOCK_ROWS;
}

/** Computes blocks of prefixes, many in one pass, each block once. */
export class Prefiller {
  private embeds = new Float32Array(0);

  constructor(
    private readonly decoder: Pick<Decoder, 'shape' | 'run'>,
    private readonly embedder: Embedder,
    private readonly cache: PrefixCache,
    private readonly buffers: BufferPool,
  ) {}

  /** Gives each prefix its next block in one pass.
   *  @param prefixes none complete, with pasts of equal `paddedRows`
   *  @param width tokens of the pass, at least the longest block; it must follow from each block's
   *  own length, or a block's last bits would depend on its neighbours
   *  @returns blocks in the pass, and tokens in these: equal blocks count once */
  async advance(
    prefixes: readonly Prefix[],
    width = BLOCK_ROWS,
  ): Promise<{ blocks: number; tokens: number }> {
    const { shape } = this.decoder;
    const byKey = new Map<string, Prefix[]>();
    for (const prefix of prefixes) {
      const same = byKey.get(prefix.nextKey);
      if (same) same.push(prefix);
      else byKey.set(prefix.nextKey, [prefix]);
    }
    const leaders = [...byKey.values()].flatMap((same) => same.slice(0, 1));
    const past = paddedRows(leaders[0]?.rows ?? 0);
    const output = await this.run(leaders, past, width);
    let index = 0;
    let tokens = 0;
    for (const [key, same] of byKey) {
      const rows = leaders[index]?.nextIds().length ?? 0;
      const block: KvBlock = {
        key,
        rows,
        kv: blockKv(shape, output.keys, output.values, index, rows),
        logits: output.logits.slice(index * shape.vocab, (index + 1) * shape.vocab),
      };
      this.cache.put(block);
      for (const [place, prefix] of same.entries()) prefix.take(block, place === 0);
      tokens += rows;
      index += 1;
    }
    return { blocks: leaders.length, tokens };
  }

  private async run(leaders: readonly Prefix[], past: number, width: number) {
    const { shape } = this.decoder;
    const batch = leaders.length;
    const embeds = this.scratch(batch * width * shape.hidden);
    embeds.fill(0);
    const slots = new KvSlots(shape, past, this.buffers);
    slots.reserve(batch);
    const pastLength = new Int32Array(batch);
    const logitsAt = new Int32Array(batch);
    for (const [index, prefix] of leaders.entries()) {
      const ids = prefix.nextIds();
      await this.embedder.ready(ids);
      this.embedder.copy(ids, embeds, index * width);
      prefix.placeImages(embeds, index * width, shape.hidden);
      slots.copyBlocks(index, prefix.blocks);
      pastLength[index] = prefix.rows;
      logitsAt[index] = ids.length - 1;
    }
    const kv = slots.past(batch);
    const input = { batch, tokens: width, past, embeds, pastLength, logitsAt, ...kv };
    const output = await this.decoder.run(input);
    slots.release();
    return output;
  }

  private scratch(floats: number): Float32Array {
    if (this.embeds.length < floats) this.embeds = new Float32Array(floats * 2);
    return this.embeds.subarray(0, floats);
  }
}
