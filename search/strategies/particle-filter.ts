import { z } from 'zod';
import { logit } from '../aggregate.js';
import type { SearchContext } from '../context.js';
import { isOpen, nextSteps, type PartialPath, ROOT_PATH, scorePaths } from '../expand.js';
import { contentHash } from '../rng.js';
import { aggregationShape, maxStepsField, nField, selectionField } from './options.js';
import { conclude, type Draft, type Strategy } from './result.js';
import { toDraft } from './step-beam.js';

export const particleFilterOptions = z.strictObject({
  n: nField,
  resampleBelow: z
    .number()
    .min(0)
    .max(1)
    .default(1)
    .describe(
      'resample only while the effective sample size is below this share of n; 1 every round, 0 never',
    ),
  weightTemperature: z
    .number()
    .gt(0)
    .default(1)
    .describe('log-odds are divided by it before resampling; high lets more paths survive'),
  weighting: z
    .enum(['score', 'gain'])
    .default('score')
    .describe(
      "a path's weight: the odds of its score, or these over its odds when it was last resampled, so that no step counts twice",
    ),
  ...aggregationShape('last'),
  maxSteps: maxStepsField,
  ...selectionField('vanilla'),
});

/** A path and its weight's logarithm. */
interface Particle {
  readonly path: PartialPath;
  readonly logWeight: number;
  readonly copied: boolean;
}

interface LiveParticle extends Particle {
  /** Log-odds of the path's score; -Infinity for one that can't go on. */
  readonly logOdds: number;
  /** Of them, what an earlier resampling has already acted on. */
  readonly paid: number;
}

/** Particle filtering (Puri et al. 2025, arXiv 2502.01618): `n` paths take one step
 *  each, are weighted by the odds of their score and resampled by softmax of the log-odds, so that
 *  uncertain paths survive in proportion instead of being cut. Finished paths keep their weight and
 *  take part. Resampling is systematic (one random number a round): the same expectation as the
 *  paper's multinomial draw with less variance. A path that can't go on has no weight.
 *
 *  The paper resamples every round by the whole score. Where early scores say little that only
 *  loses paths: `resampleBelow` waits until the weights differ (effective sample size, Liu and Chen
 *  1998), and `weighting: gain` lets the weights of a path multiply to its last score, as in
 *  twisted sequential Monte Carlo (Feng et al., arXiv 2410.01920). */
export const particleFilter: Strategy<z.infer<typeof particleFilterOptions>> = async (
  _problem,
  context,
  options,
) => {
  const random = context.random('particle-filter');
  let particles: LiveParticle[] = Array.from({ length: options.n }, () => {
    return { path: ROOT_PATH, logWeight: 0, copied: false, logOdds: 0, paid: 0 };
  });
  let resamplings = 0;
  let stopped: string | null = null;
  while (particles.some(({ path }) => isOpen(path))) {
    stopped = context.exhausted();
    if (stopped) break;
    const moved = await moveParticles(context, particles, options);
    // The last round's particles are the result; resampling them would only lose some.
    const goesOn = moved.some(({ path }) => isOpen(path));
    if (goesOn && isDegenerate(moved, options.resampleBelow)) {
      particles = resample(moved, random()).map((taken) => ({ ...taken, paid: taken.logOdds }));
      resamplings++;
    } else particles = moved;
  }
  const result = await conclude(context, {
    strategy: 'particle-filter',
    drafts: particles.flatMap(({ path, copied }) =>
      toDraft(path).map((draft): Draft => (copied ? { ...draft, origin: 'resampled' } : draft)),
    ),
    selection: options.selection,
    scoring: options,
    stopped: stopped ?? 'done',
  });
  return { ...result, details: { resamplings } };
};

/** One step for each open particle, and new weights for all; equal paths share a call. */
async function moveParticles(
  context: SearchContext,
  particles: readonly LiveParticle[],
  options: z.infer<typeof particleFilterOptions>,
): Promise<LiveParticle[]> {
  const calls = new Map<string, number[]>();
  particles.forEach(({ path }, i) => {
    if (!isOpen(path)) return;
    const key = contentHash(path.steps);
    calls.set(key, [...(calls.get(key) ?? []), i]);
  });
  const members = [...calls.values()];
  const pathOf = (i: number | undefined) => particles[i ?? 0]?.path ?? ROOT_PATH;
  const wishes = members.map((own) => ({ path: pathOf(own[0]), n: own.length }));
  const children = await nextSteps(context, wishes, options.maxSteps);
  const paths = particles.map(({ path }) => path);
  members.forEach((own, call) => {
    own.forEach((i, at) => {
      paths[i] = children[call]?.[at] ?? { ...pathOf(i), finish: 'stuck' };
    });
  });
  const scored = await scorePaths(context, paths, options);
  return scored.map(({ score, rank: _, ...path }, i) => {
    const paid = options.weighting === 'gain' ? (particles[i]?.paid ?? 0) : 0;
    const logOdds = score >= 0 ? logit(score) : score;
    const logWeight = (logOdds - paid) / options.weightTemperature;
    return { path, logWeight, copied: false, logOdds, paid };
  });
}

/** Whether the effective sample size, (sum w)^2 / sum w^2, is below that share of all particles. */
function isDegenerate(particles: readonly Particle[], share: number): boolean {
  return share >= 1 || effectiveSampleSize(particles) < share * particles.length;
}

/** @returns between 1, where one particle has all the weight, and their number, where all weigh
 *  the same */
export function effectiveSampleSize(particles: readonly Particle[]): number {
  const weights = relativeWeights(particles);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return sum ** 2 / weights.reduce((total, weight) => total + weight ** 2, 0);
}

/** Weights over the greatest one. */
function relativeWeights(particles: readonly Particle[]): number[] {
  const top = Math.max(...particles.map(({ logWeight }) => logWeight));
  return particles.map(({ logWeight }) => Math.exp(logWeight - top));
}

/** Particles of the same path side by side, paths in order of their first. Where copies of two paths
 *  alternate, equally spaced points can miss every copy of one of them. */
function equalsTogether<P extends Particle>(particles: readonly P[]): readonly P[] {
  const groups = new Map<string, P[]>();
  for (const particle of particles) {
    const key = contentHash(particle.path.steps);
    const group = groups.get(key);
    if (group) group.push(particle);
    else groups.set(key, [particle]);
  }
  return [...groups.values()].flat();
}

/** Systematic resampling: `n` equally spaced points, shifted by `offset`, on the cumulative
 *  weights. A path whose particles have share s together is taken floor(n s) or ceil(n s) times.
 *  @param offset uniform in [0, 1) */
export function resample<P extends Particle>(given: readonly P[], offset: number): P[] {
  const particles = equalsTogether(given);
  const weights = relativeWeights(particles);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const taken: P[] = [];
  let cumulated = 0;
  particles.forEach((particle, i) => {
    cumulated += weights[i] ?? 0;
    const until = (cumulated / total) * particles.length;
    for (let copies = 0; taken.length + offset < until - 1e-12; copies++) {
      if (taken.length === particles.length) break;
      taken.push({ ...particle, copied: copies > 0 });
    }
  });
  return taken;
}
