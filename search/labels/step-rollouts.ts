import type { GradedRollouts, SearchContext } from '../context.js';
import { SteptreeError } from '../errors.js';
import { contentHash } from '../rng.js';
import { NO_STATE, ROOT, type StateIndex, StateTree } from '../tree.js';
import type { Problem, Step } from '../types.js';
import {
  type Estimate,
  type EstimateStart,
  enterCounts,
  enterOutcome,
  estimate,
} from './estimate.js';
import type { StepRolloutsOptions } from './options.js';
import { JEFFREYS, posteriorMean, priorAfter } from './prior.js';
import type { LabelResult } from './result.js';
import { SharedRollouts } from './shared-rollouts.js';

/** A sampled solution, cut into the segments that get one label each. */
export interface Solution {
  readonly segments: readonly (readonly Step[])[];
  readonly correct: boolean;
}

/** Monte Carlo value of every step of sampled solutions: `numRollouts` completions from each
 *  prefix (Math-Shepherd, arXiv 2312.08935, §3.3; VisualPRM, arXiv 2503.10291, §3). The last
 *  step needs none: the solution's own verdict is its value.
 *  All prefixes of all solutions are estimated side by side, or one depth after the other where what
 *  is known of the earlier ones helps (`earlyStop`, `shareRollouts`, `priorStrength`) or a budget is
 *  to be looked at in between. A prefix that several solutions share is estimated once.
 *  @throws SteptreeError LABEL_ALL_UNGRADED, and what policy and verifier throw */
export async function stepRollouts(
  _problem: Problem,
  context: SearchContext,
  options: StepRolloutsOptions,
): Promise<LabelResult> {
  const tree = new StateTree();
  const { solutions, round } = await sampleSolutions(tree, context, options);
  const { earlyStop, shareRollouts, priorStrength } = options;
  const values =
    earlyStop || shareRollouts || priorStrength > 0 || context.limited
      ? await estimateInTurn(solutions, round, context, options)
      : await estimateAtOnce(solutions, context, options);
  solutions.forEach((solution, i) => {
    enterSolution(tree, solution, values[i] ?? []);
  });
  const stopped = context.exhausted() ?? 'done';
  return { tree, selections: [], stopped, critiques: new Map() };
}

/** Samples, grades and de-duplicates the solutions; the root's value is their share correct. */
async function sampleSolutions(
  tree: StateTree,
  context: SearchContext,
  options: StepRolloutsOptions,
): Promise<{ readonly solutions: readonly Solution[]; readonly round: GradedRollouts }> {
  const round = await context.gradedRollouts([], { n: options.numSolutions, purpose: 'solution' });
  const counts: Estimate = { correct: 0, graded: 0, ungraded: 0, rounds: [] };
  const distinct = new Map<string, Solution>();
  round.rollouts.forEach(({ steps }, i) => {
    const verdict = round.verdicts[i]?.verdict;
    if (verdict === 'ungraded' || verdict === undefined) {
      counts.ungraded++;
      return;
    }
    const correct = verdict === 'equal';
    counts.graded++;
    if (correct) counts.correct++;
    const key = contentHash(steps);
    if (distinct.has(key)) return;
    distinct.set(key, { segments: mergeSteps(steps, options.maxSteps), correct });
    tree[correct ? 'correctRollouts' : 'incorrectRollouts'][ROOT]?.push(steps);
  });
  if (counts.graded === 0) {
    throw new SteptreeError(
      'LABEL_ALL_UNGRADED',
      `none of ${counts.ungraded} solutions could be graded; check the gold answer, --max-tokens and the step format`,
      { problemId: context.problem.id, ungraded: counts.ungraded },
    );
  }
  enterCounts(tree, ROOT, counts);
  return { solutions: [...distinct.values()], round };
}

/** Runs of ceil(steps / maxSteps) steps become one segment, as VisualPRM caps its solutions. */
export function mergeSteps(steps: readonly Step[], maxSteps: number): Step[][] {
  const run = maxSteps > 0 ? Math.ceil(steps.length / maxSteps) : 1;
  const segments: Step[][] = [];
  for (let at = 0; at < steps.length; at += run) segments.push(steps.slice(at, at + run));
  return segments;
}

/** Value of a prefix, or what stands for one that was not sampled. */
type PrefixValue = Estimate | 'zero' | 'unknown';

/** A prefix to be estimated, and what is known of it before. */
interface PrefixTask {
  readonly prefix: readonly Step[];
  readonly start?: EstimateStart;
}

/** Estimates a round of prefixes side by side, each distinct one once.
 *  Whether a budget is spent is asked before the round, so timing can't change its results. */
class PrefixEstimates {
  private readonly known = new Map<string, Promise<PrefixValue>>();
  private readonly warned = new Set<Estimate>();

  constructor(
    private readonly context: SearchContext,
    private readonly options: StepRolloutsOptions,
  ) {}

  async round(tasks: readonly PrefixTask[]): Promise<PrefixValue[]> {
    const spent = this.context.exhausted() !== null;
    const started = tasks.map((task) => {
      const key = contentHash(task.prefix);
      const value = this.known.get(key) ?? (spent ? UNKNOWN : this.estimate(task));
      this.known.set(key, value);
      return value;
    });
    const values = await Promise.all(started);
    // Only now, in the order of the tasks: replies come in any order.
    tasks.forEach(({ prefix }, i) => {
      const value = values[i];
      if (typeof value === 'object' && value.graded === 0) this.warnOnce(prefix, value);
    });
    return values.map((value) =>
      typeof value === 'object' && value.graded === 0 ? 'unknown' : value,
    );
  }

