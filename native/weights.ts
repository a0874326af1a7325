/** The arithmetic that the C++ kernels and their twin share to the last bit: so the same command gives
 *  the same tokens and log-probabilities on every machine, with kernels or without.
 *
 *  A logit x below the largest one, `top`, has the weight e^-(top - x)/temperature in units of 2^-30:
 *
 *      k = round(min(f32(f32(top - x) · steps), 100 · 2^16))       steps = f32(2^16 · log2 e / temperature)
 *      weight = f32(COARSE[(k >> 8) & 255] · FINE[k & 255]) · 2^(30 - (k >> 16))
 *
 *  with rounding to nearest, ties to even, everywhere. Exponents come in steps of ln 2 / 2^16 = 1.06e-5,
 *  below the noise of float32 logits; a weight is within 6e-6 of its value, off by either sign alike.
 *  COARSE holds a polynomial for 2^-f as float32 multiply-adds give it. Products with f, of 8 bits, are
 *  exact in double, so `Math.fround(p * f + c)` is a fused multiply-add. */
const STEPS_PER_HALVING = 65536;
const MAX_STEPS = 100 * STEPS_PER_HALVING;

/** 2^-f on [0, 1) within 1e-7: 1 at 0 and a half at 1, so that weights fall all the way. */
const POWER = [
  1, -0.6931434273719788, 0.2401772290468216, -0.0552879199385643, 0.00919379387050867,
  -0.000939659308642149,
];
/** Fall of 2^-f over one step, chosen so that 255 of them stay within 6e-7. */
const FINE_SLOPE = 1.0564777767285705e-5;

const COARSE = Float64Array.from({ length: 256 }, (_, step) => power(step / 256));
const FINE = Float64Array.from({ length: 256 }, (_, step) => Math.fround(1 - step * FINE_SLOPE));
const SCALE = Float64Array.from({ length: 128 }, (_, halvings) => 2 ** (30 - halvings));

function power(f: number): number {
  return POWER.reduceRight((sum, coefficient) => Math.fround(sum * f + coefficient), 0);
}

/** The weight of the largest logit. */
export const UNIT = 2 ** 30;

/** Added and subtracted again, it rounds to a whole number, ties to even. */
const ROUND = 2 ** 52 + 2 ** 51;

const MAX_FLOAT = 3.4028234663852886e38;

/** Steps per nat at a temperature above 0. */
export function stepsPerNat(temperature: number): number {
  return Math.fround(Math.min((STEPS_PER_HALVING * Math.LOG2E) / temperature, MAX_FLOAT));
}

/** Steps per nat of the model's own distribution. */
export const MODEL_STEPS = stepsPerNat(1);

/** A float32 in (0, UNIT]; at most 2^-70 for logits that are impossible. */
export function weightOf(logit: number, top: number, steps: number): number {
  const drop = Math.fround(Math.fround(top - logit) * steps);
  // biome-ignore lint/complexity/useMathMinMax: NaN (infinity times 0, at a vast temperature) is far too
  const k = ((drop < MAX_STEPS ? drop : MAX_STEPS) + ROUND - ROUND) | 0;
  const fraction = Math.fround((COARSE[(k >>> 8) & 255] ?? 0) * (FINE[k & 255] ?? 0));
  return fraction * (SCALE[(k >>> 16) & 127] ?? 0);
}

/** A weight as draws take it: a whole number up to 2^30, so that sums are exact in any order. */
export function wholeWeight(weight: number): number {
  return weight + ROUND - ROUND;
}
