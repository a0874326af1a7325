import type { StateJson, TreeJson } from '../../search/labels/tree-json.js';
import type { ViewCandidate, ViewSolveReport } from '../../src/server/view-types.js';

export function state(
  steps: readonly string[],
  correct: number,
  graded: number,
  children: StateJson[] = [],
): StateJson {
  return {
    partial_solution: steps,
    mc_value: graded > 0 ? correct / graded : null,
    visit_count: 0,
    correct_rollouts: [],
    incorrect_rollouts: [],
    children,
    counts: { correct, graded, ungraded: 0 },
    interval: null,
  };
}

export function treeOf(root: Partial<TreeJson>, children: StateJson[]): TreeJson {
  const { partial_solution: _, ...facts } = state([], 1, 4, children);
  return {
    ...facts,
    id: 'p',
    question: 'q',
    answer: '1',
    image_path: null,
    images: [],
    method: 'omegaprm',
    total_rollouts: 4,
    search_count: 0,
    stopped: 'done',
    selections: [],
    warnings: [],
    ...root,
  };
}

export function candidate(
  steps: readonly string[],
  facts: Partial<ViewCandidate> = {},
): ViewCandidate {
  return { steps, answer: null, score: null, stepScores: null, verdict: null, ...facts };
}

export function report(facts: Partial<ViewSolveReport> = {}): ViewSolveReport {
  return {
    strategy: 'best-of-n',
    answer: null,
    chosen: null,
    candidates: [],
    votes: [],
    stopped: 'done',
    warnings: [],
    usage: {},
    elapsedMs: 0,
    ...facts,
  };
}
