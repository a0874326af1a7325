/** Credible intervals of a Monte Carlo value: how sure a label is. */

/** Central 95 % credible interval of a success probability after `successes` of `trials`,
 *  under Jeffreys' prior Beta(1/2, 1/2). As is usual for it, the lower end is 0 where nothing
 *  succeeded and the upper end 1 where nothing failed, so that the interval always holds the
 *  mean (Brown, Cai and DasGupta 2001, "Interval estimation for a binomial proportion", §4.1.2).
 *  @returns [low, high] in [0, 1]; [0, 1] for no trials */
export function credibleInterval(successes: number, trials: number): readonly [number, number] {
  if (trials === 0) return [0, 1];
  const key = successes * 2 ** 26 + trials;
  const known = intervalCache.get(key);
  if (known) return known;
  const a = successes + 0.5;
  const b = trials - successes + 0.5;
  const low = successes === 0 ? 0 : betaQuantile(0.025, a, b);
  const high = successes === trials ? 1 : betaQuantile(0.975, a, b);
  const interval: readonly [number, number] = [round6(low), round6(high)];
  if (intervalCache.size < 65_536) intervalCache.set(key, interval);
  return interval;
}

/** Central 95 % interval of Beta(a, b), widened where need be so that it holds the mean: nearly all of
 *  a Beta with a far below 1 lies at 0.
 *  @returns [low, high] in [0, 1] */
export function betaInterval(a: number, b: number): readonly [number, number] {
  const mean = a / (a + b);
  const low = a > 0 ? betaQuantile(0.025, a, b) : 0;
  const high = b > 0 ? betaQuantile(0.975, a, b) : 1;
  return [round6(Math.min(low, mean)), round6(Math.max(high, mean))];
}

const intervalCache = new Map<number, readonly [number, number]>();

/** Six decimals: more says nothing about a label, and fewer bytes go into labels.jsonl. */
function round6(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}

/** x with P(X <= x) = p for X ~ Beta(a, b), by bisection to 1e-9. */
function betaQuantile(p: number, a: number, b: number): number {
  let low = 0;
  let high = 1;
  while (high - low > 1e-9) {
    const middle = (low + high) / 2;
    if (betaCdf(middle, a, b) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Regularised incomplete beta function by its continued fraction (DLMF 8.17.22),
 *  evaluated on the side where it converges fast (DLMF 8.17.4). */
function betaCdf(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - betaCdf(1 - x, b, a);
  const logFront =
    a * Math.log(x) + b * Math.log1p(-x) + logGamma(a + b) - logGamma(a) - logGamma(b);
  return (Math.exp(logFront) / a) * betaFraction(x, a, b);
}

/** Modified Lentz evaluation of the continued fraction. */
function betaFraction(x: number, a: number, b: number): number {
  const tiny = 1e-300;
  let c = 1;
  let d = 1 / nonZero(1 - ((a + b) * x) / (a + 1), tiny);
  let fraction = d;
  for (let m = 1; m < 10_000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / nonZero(1 + even * d, tiny);
    c = nonZero(1 + even / c, tiny);
    fraction *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / nonZero(1 + odd * d, tiny);
    c = nonZero(1 + odd / c, tiny);
    const delta = d * c;
    fraction *= delta;
    if (Math.abs(delta - 1) < 1e-14) break;
  }
  return fraction;
}

function nonZero(value: number, tiny: number): number {
  return Math.abs(value) < tiny ? tiny : value;
}

/** ln Γ(x) for x > 0: recurrence up to x >= 8, then Stirling's series (DLMF 5.11.1). */
function logGamma(x: number): number {
  let shift = 0;
  let z = x;
  while (z < 8) {
    shift -= Math.log(z);
    z += 1;
  }
  const w = 1 / (z * z);
  const series = (1 / 12 - w * (1 / 360 - w * (1 / 1260 - w / 1680))) / z;
  return shift + (z - 0.5) * Math.log(z) - z + 0.5 * Math.log(2 * Math.PI) + series;
}
