import { contentHash } from '../search/rng.js';
import type { Problem, Step } from '../search/types.js';

/** Key of a path by all that a reward model sees of it: question, choices, pictures, steps. The
 *  problem's id is left out, so that equal problems of two files share their scores. */
export function pathKey(problem: Problem, steps: readonly Step[]): string {
  return contentHash([
    problem.question,
    JSON.stringify(problem.choices ?? []),
    JSON.stringify(problem.images.map((image) => image.location)),
    ...steps,
  ]);
}
