/** Two runs, problem by problem and state by state. */
import type { ViewProblemRow } from '../../../src/server/view-types.js';
import { prefixKey, type ViewTree } from './view-tree.js';

export interface ComparedRow {
  readonly id: string;
  readonly question: string;
  readonly a: ViewProblemRow | null;
  readonly b: ViewProblemRow | null;
  /** b's value minus a's; null where one has none. */
  readonly difference: number | null;
}

/** Problems of either run in a's order, then those of b alone. */
export function compareRows(
  a: readonly ViewProblemRow[],
  b: readonly ViewProblemRow[],
): ComparedRow[] {
  const inB = new Map(b.map((row) => [row.id, row]));
  const inA = new Set(a.map(({ id }) => id));
  const pairs: [ViewProblemRow | null, ViewProblemRow | null][] = [
    ...a.map((row): [ViewProblemRow, ViewProblemRow | null] => [row, inB.get(row.id) ?? null]),
    ...b.flatMap((row): [null, ViewProblemRow][] => (inA.has(row.id) ? [] : [[null, row]])),
  ];
  return pairs.map(([left, right]) => {
    const [x, y] = [left?.value ?? null, right?.value ?? null];
    return {
      id: left?.id ?? right?.id ?? '',
      question: left?.question || right?.question || '',
      a: left,
      b: right,
      difference: x === null || y === null ? null : y - x,
    };
  });
}

/** The node of `other` with the same steps from the question, or null. Where several have them, one
 *  that goes on is taken before one that ends. */
export function twinOf(tree: ViewTree, node: number, other: TwinIndex): number | null {
  return other.get(prefixKey(tree, node)) ?? null;
}

export type TwinIndex = ReadonlyMap<string, number>;

export function twinIndex(tree: ViewTree): TwinIndex {
  const index = new Map<string, number>();
  for (const { index: at, children } of tree.nodes) {
    const key = prefixKey(tree, at);
    if (!index.has(key) || children.length > 0) index.set(key, at);
  }
  return index;
}
