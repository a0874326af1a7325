/** 128-bit content hashes of lists of strings. Not cryptographic. */

/** The hash that is being worked on; read before anything else can run. */
const LANES = new Int32Array(4);
/** A second one, where two are needed. */
const PLACE = new Int32Array(4);

/** Hash of a list of strings, as 32 lower-case hex digits.
 *  ["ab"] and ["a", "b"] differ: every part is closed by its length. */
export function contentHash(parts: readonly string[]): string {
  reset();
  for (const part of parts) absorb(part);
  finish();
  return hexDigits();
}

/** First 32 bits of the content hash, unsigned. */
export function hash32(parts: readonly string[]): number {
  reset();
  for (const part of parts) absorb(part);
  return finish() >>> 0;
}

/** The content hash of a list that grows at its end. A longer list's hash costs only the parts that
 *  it has more, which is why a search hashes each step once and not once for every state below it. */
export class ListHash {
  /** Of the empty list. */
  static readonly EMPTY = ListHash.of([]);

  private constructor(
    readonly a: number,
    readonly b: number,
    readonly c: number,
    readonly d: number,
  ) {}

  static of(parts: readonly string[]): ListHash {
    reset();
    for (const part of parts) absorb(part);
    return ListHash.taken();
  }

  /** Hash of the list with these parts at its end. */
  extended(parts: readonly string[]): ListHash {
    this.load();
    for (let i = 0; i < parts.length; i++) absorb(parts[i]!);
    return ListHash.taken();
  }

  /** Hash of the list with one more part. */
  with(part: string): ListHash {
    this.load();
    absorb(part);
    return ListHash.taken();
  }

  /** The same as with(`${kind} ${state.hex()}`), without making that string. */
  withPlace(kind: string, state: ListHash): ListHash {
    state.load();
    finish();
    PLACE.set(LANES);
    this.load();
    absorbUnits(kind);
    absorbUnit(32);
    for (let i = 0; i < 32; i++) absorbUnit(digit(PLACE[i >> 3]! >>> (28 - (i & 7) * 4)));
    close(kind.length + 33);
    return ListHash.taken();
  }

  /** contentHash of the list. */
  hex(): string {
    this.load();
    finish();
    return hexDigits();
  }

  /** First 32 bits of the content hash of the list with one more part, unsigned. */
  hash32With(part: string): number {
    this.load();
    absorb(part);
    return finish() >>> 0;
  }

  private load(): void {
    LANES[0] = this.a;
    LANES[1] = this.b;
    LANES[2] = this.c;
    LANES[3] = this.d;
  }

  private static taken(): ListHash {
    return new ListHash(LANES[0]!, LANES[1]!, LANES[2]!, LANES[3]!);
  }
}

/** Murmur3's finaliser: every bit of the result depends on every bit of `value`. */
export function mix32(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

function reset(): void {
  LANES[0] = 0x9e3779b9;
  LANES[1] = 0x85ebca6b;
  LANES[2] = 0xc2b2ae35;
  LANES[3] = 0x27d4eb2f;
}

function absorb(part: string): void {
  absorbUnits(part);
  close(part.length);
}

function absorbUnits(part: string): void {
  let a = LANES[0]!;
  let b = LANES[1]!;
  let c = LANES[2]!;
  let d = LANES[3]!;
  for (let i = 0; i < part.length; i++) {
    const unit = part.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul((b ^ unit) + (a >>> 15), 0xcc9e2d51);
    c = Math.imul(c ^ (unit + (b >>> 13)), 0x1b873593);
    d = (Math.imul(d, 0xe6546b65 | 1) ^ (unit + (c >>> 16))) | 0;
  }
  LANES[0] = a;
  LANES[1] = b;
  LANES[2] = c;
  LANES[3] = d;
}

function absorbUnit(unit: number): void {
  LANES[0] = Math.imul(LANES[0]! ^ unit, 0x01000193);
  LANES[1] = Math.imul((LANES[1]! ^ unit) + (LANES[0]! >>> 15), 0xcc9e2d51);
  LANES[2] = Math.imul(LANES[2]! ^ (unit + (LANES[1]! >>> 13)), 0x1b873593);
  LANES[3] = Math.imul(LANES[3]!, 0xe6546b65 | 1) ^ (unit + (LANES[2]! >>> 16));
}

/** Ends a part of so many units. */
function close(length: number): void {
  const end = length + 0x10000;
  const a = mix32(LANES[0]! ^ end);
  const b = mix32(LANES[1]! + a + end);
  const c = mix32(LANES[2]! ^ b ^ end);
  LANES[3] = mix32(LANES[3]! + c + end);
  LANES[2] = c;
  LANES[1] = b;
  LANES[0] = a;
}

/** A last round lets every lane see every other.
 *  @returns the first lane */
function finish(): number {
  const a = mix32(LANES[0]! + LANES[3]!);
  const b = mix32(LANES[1]! + a);
  const c = mix32(LANES[2]! + b);
  LANES[3] = mix32(LANES[3]! + c);
  LANES[2] = c;
  LANES[1] = b;
  LANES[0] = a;
  return a;
}

/** The lanes as 32 digits in one flat string: pieces put together would be flattened once more by
 *  the first Map that they are a key of, which made a key twice as dear. */
function hexDigits(): string {
  const a = LANES[0]!;
  const b = LANES[1]!;
  const c = LANES[2]!;
  const d = LANES[3]!;
  // biome-ignore format: a table of 4 x 8 digits
  return String.fromCharCode(
    digit(a >>> 28), digit(a >>> 24), digit(a >>> 20), digit(a >>> 16), digit(a >>> 12), digit(a >>> 8), digit(a >>> 4), digit(a),
    digit(b >>> 28), digit(b >>> 24), digit(b >>> 20), digit(b >>> 16), digit(b >>> 12), digit(b >>> 8), digit(b >>> 4), digit(b),
    digit(c >>> 28), digit(c >>> 24), digit(c >>> 20), digit(c >>> 16), digit(c >>> 12), digit(c >>> 8), digit(c >>> 4), digit(c),
    digit(d >>> 28), digit(d >>> 24), digit(d >>> 20), digit(d >>> 16), digit(d >>> 12), digit(d >>> 8), digit(d >>> 4), digit(d),
  );
}

/** Character code of the lowest four bits as a hex digit. */
function digit(value: number): number {
  const low = value & 15;
  return low + (low < 10 ? 48 : 87);
}
