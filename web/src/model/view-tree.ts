/** One shape for all trees that the page draws: of a labelling, of a solve's candidates, of a live
 *  solve. Nodes are numbered in the order of their parents' files, parents first. */
import { qValue } from '../../../search/labels/candidate-pool.js';
import type { StateJson, TreeJson } from '../../../search/labels/tree-json.js';
import type { SearchState } from '../../../search/strategies/result.js';
import type { Critique, VerdictKind } from '../../../search/types.js';
import type { ViewCandidate, ViewPuct, ViewSolveReport } from '../../../src/server/view-types.js';

export interface ViewNode {
  readonly index: number;
  /** -1 at the root. */
  readonly parent: number;
  readonly children: number[];
  readonly depth: number;
  /** Steps between the parent's prefix and this one's; empty at the root. */
  readonly steps: readonly string[];
  /** Monte Carlo value or soft label, in [0, 1]. */
  value: number | null;
  interval: readonly [number, number] | null;
  /** Step score of its last step, in [0, 1]. */
  score: number | null;
  /** Selections (labels), simulations (MCTS), or solutions that go through it (other solves). */
  visits: number;
  correct: number;
  graded: number;
  ungraded: number;
  readonly correctRollouts: readonly (readonly string[])[];
  readonly incorrectRollouts: readonly (readonly string[])[];
  /** Q and U at the end of the search, OmegaPRM's of its best waiting rollout; null where the method has
   *  none. */
  q: number | null;
  u: number | null;
  /** Prior of the state among its siblings, of MCTS. */
  prior: number | null;
  readonly critique: Critique | null;
  /** Whether a solution ends here, and how it was graded. */
  ends: VerdictKind | 'unknown' | null;
  /** Indices of the candidates that go through it. */
  readonly candidates: number[];
}

export type GrowthKind = 'created' | 'file';

export interface ViewTree {
  readonly nodes: readonly ViewNode[];
  /** What `visits` counts. */
  readonly visitsMean: 'searches' | 'simulations' | 'solutions';
  /** The path that the strategy chose, root first; empty where none was chosen. */
  readonly chosen: readonly number[];
  readonly candidates: readonly ViewCandidate[];
  readonly puct: ViewPuct | null;
}

export function labelTree(tree: TreeJson, puct: ViewPuct | null): ViewTree {
  const nodes: ViewNode[] = [];
  const totalVisits = sumOfVisits(tree);
  const open: {
    state: Omit<StateJson, 'partial_solution'>;
    steps: readonly string[];
    parent: number;
  }[] = [{ state: tree, steps: [], parent: -1 }];
  // Depth first and in the order of the file; a stack, since a tree may be deep.
  for (let next = open.pop(); next; next = open.pop()) {
    const { state, steps, parent } = next;
    const node = stateNode(nodes.length, parent, nodes[parent]?.depth ?? -1, steps, state, {
      puct,
      totalVisits,
    });
    nodes.push(node);
    nodes[parent]?.children.push(node.index);
    for (let i = state.children.length - 1; i >= 0; i--) {
      const child = state.children[i];
      if (child) open.push({ state: child, steps: child.partial_solution, parent: node.index });
    }
  }
  return { nodes, visitsMean: 'searches', chosen: [], candidates: [], puct };
}

function stateNode(
  index: number,
  parent: number,
  parentDepth: number,
  steps: readonly string[],
  state: Omit<StateJson, 'partial_solution'>,
  { puct, totalVisits }: { puct: ViewPuct | null; totalVisits: number },
): ViewNode {
  const { correct = 0, graded = 0, ungraded = 0 } = state.counts ?? {};
  const value = state.mc_value;
  const wrong = state.incorrect_rollouts ?? [];
  const isSearched = puct !== null && value !== null && value > 0 && wrong.length > 0;
  // A state without rollouts is a solution's end, and its value is the solution's verdict.
  const isEnd = graded === 0 && ungraded === 0 && parent >= 0 && value !== null;
  return {
    index,
    parent,
    children: [],
    depth: parentDepth + 1,
    steps,
    value,
    interval: state.interval ?? null,
    score: null,
    visits: state.visit_count ?? 0,
    correct,
    graded,
    ungraded,
    correctRollouts: state.correct_rollouts ?? [],
    incorrectRollouts: wrong,
    q: isSearched ? Math.max(...wrong.map((rollout) => qValue(value, rollout, puct))) : null,
    u: isSearched ? (puct.cPuct * Math.sqrt(totalVisits)) / (1 + (state.visit_count ?? 0)) : null,
    prior: null,
    critique: state.critique ?? null,
    ends: isEnd ? (value === 1 ? 'equal' : 'different') : null,
    candidates: [],
  };
}

