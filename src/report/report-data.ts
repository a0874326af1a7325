/** What a report says, before any markup. */
import { credibleInterval } from '../../search/interval.js';
import { compareResults } from '../evaluate/compare.js';
import { groupBy } from '../evaluate/group-by.js';
import type { CellResults, ResultRow, RunResults } from '../evaluate/results.js';
import { average, bootstrapMean, type Estimate } from '../evaluate/statistics.js';

export interface CellReport {
  readonly name: string;
  readonly strategy: string;
  readonly n: number;
  readonly problems: number;
  readonly accuracy: Estimate;
  /** Over subsets of the strategy's largest pool: less chance in it than in the run at this N. */
  readonly pooled?: Estimate;
  readonly oracle?: Estimate;
  readonly correct: number;
  readonly wrong: number;
  readonly ungraded: number;
  readonly unanswered: number;
  readonly warnings: number;
  /** Means per problem and seed; absent from responses made elsewhere. */
  readonly policyTokens?: number;
  readonly prmTokens?: number;
  readonly criticTokens?: number;
  readonly calls?: number;
  readonly seconds?: number;
  readonly against?: AgainstBaseline;
}

export interface AgainstBaseline {
  /** A strategy as the run's user wrote it. */
  readonly baseline: string;
  /** Accuracy minus the baseline's at the same N, or at its only one: 95 % paired bootstrap over problems. */
  readonly difference: Estimate;
  /** Policy tokens over the baseline's; absent where these are none or not known. */
  readonly tokens?: number;
}

export interface GroupReport {
  readonly axis: string;
  readonly values: readonly {
    readonly value: string;
    readonly problems: number;
    /** In the order of the cells; null where a cell has no such problem. */
    readonly cells: readonly (Estimate | null)[];
  }[];
}

export interface HardProblem {
  readonly id: string;
  readonly gold: string;
  readonly answers: readonly string[];
  /** Of all cells and seeds. */
  readonly right: number;
  readonly tries: number;
  readonly question?: string;
}

export interface PrmSection {
  readonly stepAuc?: number;
  readonly calibrationError?: number;
  readonly firstError?: {
    readonly erroneous: number;
    readonly correct: number;
    readonly f1: number;
  };
  readonly stepF1?: { readonly right: number; readonly wrong: number; readonly macro: number };
  readonly bins: readonly {
    readonly score: number;
    readonly share: number;
    readonly count: number;
  }[];
}

export interface ReportData {
  readonly title: string;
  readonly source?: string;
  readonly problems: number;
  readonly seeds: number;
  /** Problems of the run that have no result: their calls failed, or it was not finished. */
  readonly unfinished: number;
  readonly cells: readonly CellReport[];
  readonly groups: readonly GroupReport[];
  readonly metrics: readonly {
    readonly name: string;
    readonly value: number;
    readonly total: number;
  }[];
  readonly hardest: readonly HardProblem[];
  readonly prm?: PrmSection;
  /** Models, sampling, versions, as the run's summary has them. */
  readonly facts: Readonly<Record<string, unknown>>;
}

export interface ReportExtras {
  /** Texts of questions by id. */
  readonly questions?: ReadonlyMap<string, string>;
  readonly prm?: Readonly<Record<string, unknown>>;
  /** Problems listed as the hardest, at most. */
  readonly hardest?: number;
  /** Strategy with which the others are compared. */
  readonly baseline?: string;
}

export function reportData(
  { summary, cells, dir }: RunResults,
  { questions = new Map(), prm, hardest = 20, baseline }: ReportExtras = {},
): ReportData {
  const rows = cells.flatMap((cell) => cell.rows);
  const ids = new Set(rows.map(({ id }) => id));
  const planned = typeof summary.problems === 'number' ? summary.problems : ids.size;
  const { cells: _, problems: __, groups: ___, metrics, ...facts } = summary;
  return {
    title: String(summary.title ?? summary.set ?? dir),
    ...(typeof summary.source === 'string' ? { source: summary.source } : {}),
    problems: ids.size,
    seeds: new Set(rows.map(({ seed }) => seed)).size,
    unfinished: Math.max(0, planned - ids.size),
    cells: cells.map((cell) => ({
      ...cellReport(cell),
      ...againstBaseline(cell, cells, baseline),
    })),
    groups: groupReports(cells),
    metrics: Array.isArray(metrics) ? (metrics as ReportData['metrics']) : [],
    hardest: hardestOf(rows, questions).slice(0, hardest),
    ...(prm ? { prm: prmSection(prm) } : {}),
    facts,
  };
}

/** The cells with the highest accuracies, at most so many, in their own order and with their places. */
export function bestCells(
  cells: readonly CellReport[],
  count: number,
): { readonly cell: CellReport; readonly index: number }[] {
  return cells
    .map((cell, index) => ({ cell, index }))
    .sort((a, b) => b.cell.accuracy.mean - a.cell.accuracy.mean)
    .slice(0, count)
    .sort((a, b) => a.index - b.index);
}

