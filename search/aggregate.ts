import { z } from 'zod';
import type { PathScores } from './types.js';

/** Names of the aggregations, as options spell them. */
export const AGGREGATIONS = [
  'min',
  'last',
  'product',
  'mean',
  'max',
  'sumLog',
  'sumLogit',
  'meanOdds',
  'sigmoidMeanLogit',
] as const;

export type AggregationName = (typeof AGGREGATIONS)[number];

/** How step scores become one path score. */
export interface Aggregation {
  readonly aggregation: AggregationName;
  /** Only the last so many steps count; 0 counts all. */
  readonly window: number;
}

export const aggregationOptions = z.strictObject({
  aggregation: z
    .enum(AGGREGATIONS)
    .default('mean')
    .describe('how step scores become one path score'),
  window: z.int().min(0).default(0).describe('aggregate only the last so many steps; 0 is all'),
});

/** One score of a path from its step scores p, in the scale of the aggregation:
 *
 *      min (Math-Shepherd, arXiv 2312.08935), last, product (Lightman et al., arXiv 2305.20050),
 *      mean (VisualPRM, arXiv 2503.10291), max       in [0, 1]
 *      sumLog      sum of ln p                       at most 0; ranks as the product does
 *      sumLogit    sum of ln(p / (1 - p))            any number
 *      meanOdds    mean of p / (1 - p)               at least 0
 *      sigmoidMeanLogit   1 / (1 + e^-mean logit)    in [0, 1]; DreamPRM, arXiv 2505.20241
 *
 *  Logarithms and odds clip p to [1e-7, 1 - 1e-7], so one score of 0 or 1 outweighs the others but
 *  never gives an infinity.
 *  @param scores step scores in [0, 1]
 *  @returns null for no scores or one that is no number: such a path is unscored and never wins.
 *  (The sum over no steps would be 0, the best value that sumLog can have.) */
export function aggregate(scores: readonly number[], by: Aggregation): number | null {
  const counted = by.window > 0 ? scores.slice(-by.window) : scores;
  if (counted.length === 0 || !counted.every(Number.isFinite)) return null;
  return FORMULAS[by.aggregation](counted);
}

/** The path score: the outcome score where the reward model gives one, else the aggregate. */
export function pathScore(scores: PathScores, by: Aggregation): number | null {
  if (scores.outcome !== undefined) {
    return Number.isFinite(scores.outcome) ? scores.outcome : null;
  }
  return aggregate(scores.steps, by);
}

/** A path score mapped to [0, 1] by a monotone function, for votes and searches: weights must not
 *  be negative, and a sum of logarithms always is. sumLog becomes the product, sumLogit its
 *  sigmoid, odds o become o / (1 + o); the others are there already. */
export function unitScore(scores: PathScores, by: Aggregation): number | null {
  const score = pathScore(scores, by);
  if (score === null || scores.outcome !== undefined) return score;
  if (by.aggregation === 'sumLog') return Math.exp(score);
  if (by.aggregation === 'sumLogit') return sigmoid(score);
  if (by.aggregation === 'meanOdds') return score / (1 + score);
  return score;
}

/** ln(p / (1 - p)) with p clipped to [1e-7, 1 - 1e-7]. */
export function logit(p: number): number {
  const clipped = clip(p);
  return Math.log(clipped / (1 - clipped));
}

const FORMULAS: Record<AggregationName, (p: readonly number[]) => number> = {
  min: (p) => Math.min(...p),
  last: (p) => p.at(-1) ?? Number.NaN,
  product: (p) => p.reduce((product, x) => product * x, 1),
  mean: (p) => mean(p),
  max: (p) => Math.max(...p),
  sumLog: (p) => sum(p.map((x) => Math.log(clip(x)))),
  sumLogit: (p) => sum(p.map(logit)),
  meanOdds: (p) => mean(p.map((x) => clip(x) / (1 - clip(x)))),
  sigmoidMeanLogit: (p) => sigmoid(mean(p.map(logit))),
};

function clip(p: number): number {
  return Math.min(1 - CLIP, Math.max(CLIP, p));
}

const CLIP = 1e-7;

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}
