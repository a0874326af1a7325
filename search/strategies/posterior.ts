/** Prior of a normal-inverse-gamma posterior (Gelman et al., Bayesian Data Analysis, §3.3), with
 *  AB-MCTS-A's defaults: mean 0, weight 1, 1 degree of freedom, scale 0.1. */
export interface NormalPrior {
  readonly mean: number;
  /** Pseudo-observations of the mean. */
  readonly kappa: number;
  /** Degrees of freedom of the variance. */
  readonly nu: number;
  /** Scale of the variance. */
  readonly tau2: number;
}

export const DEFAULT_PRIOR: NormalPrior = { mean: 0, kappa: 1, nu: 1, tau2: 0.1 };

/** Rewards of one arm, and draws of what its mean may be. */
export class Arm {
  private count = 0;
  private sum = 0;
  private sumOfSquares = 0;

  constructor(private readonly prior: NormalPrior) {}

  observe(reward: number): void {
    this.count++;
    this.sum += reward;
    this.sumOfSquares += reward * reward;
  }

  /** Takes one observation back: a trial under way stood for it. */
  forget(reward: number): void {
    this.count--;
    this.sum -= reward;
    this.sumOfSquares -= reward * reward;
  }

  /** Parameters of the posterior: mean m, weight kappa, degrees of freedom nu, scale tau2. */
  posterior(): NormalPrior {
    const { count: n, prior } = this;
    if (n === 0) return prior;
    const average = this.sum / n;
    const spread = Math.max(0, this.sumOfSquares - n * average * average);
    const kappa = prior.kappa + n;
    const nu = prior.nu + n;
    const shift = ((prior.kappa * n) / kappa) * (average - prior.mean) ** 2;
    return {
      mean: (prior.kappa * prior.mean + this.sum) / kappa,
      kappa,
      nu,
      tau2: (prior.nu * prior.tau2 + spread + shift) / nu,
    };
  }

  /** A draw of the mean: variance from its scaled inverse chi-squared, then the mean given it. */
  sample(random: () => number): number {
    const { mean, kappa, nu, tau2 } = this.posterior();
    let chiSquared = 0;
    for (let i = 0; i < nu; i++) chiSquared += normal(random) ** 2;
    const variance = (nu * tau2) / Math.max(chiSquared, 1e-12);
    return mean + normal(random) * Math.sqrt(variance / kappa);
  }
}

/** A standard normal number (Box and Muller). */
function normal(random: () => number): number {
  // 1 - u is never 0, so the logarithm is finite.
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
