/** Gold and prediction by category and expected verdict. */
export type CaseTable = Readonly<Record<string, Verdicts>>;

export interface Verdicts {
  readonly equal: readonly (readonly [gold: string, predicted: string])[];
  readonly different: readonly (readonly [gold: string, predicted: string])[];
}
