import type { SearchContext } from '../context.js';
import { NO_STATE, type StateIndex, type StateTree } from '../tree.js';
import type { Critique, Problem } from '../types.js';
import type { ConsensusOptions } from './options.js';
import type { LabelResult } from './result.js';
import { stepRollouts } from './step-rollouts.js';

/** Step rollouts joined with a judge that reads each whole solution and points at its first
 *  wrong step (VL-PRM, arXiv 2509.23250; consensus filtering of Qwen's "Lessons", arXiv
 *  2501.07301, §3.1). The judge's finding is kept per solution; `trainingPaths` joins the two. */
export async function consensus(
  problem: Problem,
  context: SearchContext,
  options: ConsensusOptions,
): Promise<LabelResult> {
  const result = await stepRollouts(problem, context, options);
  const leaves = leavesOf(result.tree);
  const critiques = await Promise.all(
    leaves.map((leaf) => context.critique(result.tree.prefix(leaf))),
  );
  return {
    ...result,
    critiques: new Map(leaves.map((leaf, i) => [leaf, critiques[i] as Critique])),
  };
}

function leavesOf(tree: StateTree): StateIndex[] {
  const leaves: StateIndex[] = [];
  for (let state = 1; state < tree.size; state++) {
    if (tree.firstChild[state] === NO_STATE) leaves.push(state);
  }
  return leaves;
}
