import { type Aggregation, pathScore, unitScore } from '../aggregate.js';
import type { SearchContext } from '../context.js';
import { isComplete, type PathFinish } from '../expand.js';
import { contentHash } from '../rng.js';
import { type SelectionName, selectWinner, tallyVotes, type Votable } from '../select.js';
import type { PathScores, Problem, Step, Usage } from '../types.js';

/** A test-time search: one problem, one context, options that its schema has parsed. */
export type Strategy<Options> = (
  problem: Problem,
  context: SearchContext,
  options: Options,
) => Promise<SolveResult>;

/** Where a candidate comes from.
 *  `sampled`: drawn from the question. `searched`: grown step by step. `branched`: another end of
 *  an earlier candidate's prefix. `refined`: continued after a corrected step. `resampled`: drawn
 *  in place of what needed no refinement, or a particle's copy. `kept`: a candidate once more. */
export type Origin = 'sampled' | 'searched' | 'branched' | 'refined' | 'resampled' | 'kept';

/** A solution that a strategy has found, before it is scored and its answer is read. */
export interface Draft {
  readonly steps: readonly Step[];
  readonly finish: PathFinish;
  readonly policyTokens: number;
  readonly origin: Origin;
  /** Index of the candidate that it was made from. */
  readonly parent?: number;
  /** Scores, where they don't come from `context.score` of its steps. */
  readonly scores?: PathScores;
}

export interface Candidate extends Omit<Draft, 'scores'> {
  /** The final answer; null where none was found, or the solution is not complete. */
  readonly answer: string | null;
  /** Candidates with equivalent answers share a group; -1 without an answer. */
  readonly group: number;
  /** Raw step scores; null where the strategy scores nothing or the solution is not complete.
   *  Empty beside an `outcome` from reward models of whole solutions. */
  readonly stepScores: readonly number[] | null;
  readonly outcome?: number;
  /** Path score in the scale of the aggregation; null is unscored. */
  readonly score: number | null;
}

export interface AnswerVotes {
  readonly group: number;
  readonly answer: string;
  readonly votes: number;
  /** Sum of path scores, each mapped to [0, 1]; 0 where nothing is scored. */
  readonly weight: number;
}

/** A state of a tree search as the search left it. */
export interface SearchState {
  /** Index of its parent, which stands before it; -1 at the root, the first one. */
  readonly parent: number;
  /** Steps between the parent's prefix and its own. */
  readonly steps: readonly Step[];
  /** The reward model's score of its prefix, in [0, 1]; null at the root. */
  readonly score: number | null;
  readonly visits: number;
  /** What selection added up: Q in [0, 1], U from prior and visits; the last two null at the root. */
  readonly q: number;
  readonly u: number | null;
  readonly prior: number | null;
  /** Whether a solution ends here. */
  readonly isEnd: boolean;
}

export interface SolveResult {
  readonly strategy: string;
  /** The chosen candidate's answer; null if none was found: see `warnings`. */
  readonly answer: string | null;
  /** Index into `candidates`; null if no solution was completed. */
  readonly chosen: number | null;
  readonly candidates: readonly Candidate[];
  /** Per answer, in order of first appearance. */
  readonly votes: readonly AnswerVotes[];
  /** Why the search ended: `done`, `earlyStop`, `converged`, a limit by its option's name, … */
  readonly stopped: string;
  readonly warnings: readonly string[];
  /** All that the search spent, also on what was thrown away. */
  readonly usage: Usage;
  readonly elapsedMs: number;
  /** Counts of the strategy's own, such as `simulations`. */
  readonly details?: Readonly<Record<string, number>>;
  /** The whole tree of `mcts`, in the order in which it grew; not there above 20,000 states. */
  readonly states?: readonly SearchState[];
}

/** Scores the complete drafts, groups their answers, and selects.
 *  Incomplete drafts stay in the list, unscored and without an answer: they can't win.
 *  @param plan.scoring null where the strategy needs no reward model */
