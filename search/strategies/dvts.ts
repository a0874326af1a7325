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
import { toDraft } from './step-beam.js';
import { walkSubtrees } from './subtree.js';

export const dvtsOptions = z.strictObject({
  n: nField,
  beamWidth: beamWidthField,
  ...aggregationShape('last'),
  lookahead: lookaheadField,
  maxSteps: maxStepsField,
  ...selectionField('vanilla'),
});

/** Diverse verifier tree search (search-and-learn, Beeching, Tunstall, Rush 2024, "Scaling
 *  test-time compute with open models"): n / beamWidth independent greedy walks, so that one early
 *  favourite can't take the whole beam. Every complete solution of a walk's last step is a
 *  candidate. */
export const dvts: Strategy<z.infer<typeof dvtsOptions>> = async (_problem, context, options) => {
  const width = beamWidthFor(options.n, options.beamWidth);
  const subtrees = Math.floor(options.n / width);
  if (options.n % width !== 0) {
    context.warn(`n ${options.n} is no multiple of the beam width: ${subtrees * width} paths used`);
  }
  const walked = await walkSubtrees(context, { ...options, subtrees, width });
  return conclude(context, {
    strategy: 'dvts',
    drafts: walked.subtrees.flatMap(({ at, finished }) =>
      (finished.length > 0 ? finished : [at]).flatMap(toDraft),
    ),
    selection: options.selection,
    scoring: options,
    stopped: walked.stopped,
  });
};
