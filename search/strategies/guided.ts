import { z } from 'zod';
import { aggregationShape, count, lookaheadField, maxStepsField } from './options.js';
import { conclude, type Strategy } from './result.js';
import { toDraft } from './step-beam.js';
import { walkSubtrees } from './subtree.js';

export const guidedOptions = z.strictObject({
  n: count.default(8).describe('next steps sampled before each choice'),
  ...aggregationShape('last'),
  lookahead: lookaheadField,
  maxSteps: maxStepsField,
});

/** Guided greedy step search (VL-PRM, arXiv 2509.23250): sample `n` next steps, drop empty ones
 *  and duplicates, append the one that the reward model likes best, until it ends the solution.
 *  The score is the reward model's own; VL-PRM's code shapes it by the prompt's length, which
 *  rewards short prompts, and is not followed there. */
export const guided: Strategy<z.infer<typeof guidedOptions>> = async (
  _problem,
  context,
  options,
) => {
  const walked = await walkSubtrees(context, { ...options, subtrees: 1, width: options.n });
  return conclude(context, {
    strategy: 'guided',
    drafts: walked.subtrees.flatMap(({ at, finished }) => toDraft(finished[0] ?? at)),
    selection: 'vanilla',
    scoring: options,
    stopped: walked.stopped,
  });
};
