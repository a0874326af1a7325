import { z } from 'zod';
import { isComplete } from '../expand.js';
import { nField, samplesPerRoundField, selectionField } from './options.js';
import { drawSolutions } from './pool.js';
import { conclude, type Strategy } from './result.js';

export const oneShotOptions = z.strictObject({
  n: nField,
  ...selectionField('vanilla'),
  separator: z.string().default('\n').describe('what stands between the steps of a whole solution'),
  samplesPerRound: samplesPerRoundField,
});

/** One-shot outcome scoring (VL-PRM, arXiv 2509.23250): each solution is given to the reward
 *  model as a single step and scored once, which in the paper beats scoring step by step.
 *  With a reward model of whole solutions (ORM), best-of-n does the same. */
export const oneShot: Strategy<z.infer<typeof oneShotOptions>> = async (
  _problem,
  context,
  options,
) => {
  const pool = await drawSolutions(context, options.n, options.samplesPerRound);
  const complete = pool.drafts.filter(isComplete);
  const scores = await context.score(complete.map(({ steps }) => [steps.join(options.separator)]));
  const scoresOf = new Map(complete.map((draft, i) => [draft, scores[i] ?? { steps: [] }]));
  return conclude(context, {
    strategy: 'one-shot',
    drafts: pool.drafts.map((draft) => {
      const own = scoresOf.get(draft);
      return own ? { ...draft, scores: own } : draft;
    }),
    selection: options.selection,
    scoring: { aggregation: 'last', window: 0 },
    stopped: pool.stopped ?? 'done',
  });
};