function sumOfVisits(tree: TreeJson): number {
  let sum = 0;
  const open: Omit<StateJson, 'partial_solution'>[] = [tree];
  for (let state = open.pop(); state; state = open.pop()) {
    sum += state.visit_count ?? 0;
    open.push(...state.children);
  }
  return sum;
}

/** The prefix tree of a solve's states (MCTS) or candidates, a node per step. Values are shares of
 *  graded candidates. */
export function solveTree(report: ViewSolveReport): ViewTree {
  const grower = new PathGrower();
  const { states } = report;
  if (states) {
    const paths = pathsOfStates(states);
    setFigures(grower.nodes, states, (i) => grower.add(paths[i] ?? [], null).at(-1));
  }
  const paths = report.candidates.map((candidate, i) => {
    const path = grower.add(candidate.steps, candidate.stepScores);
    for (const at of path) {
      const node = grower.nodes[at] as ViewNode;
      node.candidates.push(i);
      if (!states) node.visits++;
      if (candidate.verdict === 'ungraded') node.ungraded++;
      else if (candidate.verdict !== null) node.graded++;
      if (candidate.verdict === 'equal') node.correct++;
    }
    const end = grower.nodes[path.at(-1) ?? 0];
    if (end && end.parent >= 0) end.ends = candidate.verdict ?? 'unknown';
    return path;
  });
  for (const node of grower.nodes) {
    node.value = node.graded > 0 ? node.correct / node.graded : null;
  }
  return {
    nodes: grower.nodes,
    visitsMean: states ? 'simulations' : 'solutions',
    chosen: report.chosen === null ? [] : (paths[report.chosen] ?? []),
    candidates: report.candidates,
    puct: null,
  };
}

/** All steps from the root to each state. */
function pathsOfStates(states: readonly SearchState[]): readonly (readonly string[])[] {
  const paths: (readonly string[])[] = [];
  for (const { parent, steps } of states) paths.push([...(paths[parent] ?? []), ...steps]);
  return paths;
}

/** Notes Q, U, prior, visits and score of the states at their nodes. A state that ends and one that goes
 *  on with the same steps are one node; it has the figures of the one that was visited more.
 *  @param nodeOf index of the node at a state's end */
function setFigures(
  nodes: readonly ViewNode[],
  states: readonly SearchState[],
  nodeOf: (state: number) => number | undefined,
): void {
  const figured = new Set<number>();
  states.forEach(({ score, visits, q, u, prior }, i) => {
    const at = nodeOf(i);
    const node = at === undefined ? undefined : nodes[at];
    if (!node || (figured.has(node.index) && node.visits >= visits)) return;
    figured.add(node.index);
    Object.assign(node, { score, visits, q, u, prior });
  });
}

/** A node of a live solve, as the service's trace gives it. */
export interface TraceNode {
  readonly id: number;
  readonly parent: number;
  readonly text: string;
  readonly samples: number;
  readonly score: number | null;
  readonly outcome: number | null;
  readonly finish: string | null;
}

/** The tree of a solve under way. Ids are places in the list, parents first; the question is added
 *  in front as the root. */
