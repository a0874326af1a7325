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
 *  parent's estimate is a prior mean. `strength` says how much it weighs: for a Beta prior
 *  Var[V(s')] = V(s) (1 - V(s)) / (strength + 1), so it is near 1 where steps decide much (a step after
 *  which half of the cases are settled) and greater where they decide little. After a failed step
 *  the prior is close to 0, after a safe one close to 1: few rollouts settle such a state.
 *
 *  It is no prior for states that were chosen because something went wrong after them, as OmegaPRM's.
 *  @param parentMean in [0, 1] @param strength in rollouts; 0 gives Jeffreys' prior */
export function priorAfter(parentMean: number, strength: number): BetaPrior {
  return strength > 0 ? { a: strength * parentMean, b: strength * (1 - parentMean) } : JEFFREYS;
}

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
