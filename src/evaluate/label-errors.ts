import { bootstrapStatistic, type Estimate } from './statistics.js';

/** A soft label beside the truth of its state. */
export interface MeasuredLabel {
  /** In [0, 1]. */
  readonly value: number;
  /** The label's own 95 % credible interval. */
  readonly interval: readonly [number, number];
  /** Share of right ones among `truthRollouts` further rollouts of the state. */
  readonly truth: number;
  /** Graded rollouts behind the truth, at least 2. */
  readonly truthRollouts: number;
}

/** What one method made of one problem, all its repeats together. */
export interface ProblemLabels {
  readonly labels: readonly MeasuredLabel[];
  /** Tokens of all rollouts, the labelled solutions included. */
  readonly policyTokens: number;
  readonly rollouts: number;
}

/** Errors of labels, each with its 95 % bootstrap interval over problems. */
export interface LabelErrors {
  readonly labels: number;
  /** Root mean squared error, without the part that is the truth's own. */
  readonly rmse: Estimate;
  /** Mean absolute error, the truth's own included. */
  readonly mae: Estimate;
  /** Mean of label - truth. */
  readonly bias: Estimate;
  /** Brier score of the label as a forecast of one more rollout. */
  readonly brier: Estimate;
  /** Its log loss in nats, labels being clipped to [0.01, 0.99]. */
  readonly logLoss: Estimate;
  /** Share of labels whose interval holds the truth. */
  readonly coverage: Estimate;
  /** Per label. */
  readonly policyTokens: Estimate;
  /** Per label. */
  readonly rollouts: Estimate;
}

/** One method beside another one on the same problems. */
export interface LabelComparison {
  /** RMSE divided by the baseline's. */
  readonly rmse: Estimate;
  /** Policy tokens per label divided by the baseline's. */
  readonly policyTokens: Estimate;
  /** How many times the tokens of this method a fixed number of rollouts would cost at this method's
   *  error. The squared error of k rollouts is p (1 - p) / k, so tokens times squared error is the
   *  same for every k, and this is the baseline's product divided by this method's. */
  readonly efficiency: Estimate;
}

/** Sums over the labels of one problem; every measure is made of sums of these. */
interface Sums {
  readonly count: number;
  readonly squared: number;
  readonly absolute: number;
  readonly signed: number;
  readonly brier: number;
  readonly logLoss: number;
  readonly covered: number;
  readonly policyTokens: number;
  readonly rollouts: number;
}

/** @param problems of one method */
export function labelErrors(problems: readonly ProblemLabels[]): LabelErrors {
  const sums = problems.map(sumsOf);
  const mean = (pick: (sums: Sums) => number) =>
    bootstrapStatistic(sums, (drawn) => total(drawn, pick) / total(drawn, countOf));
  return {
    labels: total(sums, countOf),
    rmse: bootstrapStatistic(sums, rmseOf),
    mae: mean((s) => s.absolute),
    bias: mean((s) => s.signed),
    brier: mean((s) => s.brier),
    logLoss: mean((s) => s.logLoss),
    coverage: mean((s) => s.covered),
    policyTokens: mean((s) => s.policyTokens),
    rollouts: mean((s) => s.rollouts),
  };
}

/** @param own and @param baseline the same problems in the same order */
export function compareLabels(
  own: readonly ProblemLabels[],
  baseline: readonly ProblemLabels[],
): LabelComparison {
  const pairs = own.map((problem, i): [Sums, Sums] => [
    sumsOf(problem),
    sumsOf(baseline[i] ?? NO_LABELS),
  ]);
  const ratio = (measure: (sums: readonly Sums[]) => number) =>
    bootstrapStatistic(
      pairs,
      (drawn) => measure(drawn.map(([a]) => a)) / measure(drawn.map(([, b]) => b)),
    );
  const inverse = (drawn: readonly Sums[]) => 1 / (tokensOf(drawn) * rmseOf(drawn) ** 2);
  return { rmse: ratio(rmseOf), policyTokens: ratio(tokensOf), efficiency: ratio(inverse) };
}

const NO_LABELS: ProblemLabels = { labels: [], policyTokens: 0, rollouts: 0 };

function sumsOf({ labels, policyTokens, rollouts }: ProblemLabels): Sums {
  const sum = (pick: (label: MeasuredLabel) => number) =>
    labels.reduce((all, label) => all + pick(label), 0);
  return {
    count: labels.length,
    squared: sum(squaredError),
    absolute: sum(({ value, truth }) => Math.abs(value - truth)),
    signed: sum(({ value, truth }) => value - truth),
    brier: sum(({ value, truth }) => (value - truth) ** 2 + truth * (1 - truth)),
    logLoss: sum(logLossOf),
    covered: sum(({ interval: [low, high], truth }) => (low <= truth && truth <= high ? 1 : 0)),
    policyTokens,
    rollouts,
  };
}

/** The truth of m rollouts has an error of its own, p (1 - p) / m on average, which
 *  t (1 - t) / (m - 1) estimates without bias. It is taken away; one label's may be negative then,
 *  their mean is right. */
function squaredError({ value, truth, truthRollouts }: MeasuredLabel): number {
  return (value - truth) ** 2 - (truth * (1 - truth)) / (truthRollouts - 1);
}

function logLossOf({ value, truth }: MeasuredLabel): number {
  const forecast = Math.min(0.99, Math.max(0.01, value));
  return -(truth * Math.log(forecast) + (1 - truth) * Math.log(1 - forecast));
}

function rmseOf(sums: readonly Sums[]): number {
  return Math.sqrt(Math.max(0, total(sums, (s) => s.squared) / total(sums, countOf)));
}

function tokensOf(sums: readonly Sums[]): number {
  return total(sums, (s) => s.policyTokens) / total(sums, countOf);
}

function countOf({ count }: Sums): number {
  return count;
}

function total(sums: readonly Sums[], pick: (sums: Sums) => number): number {
  return sums.reduce((all, one) => all + pick(one), 0);
}