export function traceTree(
  trace: readonly TraceNode[],
  chosenSteps: readonly string[] | null,
  candidates: readonly ViewCandidate[],
  states: readonly SearchState[] = [],
): ViewTree {
  const nodes = [emptyNode(0, -1, -1, [])];
  const places = new Map<number, number>([[-1, 0]]);
  for (const { id, parent, text, samples, score, outcome, finish } of trace) {
    const above = nodes[places.get(parent) ?? 0] as ViewNode;
    const node = emptyNode(nodes.length, above.index, above.depth, [text]);
    node.visits = samples;
    node.score = outcome ?? score;
    node.ends = finish === 'end' ? 'unknown' : null;
    above.children.push(node.index);
    places.set(id, node.index);
    nodes.push(node);
  }
  const chosen = chosenSteps === null ? [] : pathOf(nodes, chosenSteps);
  candidates.forEach(({ steps }, i) => {
    for (const at of pathOf(nodes, steps)) nodes[at]?.candidates.push(i);
  });
  const paths = pathsOfStates(states);
  setFigures(nodes, states, (i) => {
    const path = pathOf(nodes, paths[i] ?? []);
    return path.length > (paths[i]?.length ?? 0) ? path.at(-1) : undefined;
  });
  const visitsMean = states.length > 0 ? 'simulations' : 'solutions';
  return { nodes, visitsMean, chosen, candidates, puct: null };
}

function pathOf(nodes: readonly ViewNode[], steps: readonly string[]): number[] {
  const path = [0];
  for (const step of steps) {
    const here = nodes[path.at(-1) ?? 0];
    const next = here?.children.find((child) => nodes[child]?.steps[0] === step);
    if (next === undefined) break;
    path.push(next);
  }
  return path;
}

class PathGrower {
  readonly nodes: ViewNode[] = [emptyNode(0, -1, -1, [])];
  private readonly known = new Map<string, number>();

  /** @returns the path's nodes, root first */
  add(steps: readonly string[], scores: readonly number[] | null): number[] {
    const path = [0];
    let at = 0;
    steps.forEach((step, i) => {
      const key = `${at}\n${step}`;
      let child = this.known.get(key);
      if (child === undefined) {
        const parent = this.nodes[at] as ViewNode;
        child = this.nodes.length;
        this.nodes.push(emptyNode(child, at, parent.depth, [step]));
        parent.children.push(child);
        this.known.set(key, child);
      }
      const node = this.nodes[child] as ViewNode;
      node.score ??= scores?.[i] ?? null;
      at = child;
      path.push(at);
    });
    return path;
  }
}

function emptyNode(
  index: number,
  parent: number,
  parentDepth: number,
  steps: readonly string[],
): ViewNode {
  return {
    index,
    parent,
    children: [],
    depth: parentDepth + 1,
    steps,
    value: null,
    interval: null,
    score: null,
    visits: 0,
    correct: 0,
    graded: 0,
    ungraded: 0,
    correctRollouts: [],
    incorrectRollouts: [],
    q: null,
    u: null,
    prior: null,
    critique: null,
    ends: null,
    candidates: [],
  };
}

/** Nodes from the root to this one. */
export function pathTo({ nodes }: ViewTree, index: number): number[] {
  const path: number[] = [];
  for (let at = index; at >= 0; at = nodes[at]?.parent ?? -1) path.push(at);
  return path.reverse();
}

/** Steps from the root, as one text: what makes states of two trees the same. */
export function prefixKey(tree: ViewTree, index: number): string {
  return pathTo(tree, index)
    .flatMap((at) => tree.nodes[at]?.steps ?? [])
    .join('\n\n');
}

/** From the root always to the child of the highest value (or score), while there is one. */
export function bestPath({ nodes }: ViewTree): number[] {
  const worth = (node: ViewNode | undefined) => node?.value ?? node?.score ?? -1;
  const path = [0];
  for (let here = nodes[0]; here && here.children.length > 0; ) {
    let best = here.children[0] as number;
    for (const child of here.children) {
      if (worth(nodes[child]) > worth(nodes[best])) best = child;
    }
    path.push(best);
    here = nodes[best];
  }
  return path;
}
