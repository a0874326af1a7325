/** Integer-only random numbers: the same bits on every machine and Node version. */
export interface Rng {
  /** Uniform integer in [0, 2^32). */
  next(): number;
  /** Uniform integer in [low, high], both ends included. */
  int(low: number, high: number): number;
  pick<T>(values: readonly T[]): T;
  /** A shuffled copy. */
  shuffle<T>(values: readonly T[]): T[];
}

/** FNV-1a over UTF-16 code units, 32 bits, finished with a murmur3 mix. */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** sfc32 seeded from a text such as "seed/split/index". */
export function createRng(key: string): Rng {
  let a = hash32(`${key}/a`);
  let b = hash32(`${key}/b`);
  let c = hash32(`${key}/c`);
  let counter = 1;

  function next(): number {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return sum >>> 0;
  }
  // The first outputs still resemble the seed words.
  for (let i = 0; i < 12; i++) next();

  function int(low: number, high: number): number {
    const span = high - low + 1;
    // Multiply-shift on 32 bits; the bias is below 2^-20 for our small spans.
    return low + Math.floor((next() / 4294967296) * span);
  }

  function shuffle<T>(values: readonly T[]): T[] {
    const out = [...values];
    for (let i = out.length - 1; i > 0; i--) {
      const j = int(0, i);
      const held = out[i] as T;
      out[i] = out[j] as T;
      out[j] = held;
    }
    return out;
  }

  return {
    next,
    int,
    shuffle,
    pick: <T>(values: readonly T[]): T => values[int(0, values.length - 1)] as T,
  };
}
