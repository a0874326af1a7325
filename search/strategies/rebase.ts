import { z } from 'zod';
import { isOpen, nextSteps, type PartialPath, ROOT_PATH, ranked, scorePaths } from '../expand.js';
import { aggregationShape, maxStepsField, nField, selectionField } from './options.js';
import { conclude, type Strategy } from './result.js';
import { toDraft } from './step-beam.js';

export const rebaseOptions = z.strictObject({
  n: nField,
  balanceTemperature: z
    .number()
    .gt(0)
    .default(0.2)
    .describe('low gives the best paths nearly all samples, high gives all the same'),
  ...aggregationShape('last'),
  maxSteps: maxStepsField,
  ...selectionField('weighted'),
});

/** Reward-balanced search (Wu et al. 2024, arXiv 2408.00724): every open path is continued
 *  as often as its share of exp(score / temperature) says; no path is cut as long as the width
 *  lasts. A path that is complete, or can't go on, makes the tree narrower by one. */
export const rebase: Strategy<z.infer<typeof rebaseOptions>> = async (
  _problem,
  context,
  options,
) => {
  const closed: PartialPath[] = [];
  let live: { path: PartialPath; n: number }[] = [{ path: ROOT_PATH, n: options.n }];
  let width = options.n;
  let stopped: string | null = null;
  while (live.length > 0 && width > 0) {
    stopped = context.exhausted();
    if (stopped) break;
    const children = (await nextSteps(context, live, options.maxSteps)).flat();
    const ended = children.filter((path) => !isOpen(path));
    closed.push(...ended);
    width -= ended.length;
    const open = ranked(await scorePaths(context, children.filter(isOpen), options));
    const shares = balancedShares(
      open.map(({ score }) => score),
      width,
      options.balanceTemperature,
    );
    live = open.flatMap((path, i) => (shares[i] ? [{ path, n: shares[i] }] : []));
  }
  return conclude(context, {
    strategy: 'rebase',
    drafts: [...closed, ...live.map(({ path }) => path)].flatMap(toDraft),
    selection: options.selection,
    scoring: options,
    stopped: stopped ?? 'done',
  });
};

/** Samples per path, paths being ordered by falling score: each in turn takes
 *  ceil(width left * its share of the weight left), so rounding favours the best and the last may
 *  get none, as in the paper's code.
 *  @param scores in [0, 1]; -Infinity gets none */
export function balancedShares(
  scores: readonly number[],
  width: number,
  temperature: number,
): number[] {
  // Relative to the best, so that a low temperature can't overflow.
  const best = scores[0] ?? 0;
  const weights = scores.map((score) => Math.exp((score - best) / temperature));
  let weightLeft = weights.reduce((sum, weight) => sum + weight, 0);
  let widthLeft = width;
  return weights.map((weight) => {
    const share = weightLeft > 0 ? Math.ceil((widthLeft * weight) / weightLeft - 1e-9) : 0;
    const taken = Math.max(0, Math.min(widthLeft, share));
    widthLeft -= taken;
    weightLeft -= weight;
    return taken;
  });
}
