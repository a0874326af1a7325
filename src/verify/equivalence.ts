/** Decides by rules whether two final answers are the same. Pure; never throws. */
import type { AnswerType, VerdictKind } from '../../search/types.js';
import { choiceIndex, compareChoices } from './choices.js';
import { compareReadings } from './compare-readings.js';
import type { Sameness } from './expression/sampling.js';
import { readAnswer } from './reading.js';
import type { Rules } from './rules.js';

/** What a predicted answer is held against. */
export interface Gold extends Rules {
  readonly answer: string;
  readonly choices?: readonly string[];
  readonly answerType?: AnswerType;
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

/** Longer answers are not graded by rules. In UTF-16 units. */
export const maxAnswerLength = 10_000;

/** Compares a predicted final answer (extracted already, see `extractAnswer`) with the gold answer.
 *
 *  Numbers: with `precision` p a decimal agrees if it differs by at most half a unit of the p-th place;
 *  without it, by 1e-6 relatively. Integers, fractions and constants (roots, π) agree exactly. Units
 *  are dropped where one side has none, else converted; `28%` agrees with `28` and with `0.28`.
 *  Choices: letter or text. Lists and sets in any order; tuples, intervals and matrices in theirs.
 *  Text: case, punctuation and articles apart. Nothing is ever searched inside something else.
 *  Expressions, equations and inequalities: by their values at seeded points (`sampling.ts`).
 *
 *  Not symmetric: a gold `x = 3` is met by `3` and the other way around, but a gold `3` is not met by
 *  `2x = 6`; a gold inequality is met by its interval, a gold interval by an inequality only with
 *  `allowSetRelation`, because that may just be the question given back.
 *  @returns `ungraded` with `needs-symbolic` where neither rules nor computer algebra could tell */
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
  const compare = (one: string, other: string) => compareTexts(one, other, gold);
  const byChoice = compareChoices(gold.choices, gold.answer, predicted, compare);
  if (byChoice) return { verdict: byChoice };
  const outcome = compare(gold.answer, predicted);
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
    return choiceIndex(gold.choices, gold.answer, (a, b) => compareTexts(a, b, gold)) !== undefined;
  }
  const readings = readAnswer(gold.answer);
  if (gold.answerType === 'number') return readings.some((reading) => reading.kind === 'number');
  return readings.length > 0;
}

function compareTexts(gold: string, predicted: string, rules: Rules): Sameness {
  if (gold.trim() === predicted.trim()) return 'equal';
  return compareReadings(readAnswer(gold), readAnswer(predicted), rules);
}
