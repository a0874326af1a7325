/** The twin of the addon's kernels: what they compute, in TypeScript.
 *
 *  Filters come in the order of vLLM: repetition penalty, temperature, then min-p, top-k and top-p on
 *  the scaled distribution. Their weights are whole numbers in units of 2^-30 of the heaviest token's
 *  (native/weights.ts), so no sum depends on its order, and any way to find the same tokens is right.
 *  A token below 2^-31 of the heaviest is never drawn. Of equals, the smaller id counts as heavier.
 *  - min-p keeps weights of at least minP · 2^30;
 *  - top-k keeps the k heaviest of these;
 *  - top-p keeps the fewest heaviest of these whose sum reaches topP · (sum of these), at least one;
 *  - drawn is the first id at which the sum of what is kept, in order of ids, exceeds uniform · (sum of
 *    what is kept).
 *  Temperature 0 takes the largest logit.
 *
 *  Log-probabilities are those of the logits as they came, before temperature and filters. Their
 *  normaliser is a sum of rounded numbers, so its order is part of the rule: 32 neighbouring weights
 *  become 8 float32 sums, (w[l] + w[l+8]) + (w[l+16] + w[l+24]), and those are added to 8 doubles. */
import { type Cut, cutByCount, cutByMass } from './cut.js';
import type { DrawRequest, GatherRequest, Kernels } from './kernels.js';
import { SETTINGS } from './kernels.js';
import { MODEL_STEPS, UNIT, weightOf, wholeWeight } from './weights.js';

const GROUP = 32;
/** Tokens that are weighed together; whole groups. */
const CHUNK = 1024;

export const typescriptKernels: Kernels = { name: 'typescript', sample, gather };

const chunk = new Float32Array(CHUNK);
const lanes = new Float64Array(8);
let chunkSums = new Float64Array(0);
let penalised = new Float32Array(0);
let ids = new Int32Array(0);
let weights = new Int32Array(0);

function sample(request: DrawRequest, tokens: Int32Array, logprobs: Float64Array): number {
  const { logits, vocab, settings } = request;
  for (let row = 0; row < request.rows; row++) {
    const raw = logits.subarray(row * vocab, (row + 1) * vocab);
    const own = settings.subarray(row * SETTINGS, (row + 1) * SETTINGS);
    const seen = own[4] === 1 ? null : (request.seen[row] ?? null);
    const best = largest(raw);
    if (best < 0) return row;
    const scored = seen === null ? raw : penalise(raw, seen, own[4] ?? 1);
    const first = scored === raw ? best : largest(scored);
    if (first < 0) return row;
    const token = draw(raw, best, scored, first, own);
    tokens[row] = token;
    logprobs[row] = logprob(raw, best, token);
  }
  return -1;
}

function gather(request: GatherRequest, logprobs: Float64Array): number {
  const { logits, vocab, rows, picks } = request;
  const width = picks.length / rows;
  for (let row = 0; row < rows; row++) {
    const raw = logits.subarray(row * vocab, (row + 1) * vocab);
    const best = largest(raw);
    if (best < 0) return row;
    addModelWeights(raw, raw[best] ?? 0, null);
    for (let at = row * width; at < (row + 1) * width; at++) {
      logprobs[at] = logprob(raw, best, picks[at] ?? 0);
    }
  }
  return -1;
}

/** Index of the first largest logit; -1 if it is not finite, or a logit is NaN. */
function largest(row: Float32Array): number {
  let best = -1;
  let top = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < row.length; id++) {
    const logit = row[id] ?? 0;
    if (logit <= top) continue;
    if (Number.isNaN(logit)) return -1;
    top = logit;
    best = id;
  }
  return Number.isFinite(top) ? best : -1;
}

