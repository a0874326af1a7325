/** Two results over the same problems: is one better? */
import { groupBy } from './group-by.js';
import type { CellResults, ResultRow } from './results.js';
import { average, type Estimate, pairedDifference } from './statistics.js';

export interface Comparison {
  /** Problems that both answered; the others are left out. */
  readonly problems: number;
  readonly onlyA: number;
  readonly onlyB: number;
  /** Over the common problems; an ungraded answer is not correct. */
  readonly accuracyA: number;
  readonly accuracyB: number;
  /** A minus B, 95 % paired bootstrap over problems. */
  readonly difference: Estimate;
  readonly mcNemar: McNemar;
}

export interface McNemar {
  /** Pairs of equal problem and seed that A has right and B wrong. */
  readonly onlyARight: number;
  readonly onlyBRight: number;
  /** Two-sided, exact. */
  readonly pValue: number;
}

export function compareResults(a: CellResults, b: CellResults): Comparison {
  const rowsA = groupBy(a.rows, ({ id }) => id);
  const rowsB = groupBy(b.rows, ({ id }) => id);
  const common = [...rowsA.keys()].filter((id) => rowsB.has(id));
  const valuesA = common.map((id) => shareRight(rowsA.get(id) ?? []));
  const valuesB = common.map((id) => shareRight(rowsB.get(id) ?? []));
  return {
    problems: common.length,
    onlyA: rowsA.size - common.length,
    onlyB: rowsB.size - common.length,
    accuracyA: average(valuesA),
    accuracyB: average(valuesB),
    difference: pairedDifference(valuesA, valuesB),
    mcNemar: mcNemarOf(a.rows, b.rows),
  };
}

function shareRight(rows: readonly ResultRow[]): number {
  return average(rows.map(({ verdict }) => (verdict === 'correct' ? 1 : 0)));
}

function mcNemarOf(a: readonly ResultRow[], b: readonly ResultRow[]): McNemar {
  const right = new Map(b.map((row) => [`${row.seed} ${row.id}`, row.verdict === 'correct']));
  let onlyARight = 0;
  let onlyBRight = 0;
  for (const row of a) {
    const other = right.get(`${row.seed} ${row.id}`);
    const own = row.verdict === 'correct';
    if (other === undefined || other === own) continue;
    if (own) onlyARight++;
    else onlyBRight++;
  }
  return { onlyARight, onlyBRight, pValue: mcNemarExact(onlyARight, onlyBRight) };
}

/** McNemar's test by the binomial distribution, two-sided: 2 P(X <= min(b, c)) for X ~ Bin(b + c, 1/2), 1 at
 *  most. Several seeds of a problem are not independent: then it is too sure, and the bootstrap over
 *  problems is to be read. */
export function mcNemarExact(b: number, c: number): number {
  const n = b + c;
  let logTerm = -n * Math.LN2;
  let tail = Math.exp(logTerm);
  for (let k = 1; k <= Math.min(b, c); k++) {
    logTerm += Math.log(n - k + 1) - Math.log(k);
    tail += Math.exp(logTerm);
  }
  return Math.min(1, 2 * tail);
}
