import { z } from 'zod';
import { isSettled } from '../select.js';
import { earlyStopField, nField, samplesPerRoundField } from './options.js';
import { drawSolutions } from './pool.js';
import { conclude, type Draft, judged, type Strategy, votable } from './result.js';

export const majorityOptions = z.strictObject({
  n: nField,
  earlyStop: earlyStopField,
  samplesPerRound: samplesPerRoundField,
});

/** Self-consistency (Wang et al. 2022, arXiv 2203.11171): the most frequent answer of `n`
 *  solutions. Needs no reward model. */
export const majority: Strategy<z.infer<typeof majorityOptions>> = async (
  _problem,
  context,
  { n, earlyStop, samplesPerRound },
) => {
  const isEnough = async (drafts: readonly Draft[], left: number) => {
    if (drafts.length <= left) return false;
    const candidates = await judged(context, drafts, null);
    return isSettled(
      candidates.map((candidate) => votable(candidate, null)),
      'majority',
      left,
    );
  };
  const pool = await drawSolutions(context, n, samplesPerRound, earlyStop ? isEnough : undefined);
  return conclude(context, {
    strategy: 'majority',
    drafts: pool.drafts,
    selection: 'majority',
    scoring: null,
    stopped: pool.stopped ?? 'done',
  });
};
