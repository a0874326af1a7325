/** Several reward models as one: the weighted mean of what they say. */
import { SteptreeError } from '../search/errors.js';
import type { PathScores, ScoreReply, ScoreRequest, StepScorer } from '../search/types.js';
import { checkPaths, checkReply } from './check.js';
import type { HybridOptions } from './options.js';
import type { Scorer } from './path-scorer.js';

export interface HybridPart {
  readonly scorer: StepScorer & Partial<Pick<Scorer, 'stats' | 'close'>>;
  /** Above 0; weights are divided by their sum. */
  readonly weight: number;
}

/** How step scores become one number where another part scores whole solutions. */
export type Aggregate = (steps: readonly number[]) => number;

/** Parts that score steps are averaged step by step. If a part scores whole solutions, the result
 *  has an outcome too, which is then the path's score: the weighted mean of its outcome and the
 *  other parts' step scores, aggregated.
 *  @throws SteptreeError OPTION_INVALID without parts or with a weight not above 0; from `score` what
 *  the parts throw: one failing part fails the request */
export function createHybridScorer(parts: readonly HybridPart[], aggregate: Aggregate): Scorer {
  if (parts.length === 0 || parts.some((part) => !(part.weight > 0))) {
    throw new SteptreeError(
      'OPTION_INVALID',
      'a hybrid needs at least one part, each with a weight above 0: --hybrid-parts 0.3:rules 0.7:critic:URL',
      { option: 'hybridParts' },
    );
  }
  const total = parts.reduce((sum, part) => sum + part.weight, 0);
  const weights = parts.map((part) => part.weight / total);

  const score = async (request: ScoreRequest, signal?: AbortSignal): Promise<ScoreReply> => {
    signal?.throwIfAborted();
    checkPaths(request, 'hybrid');
    const failed = new AbortController();
    const either = AbortSignal.any([failed.signal, ...(signal ? [signal] : [])]);
    try {
      const replies = await Promise.all(
        parts.map(async ({ scorer }) =>
          checkReply(await scorer.score(request, either), request, scorer.name),
        ),
      );
      return {
        paths: request.paths.map((_, index) =>
          combine(
            replies.map((reply) => reply.paths[index] ?? { steps: [] }),
            weights,
            aggregate,
          ),
        ),
        prmTokens: replies.reduce((sum, reply) => sum + reply.prmTokens, 0),
      };
    } catch (error) {
      failed.abort(error);
      throw error;
    }
  };

  return {
    name: `hybrid of ${parts.map((part) => part.scorer.name).join(', ')}`,
    setwise: parts.some((part) => part.scorer.setwise === true),
    score,
    stats: () => ({ parts: parts.map(({ scorer }) => scorer.stats?.() ?? {}) }),
    close: async () => {
      await Promise.all(parts.map(({ scorer }) => scorer.close?.()));
    },
  };
}

function combine(
  scores: readonly PathScores[],
  weights: readonly number[],
  aggregate: Aggregate,
): PathScores {
  const steps = meanSteps(scores, weights);
  if (scores.every((one) => one.outcome === undefined)) return { steps };
  const outcome = scores.reduce(
    (sum, one, part) => sum + (weights[part] ?? 0) * (one.outcome ?? aggregate(one.steps)),
    0,
  );
  return { steps, outcome };
}

/** Weighted mean of each step over the parts that score steps; empty if none does. */
function meanSteps(scores: readonly PathScores[], weights: readonly number[]): number[] {
  const scoring = scores.flatMap((one, part) =>
    one.steps.length === 0 ? [] : [{ steps: one.steps, weight: weights[part] ?? 0 }],
  );
  const total = scoring.reduce((sum, one) => sum + one.weight, 0);
  return (scoring[0]?.steps ?? []).map((_, step) =>
    scoring.reduce((sum, one) => sum + (one.weight / total) * (one.steps[step] ?? 0), 0),
  );
}

/** The plain aggregates of `HybridOptions`. */
export const PLAIN_AGGREGATES: Readonly<Record<HybridOptions['aggregate'], Aggregate>> = {
  mean: (steps) => steps.reduce((sum, step) => sum + step, 0) / steps.length,
  min: (steps) => Math.min(...steps),
  last: (steps) => steps.at(-1) ?? Number.NaN,
  product: (steps) => steps.reduce((product, step) => product * step, 1),
};
