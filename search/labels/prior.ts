/** What is believed of a state's value before its rollouts, and with them. */

/** Beta(a, b): as if `a` rollouts had been right and `b` wrong. */
export interface BetaPrior {
  readonly a: number;
  readonly b: number;
}

/** Jeffreys' prior, where nothing else is known. */
export const JEFFREYS: BetaPrior = { a: 0.5, b: 0.5 };

/** The value of a state is the mean of its next states' values, weighted by how likely the policy is
 *  to go there: V(s) = E[V(s')], s' ~ policy (a martingale). A step of a sampled solution is such a
 *  draw. So before its own rollouts a state is worth what its parent is, on average exactly, and the
 *  parent's estimate m is the mean of a prior.
 *
 *  How firm it is depends on m. If a step moves the log-odds of success by about as much wherever it
 *  stands, then V(s') spreads like m (1 - m), not like its root: after a failed or a safe step next to
 *  nothing happens any more. A Beta prior of k rollouts has the variance m (1 - m) / (k + 1), so k goes
 *  like 1 / (m (1 - m)): k = strength at m = 1/2, and Beta(strength / (4 (1 - m)), strength / (4 m)).
 *  With strength 1 that is Jeffreys' prior at m = 1/2. Few rollouts, or none, settle a state whose
 *  parent is settled; m is kept `SUREST` away from 0 and 1, so that some always can unsettle it.
 *
 *  It is no prior for states that were chosen because something went wrong after them, as OmegaPRM's.
 *  @param parentMean in [0, 1] @param strength in rollouts; 0 gives Jeffreys' prior */
export function priorAfter(parentMean: number, strength: number): BetaPrior {
  if (strength === 0) return JEFFREYS;
  const mean = Math.min(1 - SUREST, Math.max(SUREST, parentMean));
  return { a: strength / (4 * (1 - mean)), b: strength / (4 * mean) };
}

/** A parent of this value counts as 50 times `strength` rollouts. */
const SUREST = 0.005;

/** Mean of the value after `correct` of `graded` rollouts. */
export function posteriorMean(correct: number, graded: number, { a, b }: BetaPrior): number {
  return (correct + a) / (graded + a + b);
}

/** How much one further rollout would lower the expected squared error of the posterior mean.
 *  With t = graded + a + b pseudo-rollouts of mean m the posterior's variance is m (1 - m) / (t + 1),
 *  and a rollout more makes it t / (t + 1) of that on average, so it gains m (1 - m) / (t + 1)^2. */
export function rolloutGain(correct: number, graded: number, prior: BetaPrior): number {
  const mean = posteriorMean(correct, graded, prior);
  return (mean * (1 - mean)) / (graded + prior.a + prior.b + 1) ** 2;
}
