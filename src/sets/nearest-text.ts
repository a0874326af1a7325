import { editDistance } from '../config/edit-distance.js';

/** The first of the nearest ones. */
export function nearestText(text: string, choices: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const choice of choices) {
    const distance = editDistance(text, choice);
    if (distance < least) {
      least = distance;
      best = choice;
    }
  }
  return best;
}
