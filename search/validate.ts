import { SteptreeError } from './errors.js';
import type { AnswerGroups, Critique, ScoreReply, Step } from './types.js';

/** Checks of what models return, before a search believes any of it. */

/** @throws SteptreeError SCORE_INVALID unless there is one entry per path and each has one finite
 *  score in [0, 1] per step, or no step scores but an outcome */
export function checkScores(
  scorer: string,
  paths: readonly (readonly Step[])[],
  reply: ScoreReply,
): void {
  const refuse = (got: string, facts: Record<string, unknown>) => {
    throw new SteptreeError(
      'SCORE_INVALID',
      `reward model ${scorer} returned ${got}; check its step separator, template and label tokens (a score is never guessed)`,
      { scorer, ...facts },
    );
  };
  if (reply.paths.length !== paths.length) {
    refuse(`${reply.paths.length} results for ${paths.length} paths`, {
      expected: paths.length,
      got: reply.paths.length,
    });
  }
  reply.paths.forEach(({ steps, outcome }, path) => {
    const expected = paths[path]?.length ?? 0;
    if (steps.length !== expected && !(steps.length === 0 && outcome !== undefined)) {
      refuse(`${steps.length} scores for ${expected} steps`, { path, expected, got: steps.length });
    }
    if (steps.every(isProbability) && (outcome === undefined || isProbability(outcome))) return;
    const values = outcome === undefined ? steps : [...steps, outcome];
    const bad = values.findIndex((value) => !isProbability(value));
    refuse(`a score of ${values[bad]}, outside [0, 1]`, { path, step: bad });
  });
}

/** @throws SteptreeError CRITIQUE_INVALID for findings that don't fit the steps */
export function checkCritique(critic: string, steps: readonly Step[], critique: Critique): void {
  const { firstError, findings, correction } = critique;
  const complaint =
    firstError !== null && !(Number.isInteger(firstError) && steps[firstError] !== undefined)
      ? `step ${firstError} as the first wrong one of ${steps.length}`
      : findings && findings.length !== steps.length
        ? `${findings.length} findings for ${steps.length} steps`
        : findings?.some(({ probability }) => !isProbability(probability))
          ? 'a verdict probability outside [0, 1]'
          : correction !== undefined && correction.trim() === ''
            ? 'an empty correction'
            : null;
  if (complaint === null) return;
  throw new SteptreeError(
    'CRITIQUE_INVALID',
    `critic ${critic} returned ${complaint}; this is a fault of the critic's host`,
    { critic, complaint },
  );
}

/** @throws SteptreeError ANSWER_GROUPS_INVALID unless every solution has an answer and a group */
export function checkGroups(solutions: number, { answers, groups }: AnswerGroups): void {
  const fits = groups.every(
    (group, i) => Number.isInteger(group) && group < 0 === isNull(answers[i]),
  );
  if (answers.length === solutions && groups.length === solutions && fits) return;
  throw new SteptreeError(
    'ANSWER_GROUPS_INVALID',
    `the answer grouper returned ${groups.length} groups and ${answers.length} answers for ${solutions} solutions, or a group without an answer; this is a fault of the grouper`,
    { expected: solutions, groups: groups.length, answers: answers.length },
  );
}

function isProbability(value: number): boolean {
  // NaN fails both comparisons.
  return value >= 0 && value <= 1;
}

function isNull(value: unknown): boolean {
  return value === null || value === undefined;
}
