/** Scores without a model: form, length, and how many solutions reach the same answer. */
import { SteptreeError } from '../search/errors.js';
import type { AnswerGrouper, PathScores, ScoreReply, ScoreRequest, Step } from '../search/types.js';
import { checkPaths } from './check.js';
import type { RulesOptions } from './options.js';
import type { Scorer } from './path-scorer.js';

/** One score per solution, in [0, 1]: the weighted mean of
 *  - format: the share of steps that don't repeat an earlier one, 0 if no final answer is stated;
 *  - length: 1 up to `maxChars` characters, then `maxChars` / length;
 *  - agreement: the share of all solutions whose answer means the same, 0 without an answer
 *    (self-consistency, arXiv 2203.11171, as a reward).
 *  With agreement the score depends on the other paths of the request.
 *  @throws SteptreeError OPTION_INVALID if all weights are 0; from `score` SCORE_PATH_EMPTY,
 *  SCORE_HOST_CLOSED, what the grouper throws, and the signal's reason */
export function createRulesScorer(grouper: AnswerGrouper, options: RulesOptions): Scorer {
  const { format, length, agreement, maxChars } = options;
  const total = format + length + agreement;
  if (total === 0) {
    throw new SteptreeError(
      'OPTION_INVALID',
      'the rules have no weight; give at least one of --rules-format, --rules-length and --rules-agreement more than 0',
      { option: 'rules' },
    );
  }
  let closed = false;
  let paths = 0;

  const score = async (request: ScoreRequest, signal?: AbortSignal): Promise<ScoreReply> => {
    signal?.throwIfAborted();
    checkPaths(request, 'rules');
    if (closed) {
      throw new SteptreeError('SCORE_HOST_CLOSED', 'the rules were closed; ask before close()');
    }
    paths += request.paths.length;
    const { answers, groups } = await grouper.group(request.problem, request.paths, signal);
    const share = (index: number) => {
      const group = groups[index] ?? -1;
      return group < 0 ? 0 : groups.filter((one) => one === group).length / groups.length;
    };
    const scores = request.paths.map((steps, index): PathScores => {
      const stated = (answers[index] ?? null) !== null;
      const parts =
        format * (stated ? distinctShare(steps) : 0) +
        length * lengthScore(steps, maxChars) +
        agreement * share(index);
      return { steps: [], outcome: parts / total };
    });
    return { paths: scores, prmTokens: 0 };
  };

  return {
    name: 'rules',
    setwise: agreement > 0,
    score,
    stats: () => ({ paths }),
    close: async () => {
      closed = true;
    },
  };
}

/** Share of steps that are not an earlier step again, white space aside. */
function distinctShare(steps: readonly Step[]): number {
  return new Set(steps.map((step) => step.replace(/\s+/g, ' ').trim())).size / steps.length;
}

function lengthScore(steps: readonly Step[], maxChars: number): number {
  const chars = steps.reduce((sum, step) => sum + step.length, 0);
  return Math.min(1, maxChars / chars);
}
