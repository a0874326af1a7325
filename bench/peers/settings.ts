import { OCCUPANCY_SETTINGS } from '../speed/occupancy.js';

/** ms per token that a reward model reads: 25,000 tokens/s, an 8 B model on one large GPU. */
export const READ_MS_PER_TOKEN = 0.04;

/** Models of the simulated policy by how the lengths of its steps differ. `long-tail` is as in recorded
 *  solutions: of 3,661 steps of Qwen-VL-Max on MATH-Vision, cut at blank lines, the mean is 38
 *  tokens, the median 0.69 and the 99th percentile 4.2 times that, the longest of 64 5.5 times. */
export const LENGTHS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  even: OCCUPANCY_SETTINGS.model,
  'long-tail': {
    ...OCCUPANCY_SETTINGS.model,
    minStepTokens: 6,
    maxStepTokens: 70,
    stepLengths: 'long-tail',
  },
};
