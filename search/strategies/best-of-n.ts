import { z } from 'zod';
import type { SearchContext } from '../context.js';
import { SteptreeError } from '../errors.js';
import { isSettled, type SelectionName } from '../select.js';
import {
  aggregationShape,
  earlyStopField,
  nField,
  samplesPerRoundField,
  selectionField,
} from './options.js';
import { drawSolutions } from './pool.js';
import { conclude, type Draft, judged, type Strategy, votable } from './result.js';

export const bestOfNOptions = z.strictObject({
  n: nField,
  ...aggregationShape('mean'),
  ...selectionField('vanilla'),
  earlyStop: earlyStopField,
  samplesPerRound: samplesPerRoundField,
});

/** Best-of-N (Lightman et al. 2023, arXiv 2305.20050; for pictures VisualPRM, arXiv
 *  2503.10291): `n` solutions, the reward model scores their steps, the best path score wins,
 *  or a vote weighted by it (Math-Shepherd, arXiv 2312.08935). */
export const bestOfN: Strategy<z.infer<typeof bestOfNOptions>> = async (
  _problem,
  context,
  options,
) => {
  const { n, selection, samplesPerRound } = options;
  if (options.earlyStop) checkEarlyStop(selection, context);
  const isEnough = async (drafts: readonly Draft[], left: number) => {
    // Weights are at most 1, so fewer samples than are left settle nothing.
    if (drafts.length <= left || selection === 'vanilla') return false;
    const candidates = await judged(context, drafts, options);
    return isSettled(
      candidates.map((candidate) => votable(candidate, options)),
      selection,
      left,
    );
  };
  const early = options.earlyStop ? isEnough : undefined;
  const pool = await drawSolutions(context, n, samplesPerRound, early);
  return conclude(context, {
    strategy: 'best-of-n',
    drafts: pool.drafts,
    selection,
    scoring: options,
    stopped: pool.stopped ?? 'done',
  });
};

/** @throws SteptreeError OPTION_INVALID where no vote is ever settled before the last sample */
function checkEarlyStop(selection: SelectionName, context: SearchContext): void {
  const reason =
    selection === 'vanilla'
      ? 'earlyStop needs a vote: the next sample could always have the best score; set selection to weighted or majority'
      : selection === 'weighted' && context.scoresSetwise
        ? 'earlyStop needs weights that stay: the scores of this reward model depend on all solutions, so the next sample changes them; set selection to majority, or take another reward model'
        : null;
  if (reason !== null) {
    throw new SteptreeError('OPTION_INVALID', reason, { option: 'earlyStop' });
  }
}
