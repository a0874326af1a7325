/** Walking over a tree with the keyboard. */
import type { TreeLayout } from './layout.js';
import { bestPath, type ViewTree } from './view-tree.js';

/** The node that a key leads to, or null if the key is no walk or there is none. Up and down stay in
 *  the column and go on over cousins; right goes to the child that was visited last, else the first. */
export function walk(
  key: string,
  at: number,
  tree: ViewTree,
  layout: TreeLayout,
  lastChild: ReadonlyMap<number, number>,
): number | null {
  const node = tree.nodes[at];
  if (!node) return null;
  const isShown = (one: number | undefined): one is number =>
    one !== undefined && one >= 0 && !Number.isNaN(layout.x[one] ?? Number.NaN);
  switch (key) {
    case 'ArrowLeft':
      return isShown(node.parent) ? node.parent : null;
    case 'ArrowRight': {
      const known = lastChild.get(at);
      return isShown(known) ? known : (node.children.find(isShown) ?? null);
    }
    case 'ArrowUp':
    case 'ArrowDown': {
      const column = layout.columns[node.depth] ?? new Int32Array();
      const next = column[column.indexOf(at) + (key === 'ArrowUp' ? -1 : 1)];
      return isShown(next) ? next : null;
    }
    case 'Home':
      return 0;
    case 'End':
      return (tree.chosen.length > 0 ? tree.chosen : bestPath(tree)).filter(isShown).at(-1) ?? null;
    default:
      return null;
  }
}

/** The next match after (or before) a node in reading order, around the end. */
export function nextMatch(
  matches: Uint8Array | null,
  at: number,
  direction: 1 | -1,
  isShown: (node: number) => boolean,
): number | null {
  if (!matches) return null;
  for (let step = 1; step <= matches.length; step++) {
    const node = (at + direction * step + matches.length * 2) % matches.length;
    if (matches[node] === 1 && isShown(node)) return node;
  }
  return null;
}
