/** Measures of a reward model's scores against known truth. */

export interface Labelled {
  /** In [0, 1]. */
  readonly score: number;
  readonly right: boolean;
}

/** Area under the ROC curve: the chance that a right one scores above a wrong one, ties counted
 *  half (Mann-Whitney). NaN if either kind is missing. O(n log n). */
export function areaUnderCurve(items: readonly Labelled[]): number {
  const sorted = [...items].sort((a, b) => a.score - b.score);
  let rankSum = 0;
  let rights = 0;
  for (let from = 0; from < sorted.length; ) {
    let to = from;
    while (to < sorted.length && sorted[to]?.score === sorted[from]?.score) to++;
    // Equal scores share the mean of their ranks from + 1 to `to`.
    const tied = sorted.slice(from, to).filter(({ right }) => right).length;
    rankSum += tied * ((from + 1 + to) / 2);
    rights += tied;
    from = to;
  }
  const wrongs = items.length - rights;
  return (rankSum - (rights * (rights + 1)) / 2) / (rights * wrongs);
}

/** Expected calibration error (Guo et al. 2017, arXiv 1706.04599, Eq. 3): mean gap between score
 *  and share of right ones over `bins` equal bins, weighted by their sizes. */
export function calibrationError(items: readonly Labelled[], bins = 10): number {
  const sums = Array.from({ length: bins }, () => ({ score: 0, right: 0 }));
  for (const { score, right } of items) {
    const bin = sums[Math.min(bins - 1, Math.floor(score * bins))];
    if (!bin) continue;
    bin.score += score;
    bin.right += right ? 1 : 0;
  }
  // |sum of scores - number right| per bin is its size times its gap.
  return sums.reduce((sum, bin) => sum + Math.abs(bin.score - bin.right), 0) / items.length;
}

/** A bin of a reliability diagram. */
export interface CalibrationBin {
  /** Means over the bin. */
  readonly score: number;
  readonly share: number;
  readonly count: number;
}

/** Mean score and share of right ones in `bins` equal bins; empty ones are left out. */
export function calibrationBins(items: readonly Labelled[], bins = 10): CalibrationBin[] {
  return Array.from({ length: bins }, (_, bin) =>
    items.filter(({ score }) => Math.min(bins - 1, Math.floor(score * bins)) === bin),
  )
    .filter((held) => held.length > 0)
    .map((held) => ({
      score: held.reduce((sum, { score }) => sum + score, 0) / held.length,
      share: held.filter(({ right }) => right).length / held.length,
      count: held.length,
    }));
}

export interface StepF1 {
  readonly right: number;
  readonly wrong: number;
  /** Mean of both, VisualProcessBench's figure (arXiv 2503.10291, §4.2). */
  readonly macro: number;
}

/** F1 of steps taken for right (scored `threshold` or above) and of those taken for wrong. */
export function stepF1(items: readonly Labelled[], threshold: number): StepF1 {
  const count = (right: boolean, taken: boolean) =>
    items.filter((item) => item.right === right && item.score >= threshold === taken).length;
  const f1 = (hit: number, missed: number, false_: number) =>
    hit === 0 ? 0 : (2 * hit) / (2 * hit + missed + false_);
  const [wrongTaken, rightLeft] = [count(false, true), count(true, false)];
  const right = f1(count(true, true), rightLeft, wrongTaken);
  const wrong = f1(count(false, false), wrongTaken, rightLeft);
  return { right, wrong, macro: (right + wrong) / 2 };
}

/** One solution: the index of its first wrong step, null if there is none. */
export interface FirstErrors {
  readonly predicted: number | null;
  readonly truth: number | null;
}

/** First-error detection as ProcessBench scores it (arXiv 2412.06559, §3): accuracy among the
 *  solutions with an error (the step must match), among those without, and their harmonic mean. */
export function firstErrorScores(solutions: readonly FirstErrors[]) {
  const share = (some: readonly FirstErrors[]) =>
    some.filter(({ predicted, truth }) => predicted === truth).length / some.length;
  const erroneous = share(solutions.filter(({ truth }) => truth !== null));
  const correct = share(solutions.filter(({ truth }) => truth === null));
  const sum = erroneous + correct;
  return { erroneous, correct, f1: sum > 0 ? (2 * erroneous * correct) / sum : 0 };
}

/** Index of the first step scored below `threshold`, null if none is. */
export function firstBelow(scores: readonly number[], threshold: number): number | null {
  const index = scores.findIndex((score) => score < threshold);
  return index < 0 ? null : index;
}
