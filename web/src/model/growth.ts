/** In which order a tree's nodes came to be. */
import { qValue } from '../../../search/labels/candidate-pool.js';
import type { Selection } from '../../../search/labels/result.js';
import type { ViewPuct } from '../../../src/server/view-types.js';
import type { ViewNode, ViewTree } from './view-tree.js';

export interface Growth {
  /** The time of each node, by its index; the root is 0. Several nodes may share a time. */
  readonly times: Int32Array;
  readonly last: number;
  /** `created`: as it was; `file`: the files don't tell, so it is their order. */
  readonly kind: 'created' | 'file';
  /** OmegaPRM: the search (from 1) in which a time lies; 0 before the first. */
  readonly searches: readonly number[];
}

/** Solves: solutions in their order. */
export function fileGrowth(tree: ViewTree): Growth {
  const times = Int32Array.from(tree.nodes, ({ index }) => index);
  return { times, last: Math.max(0, tree.nodes.length - 1), kind: 'file', searches: [] };
}

/** The nodes of a solve are made solution by solution, so their numbers are their times. */
export function createdInOrder(tree: ViewTree): Growth {
  return { ...fileGrowth(tree), kind: 'created' };
}

/** OmegaPRM's order, found by doing its binary searches again over the finished tree: every midpoint
 *  is the next child, in the order of the file, of the last prefix that was not worth 0.
 *  States that no search made (whole right solutions under the root, added at its estimate) come
 *  with their parent. @returns file order if the searches don't fit the tree */
export function omegaPrmGrowth(tree: ViewTree, selections: readonly Selection[]): Growth {
  const { nodes } = tree;
  const times = new Int32Array(nodes.length).fill(-1);
  const searches = [0];
  const used = new Int32Array(nodes.length);
  const byPrefix = indexByPrefix(tree);
  const visits = new Int32Array(nodes.length);
  const taken = new Set<string>();
  times[0] = 0;
  let now = 0;
  selections.forEach(({ prefix, rollout }, search) => {
    const text = rollout.join(SEPARATOR);
    const holders = (byPrefix.get(prefix.join(SEPARATOR)) ?? []).filter((at) => {
      const holds = nodes[at]?.incorrectRollouts.some((one) => one.join(SEPARATOR) === text);
      const isWaiting = (times[at] ?? -1) >= 0 && !taken.has(`${at} ${text}`);
      // A state that never recovers is not searched.
      return holds && isWaiting && (nodes[at]?.value ?? 0) > 0;
    });
    // Several states may have these steps. The search took the one of the highest priority.
    const priority = (at: number) => priorityOf(tree, at, rollout, visits[at] ?? 0, search);
    const selected = holders.sort(
      (a, b) =>
        priority(b) - priority(a) ||
        (visits[a] ?? 0) - (visits[b] ?? 0) ||
        (times[a] ?? 0) - (times[b] ?? 0),
    )[0];
    if (selected === undefined) return;
    visits[selected] = (visits[selected] ?? 0) + 1;
    taken.add(`${selected} ${text}`);
    for (const created of searchAgain(nodes, used, selected, rollout)) {
      now++;
      times[created] = now;
      searches[now] = search + 1;
    }
  });
  let isExact = true;
  // Parents come first in the numbering.
  for (const { index, parent, ends } of nodes) {
    if ((times[index] ?? -1) >= 0) continue;
    if (ends === null) isExact = false;
    times[index] = times[parent] ?? 0;
  }
  return isExact ? { times, last: now, kind: 'created', searches } : fileGrowth(tree);
}

const SEPARATOR = '\u0001';

/** Q + U at the moment of a selection, when so many searches were done. */
function priorityOf(
  { nodes, puct }: ViewTree,
  at: number,
  rollout: readonly string[],
  visits: number,
  searches: number,
): number {
  const { cPuct } = puct ?? MM_PRM;
  const u = (cPuct * Math.sqrt(searches)) / (1 + visits);
  return qValue(nodes[at]?.value ?? 0, rollout, puct ?? MM_PRM) + u;
}

/** MM-PRM's values, for files that don't tell theirs. */
const MM_PRM: ViewPuct = { cPuct: 0.125, alpha: 0.5, beta: 0.9, lengthScale: 500 };

/** The states that the binary search of a rollout made below a state, in order. */
function* searchAgain(
  nodes: readonly ViewNode[],
  used: Int32Array,
  selected: number,
  rollout: readonly string[],
): Generator<number> {
  let parent = selected;
  let left = 0;
  let right = rollout.length - 1;
  while (left <= right) {
    const middle = (left + right) >> 1;
    const child = nextChild(nodes, used, parent, rollout.slice(left, middle + 1));
    // A midpoint without a gradable rollout was not added, and ended its search.
    if (child === null) return;
    yield child;
    if (nodes[child]?.value === 0) {
      right = middle - 1;
    } else {
      parent = child;
      left = middle + 1;
    }
  }
}

/** The first child with this segment behind those that are taken. */
function nextChild(
  nodes: readonly ViewNode[],
  used: Int32Array,
  parent: number,
  segment: readonly string[],
): number | null {
  const children = nodes[parent]?.children ?? [];
  const text = segment.join(SEPARATOR);
  for (let at = used[parent] ?? 0; at < children.length; at++) {
    const child = children[at] as number;
    if (nodes[child]?.steps.join(SEPARATOR) !== text) continue;
    used[parent] = at + 1;
    return child;
  }
  return null;
}

function indexByPrefix({ nodes }: ViewTree): Map<string, number[]> {
  const prefixes: string[] = [];
  const index = new Map<string, number[]>();
  for (const node of nodes) {
    const own = node.steps.join(SEPARATOR);
    const above = prefixes[node.parent] ?? '';
    const prefix = above === '' || own === '' ? above + own : above + SEPARATOR + own;
    prefixes.push(prefix);
    const same = index.get(prefix);
    if (same) same.push(node.index);
    else index.set(prefix, [node.index]);
  }
  return index;
}
