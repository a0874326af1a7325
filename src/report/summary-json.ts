import type { CellSummary } from '../evaluate/summary.js';
import type { CellReport, ReportData } from './report-data.js';

/** The report's table in the shape of a run's summary.json, which `bench plot` reads. */
export function reportSummary({ title, problems, seeds, cells, facts }: ReportData): object {
  const numbered = Array.from({ length: seeds }, (_, i) => i);
  const named = { title, set: facts.set ?? title, problems, seeds: facts.seeds ?? numbered };
  return { ...facts, ...named, cells: cells.map(summaryOf) };
}

type ReportedCell = Partial<CellSummary> & Pick<CellSummary, 'cell' | 'accuracy'>;

function summaryOf({ name, pooled, against, ...cell }: CellReport): ReportedCell {
  const { strategy, n, accuracy, oracle, ungraded, warnings } = cell;
  const { policyTokens, prmTokens, criticTokens, calls, seconds } = cell;
  return {
    cell: name,
    strategy,
    n,
    accuracy,
    ...(pooled ? { pooledAccuracy: pooled } : {}),
    ...(oracle ? { oracle } : {}),
    ...(policyTokens === undefined ? {} : { policyTokens }),
    ...(prmTokens === undefined ? {} : { prmTokens }),
    ...(criticTokens === undefined ? {} : { criticTokens }),
    ...(calls === undefined ? {} : { calls }),
    ...(seconds === undefined ? {} : { seconds }),
    ungraded,
    warnings,
    ...(against ? { againstBaseline: against.difference } : {}),
    ...(against?.tokens === undefined ? {} : { tokensOfBaseline: against.tokens }),
  };
}
