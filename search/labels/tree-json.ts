import { credibleInterval } from '../interval.js';
import { ROOT, type StateIndex, StateTree } from '../tree.js';
import type { Critique, Problem, Step } from '../types.js';
import type { LabelResult, Selection } from './result.js';

/** A state as MM-PRM writes it (snake case is its), with our fields behind it. */
export interface StateJson {
  partial_solution: readonly Step[];
  /** null where it was never estimated. */
  mc_value: number | null;
  visit_count: number;
  correct_rollouts: readonly (readonly Step[])[];
  incorrect_rollouts: readonly (readonly Step[])[];
  children: StateJson[];
  /** Rollouts with duplicates: correct, graded, ungraded. */
  counts: { correct: number; graded: number; ungraded: number };
  interval: readonly [number, number] | null;
  critique?: Critique;
}

/** A finished tree: the root's fields are the problem's, as in MM-PRM, which has no
 *  `partial_solution` at the root. */
export interface TreeJson extends Omit<StateJson, 'partial_solution'> {
  id: string;
  question: string;
  answer: string | null;
  /** First picture as the problem file names it; null for a text-only problem. */
  image_path: string | null;
  images: string[];
  method: string;
  total_rollouts: number;
  search_count: number;
  stopped: string;
  selections: readonly Selection[];
  warnings: readonly string[];
}

/** A finished tree as it is written: its shape is MM-PRM's.
 *  @param facts.totalRollouts that the problem took */
export function treeToJson(
  problem: Problem,
  result: LabelResult,
  facts: { method: string; totalRollouts: number; warnings: readonly string[] },
): TreeJson {
  const images = problem.images.map((image) => image.source);
  const { partial_solution: _, ...root } = stateToJson(result.tree, ROOT, result.critiques);
  return {
    id: problem.id,
    question: problem.question,
    answer: problem.answer ?? null,
    image_path: images[0] ?? null,
    ...root,
    images,
    method: facts.method,
    total_rollouts: facts.totalRollouts,
    search_count: result.selections.length,
    stopped: result.stopped,
    selections: result.selections,
    warnings: facts.warnings,
  };
}

/** The way back: enough of the tree to make training paths from a stored file. */
export function treeFromJson(json: TreeJson): Pick<LabelResult, 'tree' | 'critiques'> {
  const tree = new StateTree();
  const critiques = new Map<StateIndex, Critique>();
  readState(tree, ROOT, json, critiques);
  return { tree, critiques };
}

function readState(
  tree: StateTree,
  state: StateIndex,
  json: Omit<StateJson, 'partial_solution'>,
  critiques: Map<StateIndex, Critique>,
): void {
  tree.mcValue[state] = json.mc_value ?? Number.NaN;
  tree.visits[state] = json.visit_count;
  tree.correct[state] = json.counts?.correct ?? 0;
  tree.graded[state] = json.counts?.graded ?? 0;
  tree.ungraded[state] = json.counts?.ungraded ?? 0;
  tree.correctRollouts[state] = [...json.correct_rollouts];
  tree.incorrectRollouts[state] = [...json.incorrect_rollouts];
  if (json.critique) critiques.set(state, json.critique);
  for (const child of json.children) {
    readState(tree, tree.addState(state, child.partial_solution), child, critiques);
  }
}

function stateToJson(
  tree: StateTree,
  state: StateIndex,
  critiques: ReadonlyMap<StateIndex, Critique>,
): StateJson {
  const value = tree.value(state);
  const correct = tree.correct[state] ?? 0;
  const graded = tree.graded[state] ?? 0;
  const critique = critiques.get(state);
  return {
    partial_solution: tree.segment(state),
    mc_value: Number.isNaN(value) ? null : value,
    visit_count: tree.visits[state] ?? 0,
    correct_rollouts: tree.correctRollouts[state] ?? [],
    incorrect_rollouts: tree.incorrectRollouts[state] ?? [],
    children: tree.children(state).map((child) => stateToJson(tree, child, critiques)),
    counts: { correct, graded, ungraded: tree.ungraded[state] ?? 0 },
    interval: graded > 0 ? credibleInterval(correct, graded) : null,
    ...(critique ? { critique } : {}),
  };
}
