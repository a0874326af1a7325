import type { Rng } from './rng.js';
import type { Calculation, CalculationPart, ProblemDraft, Reading } from './types.js';

export const stepSeparator = '\n\n';
const mostSteps = 6;

export function evaluate(left: number, operator: '+' | '-' | '*', right: number): number {
  if (operator === '+') return left + right;
  return operator === '-' ? left - right : left * right;
}

function sayPart(part: CalculationPart, rng: Rng): string {
  if (part.operator === 'remark') return part.text;
  const swap = part.operator !== '-' && rng.int(0, 3) === 0;
  const [left, right] = swap ? [part.right, part.left] : [part.left, part.right];
  return `${left}${part.operator}${right}=${evaluate(left, part.operator, right)}`;
}

function sayCalculation(calculation: Calculation, rng: Rng): string {
  const body = calculation.parts.map((part) => sayPart(part, rng)).join(rng.pick([', ', ' and ']));
  if (calculation.parts[0]?.operator === 'remark') return `${body}.`;
  const own = calculation.intros ?? [];
  const intro = rng.pick(['', 'Then', 'So', 'Next', ...own, ...own, ...own]);
  return intro === '' ? `${body}.` : `${intro} ${body}.`;
}

/** Equal stages in any order. */
function orderCalculations(calculations: readonly Calculation[], rng: Rng): Calculation[] {
  const stages = [...new Set(calculations.map((calculation) => calculation.stage))].sort(
    (a, b) => a - b,
  );
  return stages.flatMap((stage) => rng.shuffle(calculations.filter((c) => c.stage === stage)));
}

/** Half the time in the order of the question or figure, else backwards or in any order. A clear
 *  favourite teaches a small model sooner which values are still to be read. */
function reorder<T>(values: readonly T[], order: number, rng: Rng): T[] {
  if (order < 2) return [...values];
  return order === 2 ? [...values].reverse() : rng.shuffle(values);
}

/** Readings of each group, groups and values in one of the orders. */
function groupReadings(readings: readonly Reading[], rng: Rng): Reading[][] {
  const groups = new Map<string, Reading[]>();
  for (const reading of readings) {
    const key = reading.group ?? '';
    groups.set(key, [...(groups.get(key) ?? []), reading]);
  }
  const order = rng.int(0, 3);
  return reorder([...groups.values()], order, rng).map((group) => reorder(group, order, rng));
}

/** Groups one per step where there is room, or split once more, or all in one step. */
function readingSteps(draft: ProblemDraft, room: number, rng: Rng): Reading[][][] {
  const groups = groupReadings(draft.readings, rng);
  if (groups.length > 1) {
    return groups.length <= room && rng.int(0, 2) > 0 ? groups.map((group) => [group]) : [groups];
  }
  const only = groups[0] as Reading[];
  if (room >= 2 && only.length >= 2 && rng.int(0, 2) > 0) {
    const cut = rng.int(1, only.length - 1);
    return [[only.slice(0, cut)], [only.slice(cut)]];
  }
  return [groups];
}

function sayReadings(
  groups: readonly Reading[][],
  figureName: string,
  first: boolean,
  rng: Rng,
): string {
  const body = groups
    .map((group) => {
      const values = group.map((reading) => `${reading.name}=${reading.value}`).join(', ');
      const title = group[0]?.title;
      return title === undefined ? values : `${title}: ${values}`;
    })
    .join('; ');
  const intro = first
    ? rng.pick(['', 'I read', `The ${figureName} shows`, `From the ${figureName}:`])
    : rng.pick(['', 'Also', 'I read', 'And']);
  return intro === '' ? `${body}.` : `${intro} ${body}.`;
}

/** One right solution in one of its many wordings: 3 to 6 steps, the last gives the answer. */
export function wordSolution(draft: ProblemDraft, rng: Rng): string[] {
  const calculations = orderCalculations(draft.calculations, rng);
  const room = mostSteps - 1 - calculations.length;
  const reading = readingSteps(draft, room, rng).map((groups, i) =>
    sayReadings(groups, draft.figureName, i === 0, rng),
  );
  return [
    ...reading,
    ...calculations.map((calculation) => sayCalculation(calculation, rng)),
    `Answer: ${draft.answer}`,
  ];
}