function penalise(row: Float32Array, seen: Uint8Array, penalty: number): Float32Array {
  if (penalised.length < row.length) penalised = new Float32Array(row.length);
  const scaled = penalised.subarray(0, row.length);
  for (let id = 0; id < row.length; id++) {
    const logit = row[id] ?? 0;
    scaled[id] = seen[id] === 1 ? (logit > 0 ? logit / penalty : logit * penalty) : logit;
  }
  return scaled;
}

/** The token of one row; leaves the model's weights in the lanes. */
function draw(
  raw: Float32Array,
  best: number,
  row: Float32Array,
  first: number,
  settings: Float64Array,
): number {
  const steps = settings[0] ?? 0;
  const topK = settings[1] ?? 0;
  const topP = settings[2] ?? 1;
  const minWeight = settings[3] ?? 0;
  const uniform = settings[5] ?? 0;
  const top = row[first] ?? 0;
  const rawTop = raw[best] ?? 0;
  const countCut = topK > 0 && topK < row.length;
  if (steps !== 0 && !countCut && minWeight <= 1 && topP >= 1) {
    return drawFromAll(raw, rawTop, row, top, steps, uniform) ?? first;
  }
  addModelWeights(raw, rawTop, null);
  if (steps === 0) return first;
  let count = collect(row, top, steps, Math.max(minWeight, 1), countCut ? topK : 0);
  if (countCut && topK < count) count = keep(count, cutByCount(weights.subarray(0, count), topK));
  if (topP < 1) {
    const list = weights.subarray(0, count);
    count = keep(count, cutByMass(list, topP * total(list)));
  }
  return drawFromList(count, uniform) ?? first;
}

/** Without filters no list is needed: sums of chunks lead to the chunk of the token. */
function drawFromAll(
  raw: Float32Array,
  rawTop: number,
  row: Float32Array,
  top: number,
  steps: number,
  uniform: number,
): number | undefined {
  const chunks = Math.ceil(row.length / CHUNK);
  if (chunkSums.length < chunks) chunkSums = new Float64Array(chunks);
  const shared = row === raw && steps === MODEL_STEPS;
  addModelWeights(raw, rawTop, shared ? chunkSums : null);
  let sum = 0;
  for (let at = 0; at < chunks; at++) {
    if (!shared) chunkSums[at] = wholeSum(weigh(row, at * CHUNK, top, steps));
    sum += chunkSums[at] ?? 0;
  }
  const target = uniform * sum;
  let passed = 0;
  for (let at = 0; at < chunks; at++) {
    const next = passed + (chunkSums[at] ?? 0);
    if (next > target) {
      const size = weigh(row, at * CHUNK, top, steps);
      for (let i = 0; i < size; i++) {
        passed += wholeWeight(chunk[i] ?? 0);
        if (passed > target) return at * CHUNK + i;
      }
    }
    passed = next;
  }
  return undefined;
}

/** Writes the weights of a chunk's tokens to `chunk` and says how many they are. */
function weigh(row: Float32Array, start: number, top: number, steps: number): number {
  const size = Math.min(CHUNK, row.length - start);
  for (let i = 0; i < size; i++) chunk[i] = weightOf(row[start + i] ?? 0, top, steps);
  return size;
}

function wholeSum(size: number): number {
  let sum = 0;
  for (let i = 0; i < size; i++) sum += wholeWeight(chunk[i] ?? 0);
  return sum;
}

/** Sums the weights under the model's own distribution into the lanes.
 *  @param sums gets the sum of each chunk's whole weights */
function addModelWeights(row: Float32Array, top: number, sums: Float64Array | null): void {
  lanes.fill(0);
  for (let start = 0; start < row.length; start += CHUNK) {
    const size = weigh(row, start, top, MODEL_STEPS);
    const end = Math.ceil(size / GROUP) * GROUP;
    chunk.fill(0, size, end);
    for (let group = 0; group < end; group += GROUP) addGroup(group);
    if (sums !== null) sums[start / CHUNK] = wholeSum(size);
  }
}

