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

/** Particle filtering (Puri et al. 2025, arXiv 2502.01618): `n` paths take one step
 *  each, are weighted by the odds of their score and resampled by softmax of the log-odds, so that
 *  uncertain paths survive in proportion instead of being cut. Finished paths keep their weight and
 *  take part. Resampling is systematic (one random number a round): the same expectation as the
 *  paper's multinomial draw with less variance. A path that can't go on has no weight. */
export const particleFilter: Strategy<z.infer<typeof particleFilterOptions>> = async (
  _problem,
  context,
  options,
) => {
  const random = context.random('particle-filter');
  let particles: Particle[] = Array.from({ length: options.n }, () => {
    return { path: ROOT_PATH, logWeight: 0, copied: false };
  });
  let stopped: string | null = null;
  while (particles.some(({ path }) => isOpen(path))) {
    stopped = context.exhausted();
    if (stopped) break;
    const moved = await moveParticles(context, particles, options);
    // The last round's particles are the result; resampling them would only lose some.
    particles = moved.some(({ path }) => isOpen(path)) ? resample(moved, random()) : moved;
  }
  return conclude(context, {
    strategy: 'particle-filter',
    drafts: particles.flatMap(({ path, copied }) =>
      toDraft(path).map((draft): Draft => (copied ? { ...draft, origin: 'resampled' } : draft)),
    ),
    selection: options.selection,
    scoring: options,
    stopped: stopped ?? 'done',
  });
};

/** One step for each open particle, and new weights for all; equal paths share a call. */
async function moveParticles(
  context: SearchContext,
  particles: readonly Particle[],
  options: z.infer<typeof particleFilterOptions>,
): Promise<Particle[]> {
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
  return scored.map(({ score, ...path }) => {
    return { path, logWeight: score >= 0 ? logit(score) : score, copied: false };
  });
}

/** Systematic resampling: `n` equally spaced points, shifted by `offset`, on the cumulative
 *  weights. A particle of share s is taken floor(n s) or ceil(n s) times.
 *  @param offset uniform in [0, 1) */
export function resample(particles: readonly Particle[], offset: number): Particle[] {
  const top = Math.max(...particles.map(({ logWeight }) => logWeight));
  const weights = particles.map(({ logWeight }) => Math.exp(logWeight - top));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const taken: Particle[] = [];
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
