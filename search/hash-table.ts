import type { ListHash } from './hash.js';

/** Numbers of hashes: the first one that is asked for is 1, the next new one 2, … An open-addressed
 *  table in one typed array, so that half a million states cost the collector nothing and no
 *  state needs a string of its own. Hashes are compared in full. */
export class HashTable {
  size = 0;
  /** int32[rows * 5]: four lanes and the number, 0 where the row is free. */
  private rows: Int32Array;
  private mask: number;

  /** @param capacity hashes expected; the table grows beyond it by doubling */
  constructor(capacity = 16) {
    let rows = 8;
    while (rows < capacity * 2) rows *= 2;
    this.rows = new Int32Array(rows * WIDTH);
    this.mask = rows - 1;
  }

  /** The hash's number, a new one if it is new. */
  numberOf(hash: ListHash): number {
    const at = this.rowOf(hash.a, hash.b, hash.c, hash.d);
    const known = this.rows[at + NUMBER]!;
    if (known !== 0) return known;
    this.write(at, hash.a, hash.b, hash.c, hash.d, ++this.size);
    if (this.size * 2 > this.mask) this.grow();
    return this.size;
  }

  private rowOf(a: number, b: number, c: number, d: number): number {
    const { rows, mask } = this;
    for (let row = a & mask; ; row = (row + 1) & mask) {
      const at = row * WIDTH;
      if (rows[at + NUMBER] === 0) return at;
      if (rows[at] === a && rows[at + 1] === b && rows[at + 2] === c && rows[at + 3] === d) {
        return at;
      }
    }
  }

  private write(at: number, a: number, b: number, c: number, d: number, number: number): void {
    this.rows[at] = a;
    this.rows[at + 1] = b;
    this.rows[at + 2] = c;
    this.rows[at + 3] = d;
    this.rows[at + NUMBER] = number;
  }

  private grow(): void {
    const old = this.rows;
    this.rows = new Int32Array(old.length * 2);
    this.mask = this.mask * 2 + 1;
    for (let from = 0; from < old.length; from += WIDTH) {
      const number = old[from + NUMBER]!;
      if (number === 0) continue;
      const [a, b, c, d] = [old[from]!, old[from + 1]!, old[from + 2]!, old[from + 3]!];
      this.write(this.rowOf(a, b, c, d), a, b, c, d, number);
    }
  }
}

const WIDTH = 5;
const NUMBER = 4;