function addGroup(group: number): void {
  for (let lane = 0; lane < 8; lane++) {
    const at = group + lane;
    const front = Math.fround((chunk[at] ?? 0) + (chunk[at + 8] ?? 0));
    const back = Math.fround((chunk[at + 16] ?? 0) + (chunk[at + 24] ?? 0));
    lanes[lane] = (lanes[lane] ?? 0) + Math.fround(front + back);
  }
}

function logprob(raw: Float32Array, best: number, token: number): number {
  const sum = lane(0) + lane(4) + (lane(2) + lane(6)) + (lane(1) + lane(5) + (lane(3) + lane(7)));
  return (raw[token] ?? 0) - (raw[best] ?? 0) - Math.log(sum / UNIT);
}

function lane(index: number): number {
  return lanes[index] ?? 0;
}

/** Lists ids and whole weights of at least `least` in order of ids, all `topK` heaviest among them
 *  (0: all tokens). */
function collect(
  row: Float32Array,
  top: number,
  steps: number,
  least: number,
  topK: number,
): number {
  if (ids.length < row.length) {
    ids = new Int32Array(row.length);
    weights = new Int32Array(row.length);
  }
  let floor = Math.ceil(least);
  if (topK > 0 && topK <= MAX_HEAP) {
    floor = Math.max(floor, wholeWeight(weightOf(kthLargest(row, topK), top, steps)));
  }
  // Logits far below the floor need no exponential: a halving less than the floor is far.
  const reach = floor > 1 ? (Math.log2(UNIT / floor) + 1) * 65536 : Number.POSITIVE_INFINITY;
  const lowest = top - reach / steps;
  let count = 0;
  for (let id = 0; id < row.length; id++) {
    const logit = row[id] ?? 0;
    if (logit < lowest) continue;
    const weight = wholeWeight(weightOf(logit, top, steps));
    ids[count] = id;
    weights[count] = weight;
    // Without a branch, which nobody could predict: 1 unless the difference is negative.
    count += 1 - ((weight - floor) >>> 31);
  }
  return count;
}

/** Beyond it a heap of the k largest logits costs more than a list of all tokens. */
const MAX_HEAP = 1024;
const heap = new Float32Array(MAX_HEAP);

/** The k-th largest logit, by a heap of k with the smallest on top. */
function kthLargest(row: Float32Array, k: number): number {
  heap.fill(Number.NEGATIVE_INFINITY, 0, k);
  for (let id = 0; id < row.length; id++) {
    const logit = row[id] ?? 0;
    if (logit > (heap[0] ?? 0)) replaceSmallest(logit, k);
  }
  return heap[0] ?? 0;
}

function replaceSmallest(logit: number, k: number): void {
  let hole = 0;
  for (;;) {
    let child = 2 * hole + 1;
    if (child >= k) break;
    if (child + 1 < k && (heap[child + 1] ?? 0) < (heap[child] ?? 0)) child += 1;
    const smaller = heap[child] ?? 0;
    if (logit <= smaller) break;
    heap[hole] = smaller;
    hole = child;
  }
  heap[hole] = logit;
}

function total(list: Int32Array): number {
  let sum = 0;
  for (let i = 0; i < list.length; i++) sum += list[i] ?? 0;
  return sum;
}

/** Drops from the list what the cut leaves out and says how many stay. */
function keep(count: number, cut: Cut): number {
  let ties = cut.ties;
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const weight = weights[i] ?? 0;
    if (weight < cut.weight) continue;
    if (weight === cut.weight) {
      if (ties === 0) continue;
      ties -= 1;
    }
    ids[kept] = ids[i] ?? 0;
    weights[kept] = weight;
    kept += 1;
  }
  return kept;
}

function drawFromList(count: number, uniform: number): number | undefined {
  const target = uniform * total(weights.subarray(0, count));
  let passed = 0;
  for (let i = 0; i < count; i++) {
    passed += weights[i] ?? 0;
    if (passed > target) return ids[i];
  }
  return undefined;
}
