import type { GradedRollouts, SearchContext } from '../context.js';
import { credibleInterval } from '../interval.js';
import type { StateIndex, StateTree } from '../tree.js';
import type { Step } from '../types.js';
import type { EstimateOptions } from './options.js';
import { type BetaPrior, JEFFREYS, rolloutGain } from './prior.js';

/** Counts of a state's rollouts. */
export interface Estimate {
  correct: number;
  graded: number;
  ungraded: number;
  /** Replies in the order of their sample index, one entry per round. */
  readonly rounds: GradedRollouts[];
}

/** What is known of a state before its own rollouts. */
export interface EstimateStart {
  /** Rollouts of other states that passed through this one. */
  readonly correct: number;
  readonly graded: number;
  readonly prior: BetaPrior;
}

const NOTHING_KNOWN: EstimateStart = { correct: 0, graded: 0, prior: JEFFREYS };

/** Monte Carlo estimation of one prefix: `numRollouts` continuations, graded.
 *  With `adaptive` they come in rounds, and sampling stops as soon as the label is sure: at once if
 *  `start` is enough.
 *  @returns counts that hold those of `start`; `rounds` are this state's own */
export async function estimate(
  context: SearchContext,
  prefix: readonly Step[],
  options: EstimateOptions,
  start: EstimateStart = NOTHING_KNOWN,
): Promise<Estimate> {
  const { correct, graded, prior } = start;
  const estimated: Estimate = { correct, graded, ungraded: 0, rounds: [] };
  let drawn = 0;
  const isDone = () => options.adaptive && isSure(estimated, drawn, options, prior);
  while (drawn < options.numRollouts && !isDone()) {
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
 *  as in MM-PRM. */
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

/** Enters a state's counts, and as its value the share of graded rollouts that are correct.
 *  @param estimated with at least one graded rollout */
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

/** Whether further rollouts are not worth their tokens: the interval is narrow enough or the gain of
 *  one more too small, or the remaining ones could not carry the share over the threshold of a hard
 *  label.
 *
 *  The rule `gain` lets every state go on until one more rollout gains as little as the last of
 *  `numRollouts` gains at a value of 1/2. One limit of the gain for all states is what makes the mean
 *  squared error of all labels least for the number of rollouts, as a rollout more here could only
 *  be paid by one there that gains more. Since the gain is p (1 - p) / n^2, a state of value p gets
 *  sqrt(4 p (1 - p)) of `numRollouts`: Neyman's optimal allocation (1934, Journal of the Royal
 *  Statistical Society 97), found step by step since p is not known before. An interval of one width
 *  for all would give it 4 p (1 - p). */
function isSure(
  estimated: Estimate,
  drawn: number,
  options: EstimateOptions,
  prior: BetaPrior,
): boolean {
  const { correct, graded } = estimated;
  if (graded === 0) return false;
  if (isSettled(estimated, options, prior)) return true;
  if (options.label !== 'hard') return false;
  const most = graded + options.numRollouts - drawn;
  const leastShare = correct / most;
  const mostShare = (correct + options.numRollouts - drawn) / most;
  return leastShare > options.labelThreshold || mostShare <= options.labelThreshold;
}

function isSettled(
  { correct, graded }: Estimate,
  { adaptiveRule, intervalWidth, numRollouts }: EstimateOptions,
  prior: BetaPrior,
): boolean {
  if (adaptiveRule === 'gain') {
    const leastGain = rolloutGain(numRollouts / 2, numRollouts, JEFFREYS);
    return rolloutGain(correct, graded, prior) <= leastGain;
  }
  const [low, high] = credibleInterval(correct, graded);
  return high - low <= intervalWidth;
}

/** A character that no tokenizer writes; it only keeps ["a b"] and ["a", "b"] apart. */
const STEP_SEPARATOR = '\u0000';
