/** Compares lists, sets, tuples, intervals, unions and matrices item by item. */
import type { Sameness } from './expression/sampling.js';
import type { CollectionReading, Reading } from './reading.js';
import type { Rules } from './rules.js';

type CompareItems = (
  gold: readonly Reading[],
  predicted: readonly Reading[],
  rules: Rules,
) => Sameness;

/** Tuples, intervals and matrices in their order; sets and lists in any. A set may say an item twice; lists
 *  of values must say it as often: 2, 2, 3 is not 2, 3. A bare list, and a set too unless `strict`, answers a tuple in the tuple's order. */
export function compareCollections(
  gold: CollectionReading,
  predicted: CollectionReading,
  rules: Rules,
  compareItems: CompareItems,
): Sameness {
  if ((gold.open === '∪') !== (predicted.open === '∪')) return 'different';
  const orders = [gold, predicted].map(isOrdered);
  if (orders[0] && orders[1]) {
    const sameBrackets = gold.open === predicted.open && gold.close === predicted.close;
    return sameBrackets || areVectors(gold, predicted, rules)
      ? inOrder(gold, predicted, rules, compareItems)
      : 'different';
  }
  if (!orders[0] && !orders[1]) {
    const byPlace = namesPlaces(gold) !== namesPlaces(predicted);
    return byPlace
      ? inOrder(gold, predicted, rules, compareItems)
      : asSets(gold, predicted, rules, compareItems);
  }
  const [tuple, other] = orders[0] ? [gold, predicted] : [predicted, gold];
  if (!mayBeTuple(tuple, other, rules)) return 'different';
  return rules.strict === false
    ? asSets(gold, predicted, rules, compareItems)
    : inOrder(gold, predicted, rules, compareItems);
}

function isOrdered({ open }: CollectionReading): boolean {
  return open === '(' || open === '[';
}

/** (1, 2, 3) is [1, 2, 3]: only two ends make an interval. */
function areVectors(a: CollectionReading, b: CollectionReading, { strict }: Rules): boolean {
  const isVector = ({ open, close, items }: CollectionReading) =>
    (open === '[') === (close === ']') && items.length > 2;
  return strict !== true && isVector(a) && isVector(b);
}

/** `[1, 3]` may be a list in brackets, `[1, 3)` is an interval. */
function mayBeTuple(
  tuple: CollectionReading,
  other: CollectionReading,
  { strict }: Rules,
): boolean {
  if ((tuple.open === '[') !== (tuple.close === ']')) return false;
  if (other.open !== '{') return true;
  return tuple.open === '(' && strict !== true;
}

/** `AB = 4, CD = 5`: a list without names must answer it in its order. */
function namesPlaces({ open, items }: CollectionReading): boolean {
  if (open !== '') return false;
  const names = items.map((item) => {
    const named = item.find((one) => one.kind === 'assignment');
    return named?.kind === 'assignment' ? named.name.text : undefined;
  });
  return names.every((name) => name !== undefined) && new Set(names).size === names.length;
}

function inOrder(
  gold: CollectionReading,
  predicted: CollectionReading,
  rules: Rules,
  compareItems: CompareItems,
): Sameness {
  if (gold.items.length !== predicted.items.length) return 'different';
  return all(
    gold.items.map((item, index) => compareItems(item, predicted.items[index] ?? [], rules)),
  );
}

/** Each item must have its equal on the other side; in lists of numbers, as many. */
function asSets(
  gold: CollectionReading,
  predicted: CollectionReading,
  rules: Rules,
  compareItems: CompareItems,
): Sameness {
  const outcomes = gold.items.map((one) =>
    predicted.items.map((other) => compareItems(one, other, rules)),
  );
  const columns = predicted.items.map((_, index) =>
    outcomes.map((row) => row[index] ?? 'different'),
  );
  const found = all([...outcomes, ...columns].map(best));
  if (found !== 'equal' || !isValueList(gold) || !isValueList(predicted)) return found;
  const count = (line: readonly Sameness[]) => line.filter((one) => one === 'equal').length;
  const [inPredicted, inGold] = [outcomes.map(count), columns.map(count)];
  const asOften = outcomes.every((row, index) => {
    const partner = row.indexOf('equal');
    return inPredicted[index] === inGold[partner];
  });
  return asOften ? 'equal' : 'different';
}

/** As against the solutions x = 2, x = 2 of an equation, or points. */
function isValueList({ open, looseBraces, items }: CollectionReading): boolean {
  const isValue = (one: Reading) => one.kind === 'number' || one.kind === 'symbolic';
  return open === '' && !looseBraces && items.every((item) => item.every(isValue));
}

function best(outcomes: readonly Sameness[]): Sameness {
  if (outcomes.includes('equal')) return 'equal';
  return outcomes.includes('unknown') ? 'unknown' : 'different';
}

function all(outcomes: readonly Sameness[]): Sameness {
  if (outcomes.includes('different')) return 'different';
  return outcomes.includes('unknown') ? 'unknown' : 'equal';
}
