/** States whose descendants are folded away. */
import type { ViewTree } from './view-tree.js';

/** int32[nodes]: states below each state. */
export function countBelow({ nodes }: Pick<ViewTree, 'nodes'>): Int32Array {
  const below = new Int32Array(nodes.length);
  // Parents come first in the numbering.
  for (let at = nodes.length - 1; at > 0; at--) {
    const parent = nodes[at]?.parent ?? -1;
    if (parent >= 0) below[parent] = (below[parent] ?? 0) + (below[at] ?? 0) + 1;
  }
  return below;
}

/** Folds a state that has something below it, or unfolds it. */
export function toggleFold(
  folded: ReadonlySet<number>,
  { nodes }: Pick<ViewTree, 'nodes'>,
  at: number,
): ReadonlySet<number> {
  if ((nodes[at]?.children.length ?? 0) === 0) return folded;
  const next = new Set(folded);
  if (!next.delete(at)) next.add(at);
  return next;
}

/** Unfolds what hides a state. */
export function unfoldAbove(
  folded: ReadonlySet<number>,
  { nodes }: Pick<ViewTree, 'nodes'>,
  at: number,
): ReadonlySet<number> {
  const next = new Set(folded);
  for (let up = nodes[at]?.parent ?? -1; up >= 0; up = nodes[up]?.parent ?? -1) next.delete(up);
  return next.size === folded.size ? folded : next;
}
