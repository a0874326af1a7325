import { contentHash } from '../search/rng.js';
import type { Problem, Step } from '../search/types.js';

// A picture may be a data: URL of megabytes, and a problem is asked about thousands of times.
const problemKeys = new WeakMap<Problem, string>();

/** Key of a path by all that a reward model may see of it: question, choices, pictures, steps, and the
 *  gold answer with what says how it is compared, which Monte Carlo values rest on. The problem's id
 *  is left out, so that equal problems of two files share their scores. */
export function pathKey(problem: Problem, steps: readonly Step[]): string {
  return contentHash([problemKey(problem), ...steps]);
}

function problemKey(problem: Problem): string {
  const known = problemKeys.get(problem);
  if (known !== undefined) return known;
  const key = contentHash([
    problem.question,
    JSON.stringify(problem.choices ?? []),
    JSON.stringify([problem.answer, problem.answerType, problem.precision]),
    ...problem.images.map((image) => image.location),
  ]);
  problemKeys.set(problem, key);
  return key;
}