function cellReport({ name, strategy, n, rows }: CellResults): CellReport {
  const count = (verdict: ResultRow['verdict']) =>
    rows.filter((row) => row.verdict === verdict).length;
  const mean = (key: 'policyTokens' | 'prmTokens' | 'criticTokens' | 'calls' | 'seconds') => {
    const values = rows.flatMap((row) => row[key] ?? []);
    return values.length > 0 ? { [key]: average(values) } : {};
  };
  const hasPool = rows.length > 0 && rows.every(({ expected }) => expected !== undefined);
  const hasOracle = rows.some(({ oracle }) => oracle !== undefined);
  return {
    name,
    strategy,
    n,
    problems: new Set(rows.map(({ id }) => id)).size,
    accuracy: accuracyOf(rows),
    ...(hasPool ? { pooled: bootstrapMean(perProblem(rows, ({ expected = 0 }) => expected)) } : {}),
    ...(hasOracle
      ? { oracle: bootstrapMean(perProblem(rows, ({ oracle }) => oracle === true)) }
      : {}),
    correct: count('correct'),
    wrong: count('wrong'),
    ungraded: count('ungraded'),
    unanswered: rows.filter(({ answer }) => answer === null).length,
    warnings: rows.filter(({ warnings = [] }) => warnings.length > 0).length,
    ...mean('policyTokens'),
    ...mean('prmTokens'),
    ...mean('criticTokens'),
    ...mean('calls'),
    ...mean('seconds'),
  };
}

function againstBaseline(
  cell: CellResults,
  cells: readonly CellResults[],
  baseline: string | undefined,
): Pick<CellReport, 'against'> {
  const bases = cells.filter(({ strategy }) => strategy === baseline);
  const base = bases.find(({ n }) => n === cell.n) ?? (bases.length === 1 ? bases[0] : undefined);
  if (baseline === undefined || base === undefined || base.strategy === cell.strategy) return {};
  const tokens = tokensOf(cell) / tokensOf(base);
  return {
    against: {
      baseline,
      difference: compareResults(cell, base).difference,
      ...(Number.isFinite(tokens) ? { tokens } : {}),
    },
  };
}

function tokensOf({ rows }: CellResults): number {
  return average(rows.map(({ policyTokens = Number.NaN }) => policyTokens));
}

function accuracyOf(rows: readonly ResultRow[]): Estimate {
  return bootstrapMean(perProblem(rows, ({ verdict }) => verdict === 'correct'));
}

function perProblem(
  rows: readonly ResultRow[],
  pick: (row: ResultRow) => boolean | number,
): number[] {
  return [...groupBy(rows, ({ id }) => id).values()].map((same) =>
    average(same.map((row) => Number(pick(row)))),
  );
}

function groupReports(cells: readonly CellResults[]): GroupReport[] {
  const axes = new Map<string, Set<string>>();
  for (const { groups } of cells.flatMap(({ rows }) => rows)) {
    for (const [axis, values] of Object.entries(groups)) {
      const known = axes.get(axis) ?? new Set();
      axes.set(axis, known);
      for (const value of values) known.add(value);
    }
  }
  return [...axes]
    .filter(([, values]) => values.size > 1)
    .map(([axis, values]) => ({
      axis,
      values: [...values]
        .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
        .map((value) => groupValue(cells, axis, value)),
    }));
}

function groupValue(cells: readonly CellResults[], axis: string, value: string) {
  const ofGroup = cells.map(({ rows }) =>
    rows.filter(({ groups }) => groups[axis]?.includes(value)),
  );
  return {
    value,
    problems: new Set(ofGroup.flatMap((rows) => rows.map(({ id }) => id))).size,
    cells: ofGroup.map((rows) => (rows.length === 0 ? null : smallGroupAccuracy(rows))),
  };
}

/** A credible interval where every problem was tried once: a bootstrap of five problems all right would
 *  have none. */
function smallGroupAccuracy(rows: readonly ResultRow[]): Estimate {
  const values = perProblem(rows, ({ verdict }) => verdict === 'correct');
  if (values.length < rows.length) return bootstrapMean(values);
  const right = values.filter((value) => value === 1).length;
  const [low, high] = credibleInterval(right, values.length);
  return { mean: right / values.length, low, high };
}

/** Problems by the share of tries that were right, the lowest first; among equals those on which the
 *  answers agree most, since there the gold answer may be what is wrong. */
function hardestOf(
  rows: readonly ResultRow[],
  questions: ReadonlyMap<string, string>,
): HardProblem[] {
  const problems = [...groupBy(rows, ({ id }) => id)].map(([id, same]) => {
    const byAnswer = [...groupBy(same, ({ answer }) => answer ?? '(none)')].sort(
      ([, a], [, b]) => b.length - a.length,
    );
    const question = questions.get(id);
    return {
      id,
      gold: same[0]?.gold ?? '',
      answers: byAnswer.map(([answer]) => answer),
      agreement: (byAnswer[0]?.[1].length ?? 0) / same.length,
      right: same.filter(({ verdict }) => verdict === 'correct').length,
      tries: same.length,
      ...(question === undefined ? {} : { question }),
    };
  });
  return problems
    .filter(({ right, tries }) => right < tries)
    .sort((a, b) => a.right / a.tries - b.right / b.tries || b.agreement - a.agreement);
}

function prmSection(prm: Readonly<Record<string, unknown>>): PrmSection {
  const { stepAuc, calibrationError, firstError, stepF1, calibration } = prm;
  return {
    ...(typeof stepAuc === 'number' ? { stepAuc } : {}),
    ...(typeof calibrationError === 'number' ? { calibrationError } : {}),
    ...(firstError ? { firstError: firstError as NonNullable<PrmSection['firstError']> } : {}),
    ...(stepF1 ? { stepF1: stepF1 as NonNullable<PrmSection['stepF1']> } : {}),
    bins: Array.isArray(calibration) ? (calibration as PrmSection['bins']) : [],
  };
}
