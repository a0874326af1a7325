import { BLOCK_ROWS } from './decoder.js';
import type { KvBlock, PrefixCache } from './prefix-cache.js';

/** Tokens whose KV is wanted. */
export interface PrefixText {
  /** Image tokens are repeated once per image feature. */
  readonly ids: readonly number[];
  readonly imageToken: number;
  /** Features of the pictures in order, each [rows, hidden]; they replace the image tokens. */
  readonly imageFeatures: readonly Float32Array[];
  /** Names of the pictures' contents, for the cache. */
  readonly imageKeys: readonly string[];
}

/** A text on its way into KV blocks. */
export class Prefix {
  /** The blocks that are there, from the first token on. */
  readonly blocks: KvBlock[] = [];
  /** Rows of these blocks, and how many of them were not computed for this text. */
  rows = 0;
  cachedTokens = 0;
  private readonly keys: readonly string[];
  /** Rows of all pictures, one after the other, [rows, hidden]. */
  private imageRows: Float32Array | null = null;

  /** @param ends where each block ends; none is longer than BLOCK_ROWS */
  constructor(
    private readonly text: PrefixText,
    readonly ends: readonly number[] = blockEnds([text.ids.length]),
  ) {
    this.keys = blockKeys(text.ids, ends, text.imageKeys);
  }

  get complete(): boolean {
    return this.blocks.length === this.ends.length;
  }

  /** Names the next block by all tokens up to its end; empty when complete. */
  get nextKey(): string {
    return this.keys[this.blocks.length] ?? '';
  }

  /** Token ids of the next block. */
  nextIds(): readonly number[] {
    return this.text.ids.slice(this.rows, this.ends[this.blocks.length] ?? this.rows);
  }

  takeCached(cache: PrefixCache): void {
    while (!this.complete) {
      const block = cache.get(this.nextKey);
      if (block === undefined) break;
      this.take(block, false);
    }
  }

  take(block: KvBlock, computed: boolean): void {
    this.blocks.push(block);
    this.rows += block.rows;
    if (!computed) this.cachedTokens += block.rows;
  }

  /** Overwrites the rows of image tokens in the next block's embeddings.
   *  @param row first row of the block in `embeds`, [rows, hidden] */
  placeImages(embeds: Float32Array, row: number, hidden: number): void {
    const { ids, imageToken } = this.text;
    const end = this.ends[this.blocks.length] ?? 0;
    let image = 0;
    for (let index = 0; index < end; index++) {
      if (ids[index] !== imageToken) continue;
      if (index >= this.rows) {
        const features = this.allImageRows().subarray(image * hidden, (image + 1) * hidden);
        embeds.set(features, (row + index - this.rows) * hidden);
      }
      image += 1;
    }
  }

  private allImageRows(): Float32Array {
    if (this.imageRows === null) {
      const { imageFeatures } = this.text;
      const rows = new Float32Array(imageFeatures.reduce((sum, part) => sum + part.length, 0));
      let at = 0;
      for (const part of imageFeatures) {
        rows.set(part, at);
        at += part.length;
      }
      this.imageRows = rows;
    }
    return this.imageRows;
  }
}

/** Where the blocks of a text end that is cut into pieces at `cuts`, the last of which is its
 *  length: every piece starts a block of its own, so that texts with equal first pieces share these
 *  pieces' blocks whatever follows. */
export function blockEnds(cuts: readonly number[]): number[] {
  const ends: number[] = [];
  let start = 0;
  for (const cut of cuts) {
    for (; start < cut; start = ends[ends.length - 1] ?? cut) {
      ends.push(Math.min(start + BLOCK_ROWS, cut));
    }
  }
  return ends;
}

/** Keys of blocks: each names all tokens up to its end, how they are cut, and the pictures that the
 *  image tokens stand for. */
function blockKeys(
  ids: readonly number[],
  ends: readonly number[],
  imageKeys: readonly string[],
): string[] {
  let key = imageKeys.join(' ');
  let start = 0;
  return ends.map((end) => {
    key = `${key}/${ids.slice(start, end).join(',')}`;
    start = end;
    return key;
  });
}
