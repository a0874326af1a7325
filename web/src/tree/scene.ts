/** What the painter needs of a tree, worked out once and not in every frame. */
import { bucketOf, type ColourBy, changeOf, SCALES } from '../model/colour.js';
import { countBelow } from '../model/fold.js';
import { layOut, type TreeLayout } from '../model/layout.js';
import { plainLine } from '../model/maths.js';
import type { ViewNode, ViewTree } from '../model/view-tree.js';
import { signed } from '../parts/numbers.js';

export function treeLayout(
  tree: ViewTree,
  showsEnds: boolean,
  folded: ReadonlySet<number>,
): TreeLayout {
  return layOut(tree.nodes, (node) => showsEnds || !isRightEnd(node), folded);
}

/** How many states each folded one hides. */
export function foldedCounts(
  tree: ViewTree,
  folded: ReadonlySet<number>,
): ReadonlyMap<number, number> {
  if (folded.size === 0) return new Map();
  const below = countBelow(tree);
  return new Map([...folded].map((at) => [at, below[at] ?? 0]));
}

/** A right rollout of a labelling, which became a leaf of its own. */
export function isRightEnd({ ends, candidates }: ViewNode): boolean {
  return ends === 'equal' && candidates.length === 0;
}

export function treeLabels(tree: ViewTree): string[] {
  return tree.nodes.map(({ steps, parent }) =>
    parent < 0 ? 'Question' : plainLine(steps.join(' ⏎ ').slice(0, 240)),
  );
}

/** The number before a node's text, in the terms of its colour; none where a mark says it. */
export function treeValues(tree: ViewTree, by: ColourBy): string[] {
  return tree.nodes.map((node) => {
    if (node.ends === 'equal' || node.ends === 'different') return '';
    if (by === 'change') {
      const change = changeOf(node, tree.nodes[node.parent]);
      return change === null ? '' : signed(change);
    }
    if (by === 'width')
      return node.interval ? (node.interval[1] - node.interval[0]).toFixed(2) : '';
    const value = SCALES[by].of(node, tree);
    return value === null ? '' : value.toFixed(2);
  });
}

export function treeBuckets(tree: ViewTree, by: ColourBy): Int8Array {
  const { of } = SCALES[by];
  return Int8Array.from(tree.nodes, (node) => {
    const share = of(node, tree);
    return share === null ? -1 : bucketOf(share);
  });
}

const SMALL = 4;
const LARGE = 9.5;

/** Radii whose area grows with the visits; with the rollouts where a method counts no visits. */
export function treeRadii(tree: ViewTree): Float32Array {
  const visited = tree.nodes.some(({ visits }) => visits > 0);
  const sizeOf = ({ visits, graded, ungraded }: ViewNode) => (visited ? visits : graded + ungraded);
  let most = 0;
  for (const node of tree.nodes) most = Math.max(most, sizeOf(node));
  return Float32Array.from(tree.nodes, (node) => {
    const share = most > 0 ? sizeOf(node) / most : 0;
    return SMALL + (LARGE - SMALL) * Math.sqrt(share);
  });
}

/** uint8[nodes]: 1 where the step's text holds all words of the search, in any case. */
export function treeMatches(tree: ViewTree, search: string): Uint8Array | null {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return null;
  return Uint8Array.from(tree.nodes, ({ steps }) => {
    const text = steps.join(' ').toLowerCase();
    return words.every((word) => text.includes(word)) ? 1 : 0;
  });
}
