/** Scores responses by a set's official rules. */
import { credibleInterval } from '../../search/interval.js';
import type { AnswerExtractor } from '../sets/extractor.js';
import type {
  AnswerChecks,
  AnswerSet,
  ExtraMetric,
  Groups,
  Score,
  SetProblem,
} from '../sets/types.js';
import type { Comparison, Gold } from '../verify/index.js';
import type { GivenResponse } from './responses.js';

export interface ScoredResponse {
  readonly id: string;
  readonly verdict: Score['verdict'];
  /** As it was given or found; null where the response states no answer. */
  readonly extraction: unknown;
  readonly prediction: string | null;
  readonly reason?: string;
  /** The verdict of our own checker, where it was asked for. */
  readonly ownVerdict?: Comparison['verdict'];
}

export interface GroupScore {
  readonly correct: number;
  readonly ungraded: number;
  readonly total: number;
  readonly accuracy: number;
  /** 95 % credible interval of the accuracy. */
  readonly interval: readonly [number, number];
}

export interface SetScore {
  readonly set: string;
  /** Of the problems that have a response; an ungraded one is not correct. */
  readonly accuracy: number;
  readonly correct: number;
  readonly wrong: number;
  readonly ungraded: number;
  readonly total: number;
  /** Problems without a response. */
  readonly missing: number;
  /** Responses to no problem of the file. */
  readonly unknown: number;
  /** Responses to a problem that a later response answers again. */
  readonly repeated: number;
  /** In the order of the problems. */
  readonly problems: readonly ScoredResponse[];
  readonly groups: Readonly<Record<string, Readonly<Record<string, GroupScore>>>>;
  readonly metrics: readonly ExtraMetric[];
}

export interface ScoreSettings {
  /** `given` takes an extraction that stands beside a response; `none` always extracts. */
  readonly extraction: 'given' | 'none';
  readonly checks: AnswerChecks;
  /** Asked about responses by `extractorMode`. */
  readonly extractor?: AnswerExtractor;
  readonly extractorMode?: 'fallback' | 'always';
  /** Grades answers in place of the rules, or where they can't say. */
  readonly judge?: (problem: SetProblem, answer: string) => Promise<Comparison>;
  readonly judgeMode?: 'fallback' | 'always';
  /** Hold each extraction against the gold answer by our own checker too. */
  readonly ownChecker?: boolean;
  readonly signal?: AbortSignal;
  readonly concurrency?: number;
}

/** @throws what the extractor throws; the signal's reason */
export async function scoreResponses(
  set: AnswerSet,
  problems: readonly SetProblem[],
  responses: readonly GivenResponse[],
  settings: ScoreSettings,
): Promise<SetScore> {
  // The last response to a problem stands, as in a file that was appended to.
  const byId = new Map(responses.map((response) => [response.id, response]));
  const known = new Set(problems.map(({ id }) => id));
  const answered = problems.filter(({ id }) => byId.has(id));
  const scored: { problem: SetProblem; row: ScoredResponse }[] = [];
  const step = settings.concurrency ?? 64;
  for (let from = 0; from < answered.length; from += step) {
    settings.signal?.throwIfAborted();
    const batch = answered.slice(from, from + step).map(async (problem) => ({
      problem,
      row: await scoreOneResponse(set, problem, byId.get(problem.id) as GivenResponse, settings),
    }));
    scored.push(...(await Promise.all(batch)));
  }
  return summarizeScores(set, scored, {
    missing: problems.length - answered.length,
    unknown: [...byId.keys()].filter((id) => !known.has(id)).length,
    repeated: responses.length - byId.size,
  });
}

/** @throws what the extractor throws */
export async function scoreOneResponse(
  set: AnswerSet,
  problem: SetProblem,
  given: GivenResponse,
  settings: ScoreSettings,
): Promise<ScoredResponse> {
  const extraction = await extractionOf(set, problem, given, settings);
  const score = await judged(set, problem, extraction, settings);
  const { verdict, prediction, reason } = score;
  const own = settings.ownChecker ? await ownVerdict(problem, extraction, settings.checks) : null;
  return {
    id: problem.id,
    verdict,
    extraction: extraction ?? null,
    prediction,
    ...(reason === undefined ? {} : { reason }),
    ...(own === null ? {} : { ownVerdict: own }),
  };
}

