import type { SearchContext } from '../context.js';
import { SteptreeError } from '../errors.js';
import { ROOT, type StateIndex, StateTree } from '../tree.js';
import type { Problem, Step } from '../types.js';
import { CandidatePool } from './candidate-pool.js';
import { enterEstimate, enterOutcome, estimate } from './estimate.js';
import type { OmegaPrmOptions } from './options.js';
import type { LabelResult, Selection } from './result.js';

/** OmegaPRM (arXiv 2406.06592) as MM-PRM runs it: Monte Carlo estimation of the root, then
 *  again and again the most promising wrong rollout is binary-searched for its first error,
 *  each midpoint being estimated and added to the tree.
 *
 *  Kept from MM-PRM: order of selection, midpoints, duplicates (they count in the value, but a
 *  rollout is stored and searched once), visits (of the selected state only), tree shape.
 *  Not kept: a rollout that can't be graded is neither right nor wrong (there it was wrong), so
 *  an empty one burns no search; and the last step's verdict is the rollout's own, not asked
 *  again. */
export async function omegaPrm(
  _problem: Problem,
  context: SearchContext,
  options: OmegaPrmOptions,
): Promise<LabelResult> {
  const tree = new StateTree();
  const pool = new CandidatePool(tree, options);
  const search = new OmegaPrmSearch(tree, pool, context, options);
  await search.estimateRoot();
  const selections: Selection[] = [];
  let stopped: string | null = null;
  while (!stopped) {
    stopped = stopReason(selections.length, context, options);
    const candidate = stopped ? null : pool.take();
    if (!candidate) break;
    selections.push({ prefix: tree.prefix(candidate.state), rollout: candidate.rollout });
    await search.findFirstError(candidate.state, candidate.rollout);
    pool.countVisit(candidate.state);
  }
  return { tree, selections, stopped: stopped ?? 'noCandidates', critiques: new Map() };
}

function stopReason(
  searchCount: number,
  context: SearchContext,
  options: OmegaPrmOptions,
): string | null {
  if (searchCount >= options.maxSearchCount) return 'maxSearchCount';
  if (context.usage.rollouts >= options.rolloutBudget) return 'rolloutBudget';
  return context.exhausted();
}

class OmegaPrmSearch {
  constructor(
    private readonly tree: StateTree,
    private readonly pool: CandidatePool,
    private readonly context: SearchContext,
    private readonly options: OmegaPrmOptions,
  ) {}

  async estimateRoot(): Promise<void> {
    const estimated = await estimate(this.context, [], this.options);
    if (estimated.graded === 0) {
      throw new SteptreeError(
        'LABEL_ALL_UNGRADED',
        `none of ${estimated.ungraded} rollouts from the question could be graded; check the gold answer, --max-tokens and the step format`,
        { problemId: this.context.problem.id, ungraded: estimated.ungraded },
      );
    }
    enterEstimate(this.tree, ROOT, estimated);
    if (this.tree.value(ROOT) > 0) this.pool.add(ROOT);
  }

  /** Binary search for the first wrong step of a rollout that is known to end wrong.
   *  Every midpoint becomes a child of the last prefix that was seen to be right. */
  async findFirstError(selected: StateIndex, rollout: readonly Step[]): Promise<void> {
    let parent = selected;
    let left = 0;
    let right = rollout.length - 1;
    while (left <= right) {
      const middle = (left + right) >> 1;
      const segment = rollout.slice(left, middle + 1);
      const state =
        left === right && left === rollout.length - 1
          ? this.enterLastStep(parent, segment)
          : await this.enterMidpoint(parent, segment);
      if (state === null) return;
      if (this.tree.value(state) === 0) {
        right = middle - 1;
      } else {
        parent = state;
        left = middle + 1;
      }
    }
  }

  /** The search arrived at the rollout's own last step: the rollout is wrong, so is the step. */
  private enterLastStep(parent: StateIndex, segment: readonly Step[]): StateIndex {
    const state = this.tree.addState(parent, segment);
    enterOutcome(this.tree, state, false);
    return state;
  }

  /** @returns null, with nothing added, if no rollout of the midpoint could be graded */
  private async enterMidpoint(
    parent: StateIndex,
    segment: readonly Step[],
  ): Promise<StateIndex | null> {
    const prefix = [...this.tree.prefix(parent), ...segment];
    const estimated = await estimate(this.context, prefix, this.options);
    if (estimated.graded === 0) {
      this.context.warnings.push(
        `a prefix of ${prefix.length} steps has no label: none of its ${estimated.ungraded} rollouts could be graded`,
      );
      return null;
    }
    const state = this.tree.addState(parent, segment);
    enterEstimate(this.tree, state, estimated);
    if (this.tree.value(state) > 0) this.pool.add(state);
    return state;
  }
}
