import { z } from 'zod';
import {
  aggregationShape,
  beamWidthField,
  beamWidthFor,
  lookaheadField,
  maxStepsField,
  nField,
  selectionField,
} from './options.js';
import { conclude, type Strategy } from './result.js';
import { growBeam } from './step-beam.js';

export const beamOptions = z.strictObject({
  n: nField,
  beamWidth: beamWidthField,
  ...aggregationShape('last'),
  lookahead: lookaheadField,
  maxSteps: maxStepsField,
  ...selectionField('vanilla'),
});

/** Beam search over steps (Snell et al. 2024, arXiv 2408.03314): `n` paths, of which the
 *  best n / beamWidth survive each step. */
export const beam: Strategy<z.infer<typeof beamOptions>> = async (_problem, context, options) => {
  const width = beamWidthFor(options.n, options.beamWidth);
  const grown = await growBeam(context, {
    ...options,
    survivors: (_round, room) => Math.ceil(room / width),
    samples: (_round, _paths, room) => room,
  });
  return conclude(context, {
    ...grown,
    strategy: 'beam',
    selection: options.selection,
    scoring: options,
  });
};
