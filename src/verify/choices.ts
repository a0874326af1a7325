/** Which of a problem's choices an answer names. */
import type { VerdictKind } from '../../search/types.js';
import type { Sameness } from './expression/sampling.js';
import { foldText } from './words.js';

type CompareTexts = (gold: string, predicted: string) => Sameness;

/** @returns undefined where the gold answer names no choice, or rules can't decide */
export function compareChoices(
  choices: readonly string[] | undefined,
  gold: string,
  predicted: string,
  compareTexts: CompareTexts,
): VerdictKind | undefined {
  if (!choices || choices.length === 0) return undefined;
  const goldIndex = choiceIndex(choices, gold, compareTexts);
  if (goldIndex === undefined) return undefined;
  const predictedIndex = choiceIndex(choices, predicted, compareTexts);
  if (predictedIndex !== undefined) {
    return predictedIndex === goldIndex ? 'equal' : 'different';
  }
  const outcome = compareTexts(choices[goldIndex] ?? '', predicted);
  return outcome === 'unknown' ? undefined : outcome;
}

/** Which choice an answer names: by its exact text, by a letter, by letter and text ("B. 5 cm"), or by
 *  an equal value. @returns undefined where it names none, or two */
export function choiceIndex(
  choices: readonly string[],
  answer: string,
  compareTexts: CompareTexts,
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
  const equal = matches(choices, (choice) => compareTexts(choice, answer) === 'equal');
  return equal.length === 1 ? equal[0] : undefined;
}

function matches(choices: readonly string[], test: (choice: string) => boolean): number[] {
  return choices.flatMap((choice, index) => (test(choice) ? [index] : []));
}
