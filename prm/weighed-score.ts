/** A step's score from what a model answers at its marker, and from how likely it finds the solution. */

/** What `weighedScore` makes of both. With 1, 0 and 0 it is P(positive) of the two answers alone. */
export interface ScoreWeights {
  readonly valueWeight: number;
  readonly likelihoodWeight: number;
  readonly bias: number;
}

/** Nats. What stands in a solution is counted as at least this likely: one token that a model finds
 *  impossible tells no more than that. The ONNX graph holds the same bound (training/onnx_graphs.py). */
export const LEAST_LOG_P = -30;

/** sigmoid(valueWeight · (l+ - l-) + likelihoodWeight · C + bias).
 *  @param logOdds l+ - l-, the two answers' logits or log-probabilities at the marker
 *  @param logLikelihood C, the sum of log p(token | all before it) of the solution's tokens up to
 *  the marker, by the same model's language head, markers left out; nats, of any length */
export function weighedScore(
  logOdds: number,
  logLikelihood: number,
  { valueWeight, likelihoodWeight, bias }: ScoreWeights,
): number {
  return 1 / (1 + Math.exp(-(valueWeight * logOdds + likelihoodWeight * logLikelihood + bias)));
}

/** Weights as options and folders state them, the first that states one; 1, 0, 0 where none does. */
export function firstWeights(...stated: readonly StatedWeights[]): ScoreWeights {
  const first = (name: keyof ScoreWeights) => stated.find((one) => one[name] !== undefined)?.[name];
  return {
    valueWeight: first('valueWeight') ?? 1,
    likelihoodWeight: first('likelihoodWeight') ?? 0,
    bias: first('bias') ?? 0,
  };
}

export type StatedWeights = { readonly [Name in keyof ScoreWeights]?: number | undefined };
