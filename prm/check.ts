/** Checks between a reward model and everything that believes it. */
import { SteptreeError } from '../search/errors.js';
import type { PathScores, ScoreReply, ScoreRequest, Step } from '../search/types.js';

/** Scores that single precision put this far outside [0, 1] are put back; others are errors. */
const ROUNDING = 1e-6;

/** A score in [0, 1], or an error that says what came instead.
 *  @throws SteptreeError SCORE_RANGE */
export function checkScore(value: unknown, host: string, place: string): number {
  if (typeof value === 'number' && value >= -ROUNDING && value <= 1 + ROUNDING) {
    return Math.min(1, Math.max(0, value));
  }
  throw new SteptreeError(
    'SCORE_RANGE',
    `${host} gave ${String(value)} as score of ${place}; expected a number in [0, 1]. Check that the model is a reward model and the options fit it`,
    { host, place, got: String(value) },
  );
}

/** The scores of one path, checked.
 *  @throws SteptreeError SCORE_COUNT, SCORE_RANGE */
export function checkPathScores(
  scores: PathScores,
  steps: readonly Step[],
  host: string,
  problemId: string,
): PathScores {
  const place = (what: string) => `${what} of problem ${problemId}`;
  const { outcome } = scores;
  const outcomeOnly = outcome !== undefined && scores.steps.length === 0;
  if (!outcomeOnly && scores.steps.length !== steps.length) {
    throw countError(host, scores.steps.length, steps.length, problemId);
  }
  return {
    steps: scores.steps.map((score, index) => checkScore(score, host, place(`step ${index + 1}`))),
    ...(outcome === undefined ? {} : { outcome: checkScore(outcome, host, place('a solution')) }),
  };
}

/** SCORE_COUNT: a host gave another number of scores than the path has steps. */
export function countError(
  host: string,
  got: number,
  expected: number,
  problemId: string,
): SteptreeError {
  return new SteptreeError(
    'SCORE_COUNT',
    `${host} returned ${got} scores for ${expected} steps of problem ${problemId}; check the template and the step separator`,
    { host, got, expected, problemId },
  );
}

/** @throws SteptreeError SCORE_PATH_EMPTY: nothing can be said of no step, least of all 0 or 1 */
export function checkPaths(request: ScoreRequest, host: string): void {
  request.paths.forEach((steps, index) => {
    const empty = steps.findIndex((step) => step.trim() === '');
    if (steps.length > 0 && empty < 0) return;
    const what = steps.length === 0 ? 'has no steps' : `has an empty step ${empty + 1}`;
    throw new SteptreeError(
      'SCORE_PATH_EMPTY',
      `path ${index + 1} of problem ${request.problem.id} ${what}, so ${host} can't score it; leave such paths out`,
      { host, problemId: request.problem.id, path: index },
    );
  });
}

/** @throws SteptreeError SCORE_COUNT, SCORE_RANGE */
export function checkReply(reply: ScoreReply, request: ScoreRequest, host: string): ScoreReply {
  const { problem, paths } = request;
  if (reply.paths.length !== paths.length) {
    throw new SteptreeError(
      'SCORE_COUNT',
      `${host} scored ${reply.paths.length} of ${paths.length} paths of problem ${problem.id}; this is a fault of the host`,
      { host, got: reply.paths.length, expected: paths.length, problemId: problem.id },
    );
  }
  return {
    paths: reply.paths.map((scores, index) =>
      checkPathScores(scores, paths[index] ?? [], host, problem.id),
    ),
    prmTokens: reply.prmTokens,
  };
}
