import { BLOCK_ROWS, type DecoderShape, floatsPerRow } from './decoder.js';

/** KV of up to BLOCK_ROWS tokens that start at a multiple of BLOCK_ROWS, computed after exactly
 *  the tokens before it. Blocks are always computed in one pass of BLOCK_ROWS tokens, never by
 *  decode steps, so a block's bits are a function of the tokens up to its end alone: a cached block
 *  and a recomputed one are the same. */
export interface KvBlock {
  readonly key: string;
  /** Tokens in it, 1 to BLOCK_ROWS. */
  readonly rows: number;
  /** [2 · layers, kvHeads, BLOCK_ROWS, headDim]: the keys of all layers, then the values. */
  readonly kv: Float32Array;
  /** Logits after its last token, [vocab]. */
  readonly logits: Float32Array;
}

/** Blocks by the tokens up to their end, the least recently used going first. A block in use by a
 *  sequence stays alive through that sequence's own reference, in the cache or not. */
export class PrefixCache {
  private readonly blocks = new Map<string, KvBlock>();
  private bytes = 0;
  private readonly blockBytes: number;

  constructor(
    shape: DecoderShape,
    private readonly limitBytes: number,
  ) {
    this.blockBytes = (floatsPerRow(shape) * BLOCK_ROWS + shape.vocab) * 4;
  }

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
    this.bytes += this.blockBytes;
    for (const key of this.blocks.keys()) {
      if (this.bytes <= this.limitBytes) break;
      this.blocks.delete(key);
      this.bytes -= this.blockBytes;
    }
  }
}

/** Keys of the blocks of a prompt: each names all tokens up to its end, and the pictures that its
 *  image tokens stand for. */
export function blockKeys(ids: readonly number[], imageKeys: readonly string[]): string[] {
  const keys: string[] = [];
  let key = imageKeys.join(' ');
  for (let start = 0; start < ids.length; start += BLOCK_ROWS) {
    key = `${key}/${ids.slice(start, start + BLOCK_ROWS).join(',')}`;
    keys.push(key);
  }
  return keys;
}
