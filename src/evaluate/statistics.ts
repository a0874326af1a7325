import { createRandom } from '../../search/rng.js';

export interface Estimate {
  readonly mean: number;
  /** 95 % percentile bootstrap over problems. */
  readonly low: number;
  readonly high: number;
}

/** Resamples; the ends of the interval move by less than a tenth of its width from seed to seed. */
const RESAMPLES = 2000;

/** Mean of one value per problem with its bootstrap interval (Efron 1979). Seeds of one problem
 *  should be averaged before: problems, not runs, are what is drawn at random.
 *  @returns NaN throughout for no values */
export function bootstrapMean(values: readonly number[], seed = 'bootstrap'): Estimate {
  const random = createRandom(`${seed} ${values.length}`);
  const means = Array.from({ length: RESAMPLES }, () => {
    let sum = 0;
    for (let i = 0; i < values.length; i++) {
      sum += values[Math.floor(random() * values.length)] ?? 0;
    }
    return sum / values.length;
  }).sort((a, b) => a - b);
  const at = (share: number) => means[Math.round(share * (RESAMPLES - 1))] ?? Number.NaN;
  return { mean: average(values), low: at(0.025), high: at(0.975) };
}

/** Any statistic of whole problems with its bootstrap interval; for ratios, roots and comparisons,
 *  which are no means of one value per problem.
 *  @param problems what is drawn at random, with replacement
 *  @param statistic of the drawn ones, some of them several times
 *  @returns NaN throughout for no problems */
export function bootstrapStatistic<T>(
  problems: readonly T[],
  statistic: (drawn: readonly T[]) => number,
  seed = 'bootstrap',
): Estimate {
  const random = createRandom(`${seed} ${problems.length}`);
  const values = Array.from({ length: RESAMPLES }, () =>
    statistic(problems.map(() => problems[Math.floor(random() * problems.length)] as T)),
  ).sort((a, b) => a - b);
  const at = (share: number) => values[Math.round(share * (RESAMPLES - 1))] ?? Number.NaN;
  return { mean: statistic(problems), low: at(0.025), high: at(0.975) };
}

/** Difference a - b of paired values, problem by problem: what both find hard cancels out. */
export function pairedDifference(a: readonly number[], b: readonly number[]): Estimate {
  return bootstrapMean(a.map((value, i) => value - (b[i] ?? Number.NaN)));
}

export function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
