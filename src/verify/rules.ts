/** How strictly two answers are compared. */
export interface Rules {
  /** Decimal places to which numbers must agree, where one of them is written as a decimal. */
  readonly precision?: number;
  /** `true`: sets are no tuples and single letters keep their case. `false`: variables are matched by
   *  position and the order of tuples doesn't matter to sets. Default: between the two. */
  readonly strict?: boolean;
  /** Whether an inequality may answer a gold set. The other way around is always allowed. */
  readonly allowSetRelation?: boolean;
}