async function extractionOf(
  set: AnswerSet,
  problem: SetProblem,
  { response, extraction }: GivenResponse,
  { extraction: source, extractor, extractorMode = 'fallback', signal }: ScoreSettings,
): Promise<unknown> {
  if (source === 'given' && extraction !== undefined) return extraction;
  if (extractor && extractorMode === 'always') return extractor.extract(response, problem, signal);
  const byRules = set.extract(response, problem);
  if (byRules !== null || !extractor) return byRules;
  return extractor.extract(response, problem, signal);
}

async function judged(
  set: AnswerSet,
  problem: SetProblem,
  extraction: unknown,
  { checks, judge, judgeMode }: ScoreSettings,
): Promise<Score> {
  const byRules = await set.score(extraction, problem, checks);
  const isAsked = judgeMode === 'always' || (judgeMode && byRules.verdict === 'ungraded');
  if (!judge || !isAsked || byRules.prediction === null) return byRules;
  const { verdict, reason } = await judge(problem, byRules.prediction);
  return {
    verdict: verdict === 'ungraded' ? 'ungraded' : verdict === 'equal' ? 'correct' : 'wrong',
    prediction: byRules.prediction,
    ...(reason ? { reason } : {}),
  };
}

async function ownVerdict(
  problem: SetProblem,
  extraction: unknown,
  checks: AnswerChecks,
): Promise<Comparison['verdict']> {
  if (extraction === null || extraction === undefined) return 'different';
  const text = typeof extraction === 'string' ? extraction : JSON.stringify(extraction);
  return (await checks.compare(goldOf(problem), text)).verdict;
}

export function goldOf({ answer, choices, answerType, precision }: SetProblem): Gold {
  return {
    answer,
    ...(choices && { choices }),
    ...(answerType && { answerType }),
    ...(precision !== undefined && { precision }),
  };
}

function summarizeScores(
  set: AnswerSet,
  scored: readonly { problem: SetProblem; row: ScoredResponse }[],
  counts: Pick<SetScore, 'missing' | 'unknown' | 'repeated'>,
): SetScore {
  const count = (verdict: Score['verdict']) =>
    scored.filter(({ row }) => row.verdict === verdict).length;
  const total = scored.length;
  const correct = count('correct');
  return {
    set: set.name,
    accuracy: total === 0 ? 0 : correct / total,
    correct,
    wrong: count('wrong'),
    ungraded: count('ungraded'),
    total,
    ...counts,
    problems: scored.map(({ row }) => row),
    groups: groupScores(
      scored.map(({ problem, row }) => ({ groups: set.groups(problem), verdict: row.verdict })),
    ),
    metrics:
      set.metrics?.(
        scored.map(({ problem, row: { verdict, prediction } }) => ({
          problem,
          verdict,
          prediction,
        })),
      ) ?? [],
  };
}

/** By axis and value, values in alphabetical order. */
export function groupScores(
  rows: readonly { readonly groups: Groups; readonly verdict: Score['verdict'] }[],
): SetScore['groups'] {
  const counts = new Map<
    string,
    Map<string, { correct: number; ungraded: number; total: number }>
  >();
  for (const { groups, verdict } of rows) {
    for (const [axis, values] of Object.entries(groups)) {
      const byValue = counts.get(axis) ?? new Map();
      counts.set(axis, byValue);
      for (const value of new Set(values)) {
        const cell = byValue.get(value) ?? { correct: 0, ungraded: 0, total: 0 };
        byValue.set(value, cell);
        cell.total++;
        if (verdict === 'correct') cell.correct++;
        if (verdict === 'ungraded') cell.ungraded++;
      }
    }
  }
  return Object.fromEntries(
    [...counts].map(([axis, byValue]) => [axis, Object.fromEntries(sortedCells(byValue))]),
  );
}

function sortedCells(
  byValue: ReadonlyMap<string, { correct: number; ungraded: number; total: number }>,
): [string, GroupScore][] {
  return [...byValue]
    .sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }))
    .map(([value, { correct, ungraded, total }]) => [
      value,
      {
        correct,
        ungraded,
        total,
        accuracy: correct / total,
        interval: credibleInterval(correct, total),
      },
    ]);
}
