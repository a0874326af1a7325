/** One line of `steptree check`: a gold answer and a response, both as they were written. */
import type { AnswerComparer } from './comparer.js';
import type { Comparison, Gold } from './equivalence.js';
import { extractAnswer, isMarked } from './extract.js';
import { plainMath } from './latex.js';
import type { Rules } from './rules.js';
import { foldText, isProse, isWords } from './words.js';

export interface CheckCase extends Rules {
  /** Several, if any of them is right. */
  readonly gold: readonly string[];
  readonly predicted: string;
  readonly choices?: readonly string[];
  /** Look for the predicted answer in LaTeX only: formulas and boxes. */
  readonly latexOnly?: boolean;
}

/** Extracts both answers and compares them; equal if any gold answer is met.
 *  @throws SteptreeError CHECK_PROCESS_FAILED, VERIFIER_CLOSED */
export async function checkCase(
  comparer: AnswerComparer,
  { gold: golds, predicted, latexOnly = false, ...rules }: CheckCase,
): Promise<Comparison> {
  if (!latexOnly && golds.some((gold) => sameWords(gold, predicted))) {
    return { verdict: 'equal' };
  }
  const answer = predictedAnswer(predicted, rules.choices ?? [], latexOnly);
  let outcome: Comparison = { verdict: 'ungraded', reason: 'no-gold' };
  for (const [index, text] of golds.entries()) {
    const gold: Gold = { ...rules, answer: goldAnswer(text) };
    const comparison: Comparison =
      answer === undefined && gold.answer !== ''
        ? { verdict: 'different', reason: 'no-answer' }
        : await comparer.compare(gold, answer ?? '');
    if (comparison.verdict === 'equal') return comparison;
    if (index === 0 || comparison.verdict === 'ungraded') outcome = comparison;
  }
  return outcome;
}

/** Whole answers in words, such as "Room 5", before anything is looked for in them. */
function sameWords(gold: string, predicted: string): boolean {
  const isPlain = (text: string) =>
    text.length <= maxTextAnswer && /^[\p{L}\p{N}\s.,'’!?-]+$/u.test(text);
  if (!isPlain(gold) || !isPlain(predicted) || !isWords(predicted)) return false;
  return foldText(gold) === foldText(predicted);
}

/** Some gold answers are whole solutions; of these the stated answer counts. */
export function goldAnswer(gold: string): string {
  const found = extractAnswer(gold);
  if (found && isMarked(found)) return found.answer;
  const isSolution = gold.includes('\n') && /\$|\\[([]/.test(gold) && isProse(plainMath(gold));
  return isSolution && found ? found.answer : gold.trim();
}

/** @returns undefined where the response states no answer */
export function predictedAnswer(
  response: string,
  choices: readonly string[],
  latexOnly: boolean,
): string | undefined {
  if (latexOnly && !hasFormula(response)) return undefined;
  const found = extractAnswer(response, choices);
  if (found && isMarked(found)) return found.answer;
  // A long formula that nothing marks is not searched: its end alone could mislead.
  const whole = response.trim();
  if (whole.length > maxTextAnswer && !whole.includes('\n') && isFormula(whole)) return whole;
  const latex = latexOnly ? lastFormula(response) : undefined;
  if (latex !== undefined && found && !isWithinFormula(response, found.answer)) return latex;
  if (found) return found.answer;
  const text = response.trim();
  return text !== '' && text.length <= maxTextAnswer && !text.includes('\n') ? text : undefined;
}

const maxTextAnswer = 200;
const maxProse = 10_000;

function isFormula(line: string): boolean {
  return line.length > maxProse || !isProse(plainMath(line));
}

const formulas =
  /\$\$[\s\S]+?\$\$|\$[^$\n]+\$|\\\([\s\S]+?\\\)|\\\[[\s\S]+?\\\]|\\boxed\s*\{|\\begin\s*\{[\s\S]+?\\end\s*\{\w+\*?\}/g;

function hasFormula(text: string): boolean {
  return text.search(formulas) >= 0;
}

function lastFormula(text: string): string | undefined {
  return [...text.slice(-20_000).matchAll(formulas)].at(-1)?.[0];
}

function isWithinFormula(text: string, answer: string): boolean {
  const bare = answer.replace(/^[$\s]+|[$\s]+$/g, '');
  return [...text.slice(-20_000).matchAll(formulas)].some(([formula]) => formula.includes(bare));
}
