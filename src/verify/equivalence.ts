/** Decides by rules whether two final answers are the same. Pure; never throws. */
import type { AnswerType, VerdictKind } from '../../search/types.js';
import type { NumberReading } from './number.js';
import { sameRational, withinHalfUnit } from './rational.js';
import { type CollectionReading, foldText, type Reading, readAnswer } from './reading.js';

/** What a predicted answer is held against. */
export interface Gold {
  readonly answer: string;
  readonly choices?: readonly string[];
  readonly answerType?: AnswerType;
  /** Decimal places to which numbers must agree. */
  readonly precision?: number;
}

export interface Comparison {
  readonly verdict: VerdictKind;
  /** `no-answer`, `no-gold`, `too-long`, `needs-symbolic`; absent where the verdict says it all. */
  readonly reason?: string;
}

/** The seam for computer algebra: asked only about pairs that the rules can't decide.
 *  Runs in the check process, so it may hang or run out of memory without harm. */
export type SymbolicComparer = (
  gold: string,
  predicted: string,
  options: { readonly precision?: number },
) => 'equal' | 'different' | 'unknown';

type Outcome = 'equal' | 'different' | 'unknown';

/** Relative difference that writing a decimal may cause, where no precision is asked for. */
const decimalTolerance = 1e-6;
/** Relative error of evaluating an expression such as \sqrt{117} in doubles. */
const evaluationTolerance = 1e-9;
/** Longer answers are not graded by rules. In UTF-16 units. */
export const maxAnswerLength = 10_000;

/** Compares a predicted final answer (extracted already, see `extractAnswer`) with the gold answer.
 *
 *  Numbers: with `precision` p they agree if they differ by at most half a unit of the p-th decimal.
 *  Without it, integers and fractions agree exactly, and where either is written as a decimal they may
 *  differ by 1e-6 relatively; expressions of constants (roots, π) are evaluated. Units are dropped,
 *  or converted if both name one of the same dimension; `28%` agrees with `28` and with `0.28`.
 *  Choices: letter or text. Lists and sets in any order; tuples, intervals and matrices in theirs.
 *  Text: case, punctuation and articles apart. Nothing is ever searched inside something else.
 *  @returns `ungraded` with `needs-symbolic` where the two are expressions that may still be equal */
export function compareAnswers(
  gold: Gold,
  predicted: string,
  symbolic?: SymbolicComparer,
): Comparison {
  if (predicted.trim() === '') return { verdict: 'different', reason: 'no-answer' };
  if (gold.answer.trim() === '') return { verdict: 'ungraded', reason: 'no-gold' };
  if (predicted.length > maxAnswerLength || gold.answer.length > maxAnswerLength) {
    return { verdict: 'ungraded', reason: 'too-long' };
  }
  const byChoice = compareChoices(gold, predicted);
  if (byChoice) return { verdict: byChoice };
  const outcome = compareTexts(gold.answer, predicted, gold.precision);
  if (outcome !== 'unknown') return { verdict: outcome };
  const asked = symbolic?.(
    gold.answer,
    predicted,
    gold.precision === undefined ? {} : { precision: gold.precision },
  );
  return asked === 'equal' || asked === 'different'
    ? { verdict: asked }
    : { verdict: 'ungraded', reason: 'needs-symbolic' };
}

/** Whether `answer` can be read as its declared type; a reader of problems asks before any model does. */
export function fitsAnswerType(gold: Gold): boolean {
  if (gold.answer.trim() === '') return false;
  if (gold.answerType === 'choice' && gold.choices && gold.choices.length > 0) {
    return choiceIndex(gold.choices, gold.answer, gold.precision) !== undefined;
  }
  const readings = readAnswer(gold.answer);
  if (gold.answerType === 'number') return readings.some((reading) => reading.kind === 'number');
  return readings.length > 0;
}

function compareChoices(gold: Gold, predicted: string): VerdictKind | undefined {
  const { choices, precision } = gold;
  if (!choices || choices.length === 0) return undefined;
  const goldIndex = choiceIndex(choices, gold.answer, precision);
  if (goldIndex === undefined) return undefined;
  const predictedIndex = choiceIndex(choices, predicted, precision);
  if (predictedIndex !== undefined) {
    return predictedIndex === goldIndex ? 'equal' : 'different';
  }
  const outcome = compareTexts(choices[goldIndex] ?? '', predicted, precision);
  return outcome === 'unknown' ? undefined : outcome;
}

