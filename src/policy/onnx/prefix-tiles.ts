import type { DecoderShape, StepInput } from './decoder.js';
import { type BufferPool, KvSlots } from './kv-slots.js';
import { paddedRows } from './prefill.js';
import type { KvBlock } from './prefix-cache.js';

/** A prefix that up to TILE_ROWS sequences of a group read together. */
export interface Tile {
  readonly blocks: readonly KvBlock[];
  /** Valid rows. */
  readonly length: number;
  /** Its place among the group's tiles; changes when another tile ends. */
  slot: number;
  members: number;
}

/** Sequences per tile at most. A pass computes as many rows for every tile as its fullest one has,
 *  so larger tiles would waste more on the small ones, and smaller ones would read a prefix more
 *  often. */
const TILE_ROWS = 16;

/** The prefixes of a group's sequences, each once per TILE_ROWS of its sequences, padded alike. */
export class PrefixTiles {
  private slots: KvSlots;
  private readonly tiles: Tile[] = [];
  private lengths = new Int32Array(0);

  constructor(
    private readonly shape: DecoderShape,
    private readonly pool: BufferPool,
  ) {
    this.slots = new KvSlots(shape, 0, pool);
  }

  /** A place for one more sequence with the prefix that `blocks` make up. */
  join(blocks: readonly KvBlock[]): Tile {
    const last = blocks[blocks.length - 1];
    let tile = this.tiles.find(
      // A block stands for all tokens up to its end.
      (one) => one.blocks[one.blocks.length - 1] === last && one.members < TILE_ROWS,
    );
    if (tile === undefined) {
      const length = blocks.reduce((sum, block) => sum + block.rows, 0);
      tile = { blocks, length, slot: this.tiles.length, members: 0 };
      this.pad(paddedRows(Math.max(length, this.longest())));
      this.slots.reserve(tile.slot + 1);
      this.slots.copyBlocks(tile.slot, blocks);
      this.tiles.push(tile);
      this.lengths = Int32Array.from(this.tiles, (one) => one.length);
    }
    tile.members += 1;
    return tile;
  }

  leave(tile: Tile): void {
    tile.members -= 1;
    if (tile.members > 0) return;
    const last = this.tiles.pop();
    if (last !== undefined && last !== tile) {
      this.slots.copySlot(tile.slot, this.slots, last.slot, last.length);
      this.tiles[tile.slot] = last;
      last.slot = tile.slot;
    }
    this.lengths = Int32Array.from(this.tiles, (one) => one.length);
    const rows = paddedRows(this.longest());
    // Only where it saves half: copying all prefixes costs several passes' reading.
    if (rows * 2 <= this.slots.rows) this.pad(rows, true);
  }

  past(): StepInput['prefix'] {
    const tiles = this.tiles.length;
    const { keys, values } = this.slots.past(tiles);
    return { tiles, rows: this.slots.rows, lengths: this.lengths, keys, values };
  }

  private longest(): number {
    return this.tiles.reduce((most, tile) => Math.max(most, tile.length), 0);
  }

  /** Gives every prefix at least, or exactly, `rows` padded rows. */
  private pad(rows: number, exactly = false): void {
    if (exactly ? rows === this.slots.rows : rows <= this.slots.rows) return;
    const padded = new KvSlots(this.shape, rows, this.pool);
    padded.reserve(this.tiles.length);
    for (const tile of this.tiles) {
      padded.copySlot(tile.slot, this.slots, tile.slot, tile.length);
    }
    this.slots.release();
    this.slots = padded;
  }
}
