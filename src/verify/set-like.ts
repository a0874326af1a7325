/** Readings as sets of real numbers. */
import { solutionSet } from './inequality.js';
import type { CollectionReading, Reading } from './reading.js';
import { intersection, interval, point, type RealSet, union } from './real-set.js';

/** Whether a reading can only mean a set, so that its partner is read as one too. */
export function isSetLike(reading: Reading): boolean {
  if (reading.kind === 'set' || reading.kind === 'relation') return true;
  if (reading.kind !== 'collection') return false;
  return (
    reading.open === '∪' ||
    (reading.open === '' && reading.items.some((item) => item.some(isSetLike)))
  );
}

/** All sets that the reading can be: a list of inequalities may unite or intersect. */
export function asRealSet(reading: Reading): RealSet[] {
  switch (reading.kind) {
    case 'set':
      return [reading.set];
    case 'relation':
      return optional(solutionSet(reading.statement));
    case 'collection':
      return collectionSets(reading);
    default:
      return [];
  }
}

function optional(set: RealSet | undefined): RealSet[] {
  return set ? [set] : [];
}

function collectionSets({ open, close, items, text }: CollectionReading): RealSet[] {
  if (open === '{') return pointSets(items);
  if (open === '(' || open === '[') return intervalSets(items, open === '[', close === ']');
  const sets = items.map((item) => item.flatMap(memberSets));
  if (sets.length === 0 || sets.some((one) => one.length === 0)) return [];
  const all = sets.map((one) => one[0] ?? []);
  const united = union(...all);
  if (open === '∪' || /\bor\b/.test(text)) return [united];
  const common = all.reduce(intersection);
  // "x < -1, x > 1" can't mean both at once.
  return [/\band\b/.test(text) || common.length > 0 ? common : united];
}

/** x = 2 in a list of conditions is a point. */
function memberSets(reading: Reading): RealSet[] {
  if (reading.kind === 'assignment') return reading.value.flatMap(memberSets);
  return reading.kind === 'number' ? [point(reading.approximate)] : asRealSet(reading);
}

function numberOf(item: readonly Reading[]): number | undefined {
  const number = item.find((one) => one.kind === 'number');
  return number?.kind === 'number' ? number.approximate : undefined;
}

function pointSets(items: CollectionReading['items']): RealSet[] {
  const values = items.map(numberOf);
  return values.every((value) => value !== undefined) ? [union(...values.map(point))] : [];
}

function intervalSets(
  items: CollectionReading['items'],
  lowClosed: boolean,
  highClosed: boolean,
): RealSet[] {
  const [low, high] = items.map(numberOf);
  if (items.length !== 2 || low === undefined || high === undefined || low > high) return [];
  return [interval(low, lowClosed, high, highClosed)];
}
