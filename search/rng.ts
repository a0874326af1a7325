import { hash32, type ListHash, mix32 } from './hash.js';

export { contentHash } from './hash.js';

/** Seeded random numbers. No global state: a seed is always an argument. */

/** Seed of one sample: an integer in [0, 2^31), which every known server accepts.
 *  The same run seed, problem and place always give the same seed, in any order of calls. */
export function deriveSeed(runSeed: number, problemId: string, place: string, index: number) {
  return hash32([String(runSeed), problemId, place, String(index)]) >>> 1;
}

/** The same, where the hash of [String(runSeed), problemId, place] is at hand. */
export function seedAt(place: ListHash, index: number): number {
  return place.hash32With(String(index)) >>> 1;
}

/** A generator of uniform numbers in [0, 1), 32 bits each, from a string of any length.
 *  Weyl sequence through the murmur3 finaliser; good enough to shuffle and subsample. */
export function createRandom(seed: string): () => number {
  let state = hash32([seed]) | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    return (mix32(state) >>> 0) / 4294967296;
  };
}

/** `count` of `items` without replacement, in their original order. */
export function sampleWithoutReplacement<T>(
  items: readonly T[],
  count: number,
  random: () => number,
): T[] {
  if (count >= items.length) return [...items];
  let wanted = count;
  const kept: T[] = [];
  for (let i = 0; i < items.length && wanted > 0; i++) {
    // Selection sampling: item i is taken with probability wanted / left.
    if (random() * (items.length - i) < wanted) {
      kept.push(items[i] as T);
      wanted--;
    }
  }
  return kept;
}
