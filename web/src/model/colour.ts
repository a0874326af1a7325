/** Values as colours: orange for low, grey for middle, blue for high, which people with any of the
 *  usual colour blindnesses tell apart, and which keeps its contrast in print. */
import type { ViewNode, ViewTree } from './view-tree.js';

export type ColourBy = 'value' | 'score' | 'change' | 'width';

export interface ColourScale {
  readonly name: string;
  readonly low: string;
  readonly high: string;
  readonly hint: string;
  /** In [0, 1]; null where the node has nothing to show. */
  readonly of: (node: ViewNode, tree: ViewTree) => number | null;
}

export const SCALES: Readonly<Record<ColourBy, ColourScale>> = {
  value: {
    name: 'Soft label',
    low: '0',
    high: '1',
    hint: 'share of graded rollouts from here that reach the gold answer',
    of: ({ value }) => value,
  },
  score: {
    name: 'Step score',
    low: '0',
    high: '1',
    hint: "the reward model's P(correct) of the step",
    of: ({ score }) => score,
  },
  change: {
    name: 'Change',
    low: '−1',
    high: '+1',
    hint: 'value (or score) against the parent: where a solution goes wrong',
    of: (node, { nodes }) => {
      const change = changeOf(node, nodes[node.parent]);
      return change === null ? null : (change + 1) / 2;
    },
  },
  width: {
    name: 'Interval width',
    low: '1',
    high: '0',
    hint: 'width of the 95 % credible interval: blue is sure',
    of: ({ interval }) => (interval ? 1 - (interval[1] - interval[0]) : null),
  },
};

/** As the tree at hand calls it: of candidates, a value is no label. */
export function scaleName(by: ColourBy, { candidates }: ViewTree): string {
  return by === 'value' && candidates.length > 0 ? 'Share right' : SCALES[by].name;
}

export function changeOf(node: ViewNode, parent: ViewNode | undefined): number | null {
  if (!parent) return null;
  if (node.value !== null && parent.value !== null) return node.value - parent.value;
  if (node.score !== null && parent.score !== null) return node.score - parent.score;
  return null;
}

/** Which scales have anything to show for a tree. */
export function usableScales(tree: ViewTree): ColourBy[] {
  return (Object.keys(SCALES) as ColourBy[]).filter((by) =>
    tree.nodes.some((node) => SCALES[by].of(node, tree) !== null),
  );
}

type Rgb = readonly [number, number, number];

const STOPS: Readonly<Record<'light' | 'dark', readonly Rgb[]>> = {
  light: [
    [190, 76, 0],
    [232, 150, 84],
    [176, 174, 170],
    [104, 158, 212],
    [18, 92, 172],
  ],
  dark: [
    [255, 136, 46],
    [204, 132, 82],
    [128, 128, 130],
    [92, 146, 206],
    [84, 170, 255],
  ],
};

/** Colours are drawn in so many classes, so that one fill style serves many nodes. */
export const BUCKETS = 21;

export function scaleColours(theme: 'light' | 'dark'): readonly string[] {
  return Array.from({ length: BUCKETS }, (_, i) => colourAt(i / (BUCKETS - 1), theme));
}

export function bucketOf(share: number): number {
  return Math.round(Math.min(1, Math.max(0, share)) * (BUCKETS - 1));
}

export function colourAt(share: number, theme: 'light' | 'dark'): string {
  const stops = STOPS[theme];
  const place = Math.min(1, Math.max(0, share)) * (stops.length - 1);
  const below = Math.min(stops.length - 2, Math.floor(place));
  const [from, to] = [stops[below] as Rgb, stops[below + 1] as Rgb];
  const mixed = from.map((c, i) => Math.round(c + ((to[i] ?? c) - c) * (place - below)));
  return `rgb(${mixed.join(' ')})`;
}
