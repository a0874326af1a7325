/** Hashes and seeded random numbers. No global state: a seed is always an argument. */

/** 128-bit content hash of a list of strings, as 32 lower-case hex digits.
 *  Not cryptographic. ["ab"] and ["a", "b"] differ: every part is closed by its length. */
export function contentHash(parts: readonly string[]): string {
  hashInto(LANES, parts);
  return hex32(LANES[0]!) + hex32(LANES[1]!) + hex32(LANES[2]!) + hex32(LANES[3]!);
}

/** Seed of one sample: an integer in [0, 2^31), which every known server accepts.
 *  The same run seed, problem and place always give the same seed, in any order of calls. */
export function deriveSeed(runSeed: number, problemId: string, place: string, index: number) {
  return firstLane([String(runSeed), problemId, place, String(index)]) >>> 1;
}

function firstLane(parts: readonly string[]): number {
  hashInto(LANES, parts);
  return LANES[0]! >>> 0;
}

/** @param lanes Int32Array[4], overwritten */
function hashInto(lanes: Int32Array, parts: readonly string[]): void {
  let a = 0x9e3779b9;
  let b = 0x85ebca6b;
  let c = 0xc2b2ae35;
  let d = 0x27d4eb2f;
  for (const part of parts) {
    for (let i = 0; i < part.length; i++) {
      const unit = part.charCodeAt(i);
      a = Math.imul(a ^ unit, 0x01000193);
      b = Math.imul((b ^ unit) + (a >>> 15), 0xcc9e2d51);
      c = Math.imul(c ^ (unit + (b >>> 13)), 0x1b873593);
      d = (Math.imul(d, 0xe6546b65 | 1) ^ (unit + (c >>> 16))) | 0;
    }
    const end = part.length + 0x10000;
    a = mix32(a ^ end);
    b = mix32(b + a + end);
    c = mix32(c ^ b ^ end);
    d = mix32(d + c + end);
  }
  // A last round lets every lane see every other.
  a = mix32(a + d);
  b = mix32(b + a);
  c = mix32(c + b);
  d = mix32(d + c);
  lanes[0] = a;
  lanes[1] = b;
  lanes[2] = c;
  lanes[3] = d;
}

/** The result of `hashInto`, read before anything else can run. */
const LANES = new Int32Array(4);

/** A generator of uniform numbers in [0, 1), 32 bits each, from a string of any length.
 *  Weyl sequence through the murmur3 finaliser; good enough to shuffle and subsample. */
export function createRandom(seed: string): () => number {
  let state = firstLane([seed]);
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

function mix32(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

function hex32(value: number): string {
  return (
    BYTES[value >>> 24]! +
    BYTES[(value >>> 16) & 255]! +
    BYTES[(value >>> 8) & 255]! +
    BYTES[value & 255]!
  );
}

// Number.toString and padStart took a sixth of a search with an instant model.
const BYTES = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
