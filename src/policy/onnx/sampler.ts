import type { SamplingOptions } from '../../../search/types.js';

/** One sampled token and its log-probability (nats) under the model's own distribution, before
 *  temperature and filters. */
export interface SampledToken {
  readonly token: number;
  readonly logprob: number;
}

/** Draws tokens from logits. Holds scratch space for one vocabulary, so one per thread is enough;
 *  nothing is kept between calls, and a draw depends on its arguments alone. */
export class Sampler {
  private readonly scaled: Float32Array;
  private readonly weights: Float64Array;

  /** @param vocabSize number of logits per row */
  constructor(private readonly vocabSize: number) {
    this.scaled = new Float32Array(vocabSize);
    this.weights = new Float64Array(vocabSize);
  }

  /** The next token. Filters apply in the order of vLLM: repetition penalty, temperature, then
   *  min-p, top-k and top-p on the scaled distribution. Ties go to the smaller token id.
   *  @param logits rows of vocabSize values, read at [offset, offset + vocabSize)
   *  @param seen 1 for every token of the prompt and the text so far; read only with a penalty
   *  @param uniform in [0, 1) */
  sample(
    logits: Float32Array,
    offset: number,
    options: SamplingOptions,
    seen: Uint8Array | null,
    uniform: number,
  ): SampledToken {
    const row = logits.subarray(offset, offset + this.vocabSize);
    const best = argmax(row);
    const logSum = logSumExp(row, row[best] ?? 0, this.weights);
    const penalised =
      options.repetitionPenalty !== 1 && seen !== null
        ? this.penalise(row, seen, options.repetitionPenalty)
        : row;
    const token = this.pick(
      penalised,
      row === penalised ? best : argmax(penalised),
      options,
      uniform,
    );
    return { token, logprob: (row[token] ?? 0) - logSum };
  }

  private pick(row: Float32Array, best: number, options: SamplingOptions, uniform: number): number {
    if (options.temperature === 0) return best;
    const { weights } = this;
    const top = row[best] ?? 0;
    // At temperature 1 without a penalty logSumExp has left these very weights here.
    if (options.temperature !== 1 || row === this.scaled) {
      const inverse = 1 / options.temperature;
      for (let id = 0; id < row.length; id++) {
        weights[id] = expOfDrop((top - (row[id] ?? 0)) * inverse);
      }
    }
    filterWeights(weights, options);
    return draw(weights, uniform, best);
  }

  private penalise(row: Float32Array, seen: Uint8Array, penalty: number): Float32Array {
    const { scaled } = this;
    for (let id = 0; id < row.length; id++) {
      const logit = row[id] ?? 0;
      scaled[id] = seen[id] === 1 ? (logit > 0 ? logit / penalty : logit * penalty) : logit;
    }
    return scaled;
  }
}

function argmax(row: Float32Array): number {
  let best = 0;
  let top = row[0] ?? 0;
  for (let id = 1; id < row.length; id++) {
    const logit = row[id] ?? 0;
    if (logit > top) {
      top = logit;
      best = id;
    }
  }
  return best;
}

/** ln Σ exp(row); leaves exp(row - top) in `weights`. */
function logSumExp(row: Float32Array, top: number, weights: Float64Array): number {
  let sum = 0;
  for (let id = 0; id < row.length; id++) {
    const weight = expOfDrop(top - (row[id] ?? 0));
    weights[id] = weight;
    sum += weight;
  }
  return top + Math.log(sum);
}

/** Steps per halving and number of halvings in the table of `expOfDrop`. */
const STEPS = 16;
const HALVINGS = 64;
const POWERS = Float64Array.from({ length: STEPS * HALVINGS + 1 }, (_, k) => 2 ** (-k / STEPS));

/** e^-drop for drop >= 0, to 1e-8 of its value, and 0 below 2^-64. A vocabulary of these is most of
 *  what sampling costs, and Math.exp takes several times as long. */
export function expOfDrop(drop: number): number {
  const steps = drop * (STEPS * Math.LOG2E);
  if (!(steps < STEPS * HALVINGS)) return 0;
  const nearest = (steps + 0.5) | 0;
  const rest = (nearest - steps) * (Math.LN2 / STEPS);
  // |rest| <= ln 2 / 32, so the next term of the series is below 1e-8.
  return (POWERS[nearest] ?? 0) * (1 + rest * (1 + rest * (0.5 + rest * (1 / 6))));
}

/** Zeroes the weights that min-p, top-k and top-p exclude. The largest weight is 1. */
function filterWeights(weights: Float64Array, options: SamplingOptions): void {
  if (options.minP > 0) {
    for (let id = 0; id < weights.length; id++) {
      if ((weights[id] ?? 0) < options.minP) weights[id] = 0;
    }
  }
  const topK = options.topK > 0 ? options.topK : weights.length;
  if (topK >= weights.length && options.topP >= 1) return;
  const order = heaviestFirst(weights);
  const kept = Math.min(topK, order.length);
  let sum = 0;
  for (let rank = 0; rank < kept; rank++) sum += weights[order[rank] ?? 0] ?? 0;
  let reached = 0;
  let rank = 0;
  // The token that crosses topP is still in, so at least one token stays.
  while (rank < kept && (rank === 0 || reached < options.topP * sum)) {
    reached += weights[order[rank] ?? 0] ?? 0;
    rank += 1;
  }
  for (; rank < order.length; rank++) weights[order[rank] ?? 0] = 0;
}

function heaviestFirst(weights: Float64Array): number[] {
  const ids: number[] = [];
  for (let id = 0; id < weights.length; id++) {
    // exp of less than -40 against the top can't change a cumulative sum that matters.
    if ((weights[id] ?? 0) > 1e-17) ids.push(id);
    else weights[id] = 0;
  }
  return ids.sort((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0) || a - b);
}

function draw(weights: Float64Array, uniform: number, fallback: number): number {
  let sum = 0;
  for (let id = 0; id < weights.length; id++) sum += weights[id] ?? 0;
  let left = uniform * sum;
  for (let id = 0; id < weights.length; id++) {
    const weight = weights[id] ?? 0;
    if (weight > 0 && left < weight) return id;
    left -= weight;
  }
  // Rounding can leave a crumb after the last weight.
  return fallback;
}

/** A number in [0, 1) that depends on nothing but the seed and the position of the token, so that
 *  neither neighbours in a batch nor the order of draws can change it. 53 bits from two rounds of
 *  the murmur3 finaliser.
 *  @param seed integer in [0, 2^31)
 *  @param position index of the generated token */
export function uniformAt(seed: number, position: number): number {
  const high = mix(mix(seed ^ 0x9e3779b9) ^ Math.imul(position + 1, 0x85ebca6b));
  const low = mix(high ^ mix(seed + Math.imul(position, 0x27d4eb2f)));
  return ((high >>> 5) * 67108864 + (low >>> 6)) / 9007199254740992;
}

function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
