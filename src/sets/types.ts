/** What a benchmark set is: how its authors publish it, ask it, read answers and score them. */
import type { AnswerType, Problem, VerdictKind } from '../../search/types.js';
import type { Comparison, Gold } from '../verify/index.js';

/** A record as it stands in a published file, pictures apart. */
export type Fields = Readonly<Record<string, unknown>>;

/** A problem of a set; `metadata` is the published record. */
export interface SetProblem extends Problem {
  readonly answer: string;
  readonly metadata: Fields;
}

/** Our own comparison of answers, for sets whose authors leave it to a general checker. */
export interface AnswerChecks {
  compare(gold: Gold, predicted: string): Promise<Comparison>;
}

export interface Score {
  readonly verdict: 'correct' | 'wrong' | 'ungraded';
  /** The extraction in the form that was held against the gold answer; null where there is none. */
  readonly prediction: string | null;
  /** Why it is ungraded, as a stable short word. */
  readonly reason?: string;
}

/** Groups that the set's authors report, by axis: `{subject: ['algebra'], level: ['3']}`. */
export type Groups = Readonly<Record<string, readonly string[]>>;

/** How one problem was scored; sets with metrics over several problems look at these. */
export interface ScoredProblem extends Score {
  readonly problem: SetProblem;
}

/** A number that the authors report beside plain accuracy, such as WeMath's four-way metric. */
export interface ExtraMetric {
  readonly name: string;
  /** In [0, 1]. */
  readonly value: number;
  readonly total: number;
}

/** A set of problems with final answers. */
export interface AnswerSet {
  readonly name: string;
  readonly title: string;
  /** Paper and place of the official rules. */
  readonly source: string;
  /** A problem of one published record, or null for a record that is not part of the set.
   *  @param index from 0 in its file @param key of the record, where the file is an object of records */
  problemOf(fields: Fields, index: number, key?: string): ProblemParts | null;
  /** The authors' prompt. */
  prompt(problem: SetProblem): string;
  /** The final answer of a response by rules alone, null where it states none. */
  extract(response: string, problem: SetProblem): string | null;
  /** @param extraction ours or a published one, which need not be a text */
  score(extraction: unknown, problem: SetProblem, checks: AnswerChecks): Score | Promise<Score>;
  groups(problem: SetProblem): Groups;
  /** The field of published responses that holds an extraction already made, besides `extraction`. */
  readonly extractionField?: string;
  metrics?(scored: readonly ScoredProblem[]): readonly ExtraMetric[];
}

/** A problem before its pictures are found. */
export interface ProblemParts {
  readonly id: string;
  readonly question: string;
  /** Paths relative to the file, `data:` URLs, or `{bytes, path}` cells of a Parquet file. */
  readonly images: readonly unknown[];
  readonly answer: string;
  readonly choices?: readonly string[];
  readonly answerType?: AnswerType;
  readonly precision?: number;
}

export const VERDICT_KIND: Readonly<Record<Score['verdict'], VerdictKind>> = {
  correct: 'equal',
  wrong: 'different',
  ungraded: 'ungraded',
};
