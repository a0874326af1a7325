import type { BenchRow } from './bench-run.js';
import { type Cell, cellName } from './cells.js';
import { groupBy } from './group-by.js';
import { average, bootstrapMean, type Estimate, pairedDifference } from './statistics.js';

/** One cell over all problems and seeds. */
export interface CellSummary {
  readonly cell: string;
  readonly strategy: string;
  readonly n: number;
  /** Share of problems answered right; seeds of a problem are averaged. */
  readonly accuracy: Estimate;
  /** The same over subsets of the strategy's largest pool: votes and best-of-N at smaller N, without bias and
   *  with less chance in it. */
  readonly pooledAccuracy?: Estimate;
  /** Share of problems of which some candidate is right: what a perfect choice would reach. */
  readonly oracle: Estimate;
  /** Means per problem. */
  readonly policyTokens: number;
  readonly prmTokens: number;
  readonly criticTokens: number;
  readonly calls: number;
  readonly seconds: number;
  /** Rows without a verdict; they count as not right, and here they show. */
  readonly ungraded: number;
  readonly warnings: number;
  /** Accuracy minus the baseline's at the same N, problem by problem. */
  readonly againstBaseline?: Estimate;
  /** Policy tokens over the baseline's: a comparison is one at equal tokens where this is 1 or less. */
  readonly tokensOfBaseline?: number;
}

/** @param baseline a cell's label; compared at the same N, or at its only one */
export function summarize(
  cells: readonly Cell[],
  rows: readonly BenchRow[],
  baseline: string,
): CellSummary[] {
  const byCell = groupBy(rows, (row) => cellName({ label: row.strategy, n: row.n }));
  const correct = (name: string) => perProblem(byCell.get(name) ?? [], (row) => row.correct);
  const baseCells = cells.filter(({ label }) => label === baseline);
  return cells.flatMap((cell) => {
    const name = cellName(cell);
    const own = byCell.get(name) ?? [];
    if (own.length === 0) return [];
    const base =
      baseCells.find(({ n }) => n === cell.n) ?? baseCells.find(() => baseCells.length === 1);
    const accuracy = correct(name);
    const compared = base && base.label !== cell.label ? correct(cellName(base)) : null;
    const mean = (pick: (row: BenchRow) => number) => average(own.map(pick));
    const baseRows = (base && byCell.get(cellName(base))) ?? [];
    const baseTokens = average(baseRows.map((row) => row.policyTokens));
    return {
      cell: name,
      strategy: cell.label,
      n: cell.n,
      accuracy: bootstrapMean(accuracy),
      ...pooledAccuracyOf(own),
      oracle: bootstrapMean(perProblem(own, (row) => row.oracle)),
      policyTokens: mean((row) => row.policyTokens),
      prmTokens: mean((row) => row.prmTokens),
      criticTokens: mean((row) => row.criticTokens),
      calls: mean((row) => row.calls),
      seconds: mean((row) => row.seconds),
      ungraded: own.filter((row) => row.verdict === 'ungraded').length,
      warnings: own.filter((row) => row.warnings.length > 0).length,
      ...(compared && compared.length === accuracy.length
        ? {
            againstBaseline: pairedDifference(accuracy, compared),
            ...(baseTokens > 0
              ? { tokensOfBaseline: mean((row) => row.policyTokens) / baseTokens }
              : {}),
          }
        : {}),
    };
  });
}

function pooledAccuracyOf(rows: readonly BenchRow[]): Pick<CellSummary, 'pooledAccuracy'> {
  if (rows.some(({ expected }) => expected === undefined)) return {};
  const values = [...groupBy(rows, ({ id }) => id).values()].map((same) =>
    average(same.map(({ expected = 0 }) => expected)),
  );
  return { pooledAccuracy: bootstrapMean(values) };
}

/** One value per problem in order of first appearance, averaged over its seeds. */
function perProblem(rows: readonly BenchRow[], pick: (row: BenchRow) => boolean): number[] {
  return [...groupBy(rows, (row) => row.id).values()].map((same) =>
    average(same.map((row) => (pick(row) ? 1 : 0))),
  );
}

/** The table as Markdown. */
export function summaryTable(summaries: readonly CellSummary[], baseline: string): string {
  const percent = ({ mean, low, high }: Estimate, sign = false) => {
    const shown = (value: number) => `${sign && value >= 0 ? '+' : ''}${(100 * value).toFixed(1)}`;
    return `${shown(mean)} (${shown(low)} to ${shown(high)})`;
  };
  const whole = (value: number) => Math.round(value).toLocaleString('en');
  const pooled = summaries.some(({ pooledAccuracy }) => pooledAccuracy);
  const versus = summaries.some(({ againstBaseline }) => againstBaseline);
  const head = [
    'strategy',
    'N',
    'accuracy %',
    ...(pooled ? ['over subsets %'] : []),
    'oracle %',
    'policy tokens',
    'PRM tokens',
    'critic tokens',
    's of new calls',
  ];
  const lines = summaries.map((row) => [
    row.strategy,
    String(row.n),
    percent(row.accuracy),
    ...(pooled ? [row.pooledAccuracy ? percent(row.pooledAccuracy) : ''] : []),
    percent(row.oracle),
    whole(row.policyTokens),
    whole(row.prmTokens),
    whole(row.criticTokens),
    row.seconds.toFixed(2),
    ...(versus ? [row.againstBaseline ? percent(row.againstBaseline, true) : ''] : []),
    ...(versus ? [row.tokensOfBaseline ? `${Math.round(100 * row.tokensOfBaseline)} %` : ''] : []),
  ]);
  const all = [versus ? [...head, `against ${baseline}`, 'of its tokens'] : head, ...lines];
  const [first = [], ...rest] = all.map((cells) => `| ${cells.join(' | ')} |`);
  return [first, `|${' --- |'.repeat(all[0]?.length ?? 0)}`, ...rest].join('\n');
}