/** Which choice an answer names: by its exact text, by a letter, by letter and text ("B. 5 cm"), or by
 *  an equal value. @returns undefined where it names none, or two */
export function choiceIndex(
  choices: readonly string[],
  answer: string,
  precision?: number,
): number | undefined {
  const folded = foldText(answer);
  const exact = choices.findIndex((choice) => choice.trim() === answer.trim());
  if (exact >= 0) return exact;
  const lettered =
    /^\s*(?:(?:option|choice)\s+)?[$\s]*(?:\\(?:text|boxed|mathrm|textbf)\s*\{)?\s*[([]?([A-Za-z])[)\]]?[}$\s]*(?:[.:)]\s*(\S[\s\S]*))?[.\s]*$/i.exec(
      answer,
    );
  const letter = lettered?.[1] ?? /^\s*\(([A-Za-z])\)\s+\S/.exec(answer)?.[1];
  const namesSeveral = (answer.match(/\([A-Z]\)/g) ?? []).length > 1;
  if (letter && !namesSeveral) {
    const index = letter.toUpperCase().charCodeAt(0) - 65;
    if (index < choices.length) return index;
  }
  const same = matches(choices, (choice) => folded !== '' && foldText(choice) === folded);
  if (same.length > 0) return same.length === 1 ? same[0] : undefined;
  const equal = matches(choices, (choice) => compareTexts(choice, answer, precision) === 'equal');
  return equal.length === 1 ? equal[0] : undefined;
}

function matches(choices: readonly string[], test: (choice: string) => boolean): number[] {
  return choices.flatMap((choice, index) => (test(choice) ? [index] : []));
}

function compareTexts(gold: string, predicted: string, precision?: number): Outcome {
  if (gold.trim() === predicted.trim()) return 'equal';
  return compareReadings(readAnswer(gold), readAnswer(predicted), precision);
}

/** Equal if any two readings are; unknown if none is but some pair can't be decided. */
function compareReadings(
  gold: readonly Reading[],
  predicted: readonly Reading[],
  precision?: number,
): Outcome {
  let outcome: Outcome = 'different';
  for (const left of gold) {
    for (const right of predicted) {
      const one = compareReading(left, right, precision);
      if (one === 'equal') return 'equal';
      if (one === 'unknown') outcome = 'unknown';
    }
  }
  return outcome;
}

function compareReading(gold: Reading, predicted: Reading, precision?: number): Outcome {
  if (gold.kind === 'number' && predicted.kind === 'number') {
    return sameNumber(gold, predicted, precision) ? 'equal' : 'different';
  }
  if (gold.kind === 'collection' && predicted.kind === 'collection') {
    return compareCollections(gold, predicted, precision);
  }
  if (gold.kind === 'letter' && predicted.kind === 'letter') {
    return gold.letter === predicted.letter ? 'equal' : 'different';
  }
  if (gold.kind === 'text' && predicted.kind === 'text')
    return compareWords(gold.folded, predicted.folded);
  if (gold.kind === 'relation' && predicted.kind === 'relation') {
    if (gold.variable !== predicted.variable) return 'unknown';
    const same = gold.operator === predicted.operator;
    return same && sameNumber(gold.bound, predicted.bound, precision) ? 'equal' : 'different';
  }
  if (gold.kind === 'symbolic' && predicted.kind === 'symbolic') {
    if (gold.normal === predicted.normal) return 'equal';
    if (sameBase(gold.normal, predicted.normal)) return 'different';
  }
  return undecidable(gold, predicted) ? 'unknown' : 'different';
}

/** Expressions and inequalities may equal numbers, sets and each other in ways that rules don't see. */
function undecidable(gold: Reading, predicted: Reading): boolean {
  const open = (reading: Reading) => reading.kind === 'symbolic' || reading.kind === 'relation';
  if (gold.kind === 'text' || predicted.kind === 'text') return false;
  return open(gold) || open(predicted);
}

