/** Filters and orders of the problem table. */
import type { ViewProblemRow } from '../../../src/server/view-types.js';

export const SHOWN = ['all', 'mixed', 'right', 'wrong', 'failed'] as const;
export type Shown = (typeof SHOWN)[number];

export const SHOWN_NAMES: Readonly<Record<Shown, string>> = {
  all: 'All',
  mixed: 'Mixed value',
  right: 'All right',
  wrong: 'None right',
  failed: 'Failed',
};

/** `mixed`: some rollouts right and some wrong, where labels tell most. */
export function isShown(row: ViewProblemRow, shown: Shown): boolean {
  const { value, status } = row;
  switch (shown) {
    case 'all':
      return true;
    case 'mixed':
      return value !== null && value > 0 && value < 1;
    case 'right':
      return value === 1;
    case 'wrong':
      return value === 0;
    case 'failed':
      return status === 'failed';
  }
}

export interface RowFilter {
  readonly shown: Shown;
  /** A group's name; empty is all. */
  readonly group: string;
  readonly text: string;
}

export function filterRows(
  rows: readonly ViewProblemRow[],
  { shown, group, text }: RowFilter,
): ViewProblemRow[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => {
    if (!isShown(row, shown) || (group !== '' && row.group !== group)) return false;
    const { id, question, gold, error } = row;
    const all = `${id} ${question} ${gold ?? ''} ${error?.code ?? ''}`.toLowerCase();
    return words.every((word) => all.includes(word));
  });
}

export const SORTS = ['id', 'question', 'group', 'gold', 'value', 'states', 'rollouts'] as const;
export type SortBy = (typeof SORTS)[number];

/** A stable order; what has no value comes last either way. `null` keeps the file's order. */
export function sortRows(
  rows: readonly ViewProblemRow[],
  by: SortBy | null,
  isDown: boolean,
): readonly ViewProblemRow[] {
  if (by === null) return rows;
  const sign = isDown ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [a[by], b[by]];
    if (x === null || y === null) return Number(x === null) - Number(y === null);
    if (typeof x === 'number' && typeof y === 'number') return sign * (x - y);
    return sign * String(x).localeCompare(String(y), 'en', { numeric: true });
  });
}

export function groupsOf(rows: readonly ViewProblemRow[]): string[] {
  return [...new Set(rows.flatMap(({ group }) => (group === null ? [] : [group])))].sort();
}
