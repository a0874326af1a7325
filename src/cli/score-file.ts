/** Scores the solutions of a file, many at once, and gives the results in file order. */
import type { PathScores, StepScorer } from '../../search/index.js';
import { errorCode, errorMessage } from '../../search/index.js';
import type { Rejection } from '../data/problems.js';
import type { SolutionItem } from '../data/solutions.js';
import { type Aggregation, type AggregationName, aggregates, pathScore } from './aggregates.js';

/** What is said of one solution. */
export interface ScoredSolution {
  /** Raw step scores in [0, 1]; empty where the reward model scores whole solutions. */
  readonly steps: readonly number[];
  readonly outcome?: number;
  /** Every aggregate of the step scores; absent without step scores. */
  readonly aggregates?: Readonly<Record<AggregationName, number | null>>;
  /** The outcome where there is one, else the chosen aggregate; null if there is neither. */
  readonly score: number | null;
}

export type ScoreLine =
  | {
      readonly id: string;
      readonly line: number;
      readonly paths: readonly ScoredSolution[];
      /** Index of the path with the highest score, the first of equals. */
      readonly best: number | null;
      readonly prmTokens: number;
    }
  | {
      readonly id: string;
      readonly line: number;
      readonly error: { readonly code: string; readonly message: string };
    };

export type ScoredItem = ScoreLine | { readonly rejected: Rejection };

/** @param concurrency lines that are scored at the same time
 *  @throws what reading throws, and the signal's reason; a line that can't be scored is a result */
export async function* scoreSolutions(
  items: AsyncIterable<SolutionItem>,
  scorer: StepScorer,
  by: Aggregation,
  concurrency: number,
  signal: AbortSignal,
): AsyncGenerator<ScoredItem> {
  const pending: Promise<ScoredItem>[] = [];
  for await (const item of items) {
    const scored = 'rejected' in item ? Promise.resolve(item) : scoreOne(item, scorer, by, signal);
    // Looked at when its turn comes; until then nobody may call it unhandled.
    scored.catch(() => {});
    pending.push(scored);
    if (pending.length >= concurrency) yield (await pending.shift()) as ScoredItem;
  }
  while (pending.length > 0) yield (await pending.shift()) as ScoredItem;
}

async function scoreOne(
  { problem, paths, line }: Extract<SolutionItem, { paths: unknown }>,
  scorer: StepScorer,
  by: Aggregation,
  signal: AbortSignal,
): Promise<ScoreLine> {
  const { id } = problem;
  try {
    const reply = await scorer.score({ problem, paths }, signal);
    const scored = reply.paths.map((scores) => scoredSolution(scores, by));
    return { id, line, paths: scored, best: bestOf(scored), prmTokens: reply.prmTokens };
  } catch (error) {
    signal.throwIfAborted();
    return { id, line, error: { code: errorCode(error), message: errorMessage(error) } };
  }
}

/** Raw scores, aggregates, and the path score. */
export function scoredSolution(scores: PathScores, by: Aggregation): ScoredSolution {
  return {
    ...scores,
    ...(scores.steps.length === 0 ? {} : { aggregates: aggregates(scores.steps, by.window) }),
    score: pathScore(scores, by),
  };
}

/** Index of the highest score, the first of equals; null if none is scored. */
export function bestOf(paths: readonly ScoredSolution[]): number | null {
  let best: number | null = null;
  paths.forEach(({ score }, index) => {
    const leading = best === null ? null : (paths[best]?.score ?? null);
    if (score !== null && (leading === null || score > leading)) best = index;
  });
  return best;
}
