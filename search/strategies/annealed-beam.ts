import { z } from 'zod';
import {
  aggregationShape,
  count,
  lookaheadField,
  maxStepsField,
  nField,
  selectionField,
} from './options.js';
import { conclude, type Strategy } from './result.js';
import { growBeam } from './step-beam.js';

export const annealedBeamOptions = z.strictObject({
  n: nField,
  branch: count
    .default(2)
    .describe('next steps sampled per path; the first beam holds n / branch paths'),
  schedule: z
    .enum(['linear', 'geometric'])
    .default('linear')
    .describe('how the beam narrows: by --beam-decrement per step, or by the factor --beam-decay'),
  beamDecrement: z.number().min(0).default(1).describe('linear: paths fewer after each step'),
  beamDecay: z.number().gt(0).max(1).default(0.7).describe('geometric: factor per step'),
  minBeam: count.default(1).describe('the beam never gets narrower than this'),
  ...aggregationShape('mean'),
  lookahead: lookaheadField,
  maxSteps: maxStepsField,
  ...selectionField('vanilla'),
});

type AnnealedBeamOptions = z.infer<typeof annealedBeamOptions>;

/** Beam-annealing search (PRM-BAS, arXiv 2504.10222): wide at first, where scores say little, and
 *  narrower with each step. The paper's exact schedule was not at hand; ours is
 *  b_t = max(b_min, b_0 - k t), or b_0 r^t rounded, with b_0 = n / branch. */
export const annealedBeam: Strategy<AnnealedBeamOptions> = async (_problem, context, options) => {
  const grown = await growBeam(context, {
    ...options,
    survivors: (round) => beamWidthAt(round, options),
    // The first step starts from the question alone and fills the whole beam.
    samples: (round, paths, room) => (round === 0 ? room : paths * options.branch),
  });
  return conclude(context, {
    ...grown,
    strategy: 'annealed-beam',
    selection: options.selection,
    scoring: options,
  });
};

/** Paths kept after step `round`, 0 being the first. */
export function beamWidthAt(round: number, options: AnnealedBeamOptions): number {
  const first = Math.ceil(options.n / options.branch);
  const width =
    options.schedule === 'linear'
      ? first - options.beamDecrement * round
      : Math.round(first * options.beamDecay ** round);
  return Math.max(options.minBeam, Math.ceil(width));
}