  private warnOnce(prefix: readonly Step[], estimated: Estimate): void {
    if (this.warned.has(estimated)) return;
    this.warned.add(estimated);
    this.context.warnings.push(
      `a prefix of ${prefix.length} steps has no label: none of its ${estimated.ungraded} rollouts could be graded`,
    );
  }

  private estimate({ prefix, start }: PrefixTask): Promise<Estimate> {
    return estimate(this.context, prefix, this.options, start);
  }
}

const UNKNOWN: Promise<PrefixValue> = Promise.resolve('unknown');

/** All proper prefixes of all solutions in one round. @returns values[solution][step] */
async function estimateAtOnce(
  solutions: readonly Solution[],
  context: SearchContext,
  options: StepRolloutsOptions,
): Promise<PrefixValue[][]> {
  const prefixes = solutions.map(properPrefixes);
  const tasks = prefixes.flat().map((prefix) => ({ prefix }));
  const values = await new PrefixEstimates(context, options).round(tasks);
  let at = 0;
  return prefixes.map((own) => {
    const first = at;
    at += own.length;
    return values.slice(first, at);
  });
}

/** All solutions in lock-step, one step index a round. What the earlier rounds told goes into the
 *  next one: with `earlyStop` a solution ends at its first 0, with `shareRollouts` rollouts count for
 *  the later prefixes that they passed through, with `priorStrength` a parent's value is a prior. */
async function estimateInTurn(
  solutions: readonly Solution[],
  sampled: GradedRollouts,
  context: SearchContext,
  options: StepRolloutsOptions,
): Promise<PrefixValue[][]> {
  const estimates = new PrefixEstimates(context, options);
  const prefixes = solutions.map(properPrefixes);
  const shared = new SharedRollouts(options.shareRollouts ? prefixes.flat() : []);
  shared.add([], sampled);
  const counted = new Set<Estimate>();
  const rootMean = meanOfSolutions(sampled);
  const values: PrefixValue[][] = prefixes.map(() => []);
  const longest = Math.max(0, ...prefixes.map((own) => own.length));
  for (let step = 0; step < longest; step++) {
    const live = prefixes.flatMap((own, i) => (step < own.length ? [i] : []));
    const wanted = live.filter((i) => !(options.earlyStop && hasFailed(values[i] ?? [])));
    const tasks = wanted.map((i) => {
      const prefix = prefixes[i]?.[step] ?? [];
      const parentMean = lastMean(values[i] ?? [], rootMean, options.priorStrength);
      const prior = priorAfter(parentMean, options.priorStrength);
      return { prefix, start: { ...shared.of(prefix), prior } };
    });
    const round = await estimates.round(tasks);
    round.forEach((value, i) => {
      // Solutions that share a prefix share its estimate: its rollouts count once.
      if (typeof value !== 'object' || counted.has(value)) return;
      counted.add(value);
      for (const rollouts of value.rounds) shared.add(tasks[i]?.prefix ?? [], rollouts);
    });
    for (const i of live) values[i]?.push(round[wanted.indexOf(i)] ?? 'zero');
  }
  return values;
}

function meanOfSolutions({ verdicts }: GradedRollouts): number {
  const graded = verdicts.filter(({ verdict }) => verdict !== 'ungraded').length;
  const correct = verdicts.filter(({ verdict }) => verdict === 'equal').length;
  return posteriorMean(correct, graded, JEFFREYS);
}

/** Posterior mean at the end of a solution's values so far, each the prior mean of the next. */
function lastMean(values: readonly PrefixValue[], rootMean: number, strength: number): number {
  return values.reduce<number>((mean, value) => {
    if (value === 'zero') return 0;
    if (value === 'unknown') return mean;
    return posteriorMean(value.correct, value.graded, priorAfter(mean, strength));
  }, rootMean);
}

function hasFailed(values: readonly PrefixValue[]): boolean {
  const last = values.at(-1);
  return last === 'zero' || (typeof last === 'object' && last.correct === 0);
}

function properPrefixes(solution: Solution): Step[][] {
  return solution.segments
    .slice(0, -1)
    .map((_, index) => solution.segments.slice(0, index + 1).flat());
}

/** Adds a solution as a chain under the root; a prefix that is there already is shared. */
function enterSolution(
  tree: StateTree,
  solution: Solution,
  values: readonly PrefixValue[],
): StateIndex {
  let state: StateIndex = ROOT;
  solution.segments.forEach((segment, index) => {
    const last = index === solution.segments.length - 1;
    const known = last ? NO_STATE : findChild(tree, state, segment);
    state = known === NO_STATE ? tree.addState(state, segment) : known;
    const value = values[index];
    if (last) enterOutcome(tree, state, solution.correct);
    else if (value === 'zero') enterOutcome(tree, state, false);
    else if (typeof value === 'object') enterCounts(tree, state, value);
  });
  return state;
}

function findChild(tree: StateTree, parent: StateIndex, segment: readonly Step[]): StateIndex {
  const isSame = (child: StateIndex) => {
    const other = tree.segment(child);
    return other.length === segment.length && other.every((step, i) => step === segment[i]);
  };
  return tree.children(parent).find((child) => !isLeaf(tree, child) && isSame(child)) ?? NO_STATE;
}

function isLeaf(tree: StateTree, state: StateIndex): boolean {
  return tree.firstChild[state] === NO_STATE;
}
