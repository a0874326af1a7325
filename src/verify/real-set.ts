/** Sets of real numbers as unions of intervals and points. */

export interface Interval {
  readonly low: number;
  readonly high: number;
  readonly lowClosed: boolean;
  readonly highClosed: boolean;
}

/** Disjoint, not touching, ascending. */
export type RealSet = readonly Interval[];

export const emptySet: RealSet = [];
export const allReals: RealSet = [
  { low: -Infinity, high: Infinity, lowClosed: false, highClosed: false },
];

/** Endpoints this near, relative to their size, are one. */
const sameEndpoint = 1e-9;

export function point(value: number): RealSet {
  return [{ low: value, high: value, lowClosed: true, highClosed: true }];
}

/** Empty where nothing lies between the ends. */
export function interval(
  low: number,
  lowClosed: boolean,
  high: number,
  highClosed: boolean,
): RealSet {
  if (low > high || (low === high && !(lowClosed && highClosed))) return emptySet;
  return [
    {
      low,
      high,
      lowClosed: lowClosed && Number.isFinite(low),
      highClosed: highClosed && Number.isFinite(high),
    },
  ];
}

export function union(...sets: readonly RealSet[]): RealSet {
  const sorted = sets
    .flat()
    .sort((a, b) => a.low - b.low || Number(b.lowClosed) - Number(a.lowClosed));
  const merged: Interval[] = [];
  for (const next of sorted) {
    const last = merged.at(-1);
    const meets =
      last &&
      (next.low < last.high || (near(next.low, last.high) && (next.lowClosed || last.highClosed)));
    if (!last || !meets) {
      merged.push(next);
      continue;
    }
    const reaches = next.high > last.high && !near(next.high, last.high);
    merged[merged.length - 1] = {
      low: last.low,
      // Two points or ends that are one up to rounding close each other.
      lowClosed: last.lowClosed || (near(next.low, last.low) && next.lowClosed),
      high: reaches ? next.high : last.high,
      highClosed: reaches
        ? next.highClosed
        : last.highClosed || (near(next.high, last.high) && next.highClosed),
    };
  }
  return merged;
}

export function complement(set: RealSet): RealSet {
  const gaps: Interval[] = [];
  let low = -Infinity;
  let lowClosed = false;
  for (const one of set) {
    gaps.push(...interval(low, lowClosed, one.low, !one.lowClosed));
    low = one.high;
    lowClosed = !one.highClosed;
  }
  if (low !== Infinity) gaps.push(...interval(low, lowClosed, Infinity, false));
  return gaps;
}

export function intersection(a: RealSet, b: RealSet): RealSet {
  return complement(union(complement(a), complement(b)));
}

/** @param tolerance of the endpoints, absolute, where decimals were rounded; 0 for none */
export function sameSet(a: RealSet, b: RealSet, tolerance = 0): boolean {
  return (
    a.length === b.length &&
    a.every((one, index) => {
      const other = b[index];
      return (
        other !== undefined &&
        one.lowClosed === other.lowClosed &&
        one.highClosed === other.highClosed &&
        near(one.low, other.low, tolerance) &&
        near(one.high, other.high, tolerance)
      );
    })
  );
}

function near(a: number, b: number, tolerance = 0): boolean {
  if (a === b) return true;
  if (!Number.isFinite(a) || !Number.isFinite(b)) return false;
  const size = Math.max(Math.abs(a), Math.abs(b), 1e-3);
  return Math.abs(a - b) <= Math.max(tolerance, size * sameEndpoint);
}
