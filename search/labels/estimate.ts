import type { GradedRollouts, SearchContext } from '../context.js';
import { credibleInterval } from '../interval.js';
import type { StateIndex, StateTree } from '../tree.js';
import type { Step } from '../types.js';
import type { EstimateOptions } from './options.js';

/** Counts of a state's rollouts. */
export interface Estimate {
  correct: number;
  graded: number;
  ungraded: number;
  /** Replies in the order of their sample index, one entry per round. */
  readonly rounds: GradedRollouts[];
}

/** Monte Carlo estimation of one prefix: `numRollouts` continuations, graded.
 *  With `adaptive` they come in rounds, and sampling stops as soon as the label is sure. */
export async function estimate(
  context: SearchContext,
  prefix: readonly Step[],
  options: EstimateOptions,
): Promise<Estimate> {
  const estimated: Estimate = { correct: 0, graded: 0, ungraded: 0, rounds: [] };
  let drawn = 0;
  while (drawn < options.numRollouts && !(drawn > 0 && isSure(estimated, drawn, options))) {
    const left = options.numRollouts - drawn;
    const n = options.adaptive ? Math.min(options.adaptiveStep, left) : left;
    const round = await context.gradedRollouts(prefix, { n });
    drawn += n;
    countRound(estimated, round);
  }
  return estimated;
}

/** Enters a state's rollouts into the tree: counts, value, and the distinct rollouts.
 *  A correct rollout becomes a child with value 1 that holds all of its remaining steps,
 *  as in MM-PRM. @returns the distinct incorrect rollouts, in order of arrival */
export function enterEstimate(tree: StateTree, state: StateIndex, estimated: Estimate): void {
  const seen = new Set<string>();
  for (const { rollouts, verdicts } of estimated.rounds) {
    rollouts.forEach((rollout, i) => {
      const verdict = verdicts[i]?.verdict;
      const text = rollout.steps.join(STEP_SEPARATOR);
      if (verdict === 'ungraded' || seen.has(text)) return;
      seen.add(text);
      if (verdict === 'equal') {
        tree.correctRollouts[state]?.push(rollout.steps);
        enterOutcome(tree, tree.addState(state, rollout.steps), true);
      } else {
        tree.incorrectRollouts[state]?.push(rollout.steps);
      }
    });
  }
  enterCounts(tree, state, estimated);
}

export function enterCounts(tree: StateTree, state: StateIndex, estimated: Estimate): void {
  tree.correct[state] = estimated.correct;
  tree.graded[state] = estimated.graded;
  tree.ungraded[state] = estimated.ungraded;
  tree.mcValue[state] = estimated.correct / estimated.graded;
}

/** A finished solution needs no rollouts: its own verdict is its value. */
export function enterOutcome(tree: StateTree, state: StateIndex, correct: boolean): void {
  tree.mcValue[state] = correct ? 1 : 0;
}

function countRound(estimated: Estimate, round: GradedRollouts): void {
  estimated.rounds.push(round);
  for (const { verdict } of round.verdicts) {
    if (verdict === 'ungraded') estimated.ungraded++;
    else estimated.graded++;
    if (verdict === 'equal') estimated.correct++;
  }
}

/** Whether further rollouts are not worth their tokens: the interval is narrow enough, or the
 *  remaining ones could not carry the share over the threshold of a hard label. */
function isSure(estimated: Estimate, drawn: number, options: EstimateOptions): boolean {
  const { correct, graded } = estimated;
  if (graded === 0) return false;
  const [low, high] = credibleInterval(correct, graded);
  if (high - low <= options.intervalWidth) return true;
  if (options.label !== 'hard') return false;
  const most = graded + options.numRollouts - drawn;
  const leastShare = correct / most;
  const mostShare = (correct + options.numRollouts - drawn) / most;
  return leastShare > options.labelThreshold || mostShare <= options.labelThreshold;
}

/** A character that no tokenizer writes; it only keeps ["a b"] and ["a", "b"] apart. */
const STEP_SEPARATOR = '\u0000';
