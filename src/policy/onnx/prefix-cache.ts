/** KV of up to BLOCK_ROWS tokens, computed after exactly the tokens before it. Blocks are always
 *  computed in one pass over the block, never by decode steps, and padded by their own length and
 *  place alone, so a block's bits are a function of the tokens up to its end and of where these were
 *  cut into blocks, which its key names: a cached block and a recomputed one are the same. */
export interface KvBlock {
  readonly key: string;
  /** Tokens in it, 1 to BLOCK_ROWS. */
  readonly rows: number;
  /** [2 · layers, kvHeads, rows, headDim]: the keys of all layers, then the values. */
  readonly kv: Float32Array;
  /** Logits after its last token, [vocab]. */
  readonly logits: Float32Array;
}

/** Blocks by the tokens up to their end, the least recently used going first. A block in use by a
 *  sequence stays alive through that sequence's own reference, in the cache or not. */
export class PrefixCache {
  private readonly blocks = new Map<string, KvBlock>();
  private bytes = 0;

  constructor(private readonly limitBytes: number) {}

  get usedBytes(): number {
    return this.bytes;
  }

  get(key: string): KvBlock | undefined {
    const block = this.blocks.get(key);
    if (block !== undefined) {
      this.blocks.delete(key);
      this.blocks.set(key, block);
    }
    return block;
  }

  put(block: KvBlock): void {
    if (this.blocks.has(block.key)) return;
    this.blocks.set(block.key, block);
    this.bytes += bytesOf(block);
    for (const [key, oldest] of this.blocks) {
      if (this.bytes <= this.limitBytes) break;
      this.blocks.delete(key);
      this.bytes -= bytesOf(oldest);
    }
  }
}

function bytesOf({ kv, logits }: KvBlock): number {
  return kv.byteLength + logits.byteLength;
}
