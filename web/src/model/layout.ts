/** Where the nodes of a tree lie: depth to the right, siblings below one another. Made once per tree;
 *  drawing looks up what is in view. Units are CSS pixels at zoom 1. */
import { type HierarchyPointNode, hierarchy, tree as tidyTree } from 'd3-hierarchy';
import type { ViewNode } from './view-tree.js';

export const ROW = 26;
export const COLUMN = 236;

export interface TreeLayout {
  /** float32[nodes]; NaN for hidden nodes. */
  readonly x: Float32Array;
  readonly y: Float32Array;
  /** Nodes of each depth from top to bottom. Their parents' places rise with them, so that what a
   *  window shows of a column is found by two binary searches. */
  readonly columns: readonly Int32Array[];
  readonly width: number;
  readonly height: number;
  readonly shown: number;
}

/** @param isShown hidden nodes hide all below them
 *  @param folded nodes that are shown, and nothing below them */
export function layOut(
  nodes: readonly ViewNode[],
  isShown: (node: ViewNode) => boolean = () => true,
  folded: ReadonlySet<number> = new Set(),
): TreeLayout {
  const x = new Float32Array(nodes.length).fill(Number.NaN);
  const y = new Float32Array(nodes.length).fill(Number.NaN);
  const root = nodes[0];
  if (!root) return { x, y, columns: [], width: 0, height: 0, shown: 0 };
  const top = hierarchy(root, ({ index, children }) =>
    folded.has(index)
      ? []
      : children.flatMap((child) => {
          const below = nodes[child];
          return below && isShown(below) ? [below] : [];
        }),
  );
  const placed = tidyTree<ViewNode>()
    .nodeSize([ROW, COLUMN])
    .separation((a, b) => (a.parent === b.parent ? 1 : 1.25))(top);
  return gather(placed, x, y);
}

function gather(
  placed: HierarchyPointNode<ViewNode>,
  x: Float32Array,
  y: Float32Array,
): TreeLayout {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  let shown = 0;
  const depths: number[][] = [];
  // Breadth first, children in order: every column comes out from top to bottom.
  for (const node of placed) {
    low = Math.min(low, node.x);
    high = Math.max(high, node.x);
  }
  for (const node of placed) {
    const { index } = node.data;
    x[index] = node.y;
    y[index] = node.x - low;
    shown++;
    const column = depths[node.depth];
    if (column) column.push(index);
    else depths[node.depth] = [index];
  }
  const columns = depths.map((column) => Int32Array.from(column));
  return { x, y, columns, width: (columns.length - 1) * COLUMN, height: high - low, shown };
}

/** First place of a rising sequence whose value is at least `bound`; its length if none is. */
export function lowerBound(length: number, bound: number, at: (i: number) => number): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at(middle) < bound) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The node nearest to a point, within `reach`, or null. */
export function nodeAt(
  { x, y, columns }: TreeLayout,
  px: number,
  py: number,
  reach: { readonly left: number; readonly right: number; readonly down: number },
): number | null {
  let best: number | null = null;
  let nearest = Number.POSITIVE_INFINITY;
  const first = Math.max(0, Math.ceil((px - reach.right) / COLUMN));
  const last = Math.min(columns.length - 1, Math.floor((px + reach.left) / COLUMN));
  for (let depth = first; depth <= last; depth++) {
    const column = columns[depth] as Int32Array;
    const yAt = (i: number) => y[column[i] as number] as number;
    for (let i = lowerBound(column.length, py - reach.down, yAt); i < column.length; i++) {
      const node = column[i] as number;
      const distance = Math.abs((y[node] as number) - py);
      if ((y[node] as number) - py > reach.down) break;
      // Where two columns overlap the one whose circle is nearer wins.
      const total = distance + Math.abs((x[node] as number) - px) / 1000;
      if (total < nearest) {
        nearest = total;
        best = node;
      }
    }
  }
  return best;
}
