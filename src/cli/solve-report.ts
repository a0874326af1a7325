import type { Problem, SolveResult, Verdict } from '../../search/index.js';

/** What `steptree solve --json` prints: the result of the search, and what it rests on. */
export interface SolveReport extends SolveResult {
  readonly id: string;
  readonly question: string;
  /** The strategy's options, defaults included. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly seed: number;
  readonly sampling: Readonly<Record<string, unknown>>;
  readonly budget: Readonly<Record<string, unknown>>;
  /** Which models, without addresses; null where none was needed. */
  readonly policy: Readonly<Record<string, unknown>>;
  readonly prm: Readonly<Record<string, unknown>> | null;
  readonly critic: Readonly<Record<string, unknown>> | null;
  /** Only with a gold answer. */
  readonly gold?: string;
  /** Whether the answer is the gold one. */
  readonly verdict?: Verdict;
  /** One per candidate, in their order. */
  readonly candidateVerdicts?: readonly Verdict[];
}

export type ReportSettings = Pick<
  SolveReport,
  'options' | 'seed' | 'sampling' | 'budget' | 'policy' | 'prm' | 'critic'
>;

export function solveReport(
  { id, question, answer }: Problem,
  settings: ReportSettings,
  result: SolveResult,
  grades?: { readonly verdict: Verdict; readonly candidates: readonly Verdict[] },
): SolveReport {
  const { strategy, ...found } = result;
  return {
    id,
    question,
    strategy,
    ...settings,
    ...found,
    ...(answer === undefined ? {} : { gold: answer }),
    ...(grades ? { verdict: grades.verdict, candidateVerdicts: grades.candidates } : {}),
  };
}