export async function conclude(
  context: SearchContext,
  plan: {
    readonly strategy: string;
    readonly drafts: readonly Draft[];
    readonly selection: SelectionName;
    readonly scoring: Aggregation | null;
    readonly stopped: string;
  },
): Promise<SolveResult> {
  const candidates = await judged(context, plan.drafts, plan.scoring);
  const votables = candidates.map((candidate) => votable(candidate, plan.scoring));
  const complete = candidates.flatMap((candidate, i) => (isComplete(candidate) ? [i] : []));
  const winner = selectWinner(
    complete.map((i) => votables[i] as Votable),
    plan.selection,
  );
  const chosen = winner === null ? null : (complete[winner] ?? null);
  warnOfPoorCandidates(context, candidates);
  return {
    strategy: plan.strategy,
    answer: chosen === null ? null : (candidates[chosen]?.answer ?? null),
    chosen,
    candidates,
    votes: tallyVotes(votables).map(({ group, votes, weight, best }) => {
      return { group, answer: candidates[best]?.answer ?? '', votes, weight };
    }),
    stopped: plan.stopped,
    warnings: [...context.warnings],
    usage: { ...context.usage },
    elapsedMs: context.elapsedMs(),
  };
}

/** The drafts with answers, groups and scores. */
export async function judged(
  context: SearchContext,
  drafts: readonly Draft[],
  scoring: Aggregation | null,
): Promise<Candidate[]> {
  const complete = drafts.filter(isComplete);
  const unscored = scoring ? complete.filter(({ scores }) => !scores) : [];
  const fresh = unscored.length > 0 ? await context.score(unscored.map(({ steps }) => steps)) : [];
  const scoresOf = new Map(unscored.map((draft, i) => [draft, fresh[i]]));
  const { answers, groups } = await context.groupAnswers(complete.map(({ steps }) => steps));
  const placeOf = new Map(complete.map((draft, i) => [draft, i]));
  return drafts.map((draft) => {
    const { scores: given, ...rest } = draft;
    const place = placeOf.get(draft);
    const scores = given ?? scoresOf.get(draft);
    return {
      ...rest,
      answer: place === undefined ? null : (answers[place] ?? null),
      group: place === undefined ? -1 : (groups[place] ?? -1),
      stepScores: scores?.steps ?? null,
      ...(scores?.outcome === undefined ? {} : { outcome: scores.outcome }),
      score: scores && scoring ? pathScore(scores, scoring) : null,
    };
  });
}

/** What a vote knows of a candidate: its weight is its path score mapped to [0, 1]. */
export function votable(candidate: Candidate, scoring: Aggregation | null): Votable {
  const { group, score, stepScores, outcome } = candidate;
  if (!scoring || !stepScores) return { group, score, weight: null };
  const scores = outcome === undefined ? { steps: stepScores } : { steps: stepScores, outcome };
  return { group, score, weight: unitScore(scores, scoring) };
}

function warnOfPoorCandidates(context: SearchContext, candidates: readonly Candidate[]): void {
  const complete = candidates.filter(isComplete);
  if (complete.length === 0) {
    const count = (finish: PathFinish) => candidates.filter((c) => c.finish === finish).length;
    context.warn(
      `no solution was completed: ${count('length')} were cut by the token limit, ${count('stuck')} repeated themselves or had too many steps, ${count('step')} were left unfinished, the rest were empty; raise the budget or the token limit, or check the step format`,
    );
    return;
  }
  if (complete.every(({ group }) => group < 0)) {
    context.warn('no complete solution states an answer');
  }
  const texts = new Set(complete.map(({ steps }) => contentHash(steps)));
  if (complete.length > 1 && texts.size === 1) {
    context.warn(
      `all ${complete.length} solutions are one text, so choosing among them means nothing; is the temperature too low?`,
    );
  }
}