/** Two numerals in the same base, as 1112_3 and 2101_3. */
function sameBase(gold: string, predicted: string): boolean {
  const base = (text: string) => /^[0-9A-Z]+_\{?\(?(\d+)\)?\}?$/.exec(text)?.[1];
  return base(gold) !== undefined && base(gold) === base(predicted);
}

function compareWords(gold: string, predicted: string): Outcome {
  if (gold === predicted) return 'equal';
  // "Yes, because …" answers a yes/no question.
  const answersYesNo = (gold === 'yes' || gold === 'no') && predicted.split(' ')[0] === gold;
  return answersYesNo ? 'equal' : 'different';
}

function sameNumber(gold: NumberReading, predicted: NumberReading, precision?: number): boolean {
  if (gold.percent === predicted.percent) {
    return sameValue(gold, predicted, unitRatio(gold, predicted), precision);
  }
  const [percent, plain] = gold.percent ? [gold, predicted] : [predicted, gold];
  const asFraction = sameValue(percent, plain, 0.01, precision);
  // A gold answer up to 1 is a share: "0.28" is not met by "0.28 %".
  const asWritten = gold.percent || Math.abs(gold.approximate) > 1;
  return asFraction || (asWritten && sameValue(percent, plain, 1, precision));
}

/** Factor that turns the predicted unit into the gold one; 1 unless both name the same dimension. */
function unitRatio(gold: NumberReading, predicted: NumberReading): number {
  if (!gold.unit || !predicted.unit || gold.unit.dimension !== predicted.unit.dimension) return 1;
  return gold.unit.factor / predicted.unit.factor;
}

/** Whether a·ratio = b. */
function sameValue(
  a: NumberReading,
  b: NumberReading,
  ratio: number,
  precision: number | undefined,
): boolean {
  if (ratio === 1 && a.exact && b.exact) {
    if (sameRational(a.exact, b.exact)) return true;
    if (precision !== undefined) return withinHalfUnit(a.exact, b.exact, precision);
    if (!a.decimal && !b.decimal) return false;
  }
  const left = a.approximate * ratio;
  const right = b.approximate;
  const size = Math.max(Math.abs(left), Math.abs(right));
  const difference = Math.abs(left - right);
  if (difference <= size * evaluationTolerance) return true;
  if (precision !== undefined) return difference <= 0.5 * 10 ** -precision * (1 + 1e-9);
  return (a.decimal || b.decimal) && difference <= size * decimalTolerance;
}

function compareCollections(
  gold: CollectionReading,
  predicted: CollectionReading,
  precision?: number,
): Outcome {
  const ordered = (one: CollectionReading) => one.open === '(' || one.open === '[';
  if (ordered(gold) && ordered(predicted)) {
    if (gold.open !== predicted.open || gold.close !== predicted.close) return 'different';
  }
  if ((gold.open === '∪') !== (predicted.open === '∪')) return 'unknown';
  return ordered(gold) || ordered(predicted)
    ? compareInOrder(gold, predicted, precision)
    : compareAsSets(gold, predicted, precision);
}

function compareInOrder(
  gold: CollectionReading,
  predicted: CollectionReading,
  precision?: number,
): Outcome {
  if (gold.items.length !== predicted.items.length) return 'different';
  const outcomes = gold.items.map((item, index) =>
    compareReadings(item, predicted.items[index] ?? [], precision),
  );
  if (outcomes.includes('different')) return 'different';
  return outcomes.includes('unknown') ? 'unknown' : 'equal';
}

/** Each item must have its equal on the other side; how often it is said doesn't matter. */
function compareAsSets(
  gold: CollectionReading,
  predicted: CollectionReading,
  precision?: number,
): Outcome {
  const best = (item: readonly Reading[], others: CollectionReading['items']): Outcome => {
    const outcomes = others.map((other) => compareReadings(item, other, precision));
    if (outcomes.includes('equal')) return 'equal';
    return outcomes.includes('unknown') ? 'unknown' : 'different';
  };
  const outcomes = [
    ...gold.items.map((item) => best(item, predicted.items)),
    ...predicted.items.map((item) => best(item, gold.items)),
  ];
  if (outcomes.includes('different')) return 'different';
  return outcomes.includes('unknown') ? 'unknown' : 'equal';
}
