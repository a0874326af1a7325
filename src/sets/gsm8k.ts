/** GSM8K: 1,319 word problems without pictures. */
import { boxes } from './boxed.js';
import { text, textOf } from './fields.js';
import { numericAnswer } from './prose/numeric-answer.js';
import type { AnswerSet, Score } from './types.js';

const afterHashes = /####\s*(-?\$?[0-9.,]+)/;

/** GSM8K (arXiv 2110.14168, App. A): the number behind `####`, commas apart. The gold solution ends so;
 *  a response that does not is read for its box or the number that it concludes with. */
export const gsm8k: AnswerSet = {
  name: 'gsm8k',
  title: 'GSM8K',
  source: 'Cobbe et al., arXiv 2110.14168; extract_answer of the authors',
  problemOf: (fields, index) => ({
    id: textOf(fields.id ?? `gsm8k-${index}`),
    question: text(fields.question),
    images: [],
    answer: plainNumber(text(fields.answer)) ?? textOf(fields.answer).trim(),
    answerType: 'number',
  }),
  prompt: ({ question }) =>
    `${question}\n\nThink step by step, and end with a line "#### N" that gives the answer as a number.`,
  extract: (response, problem) => {
    const boxed = boxes(response).at(-1);
    return (
      plainNumber(response) ??
      (boxed === undefined ? undefined : (/-?\d[\d,]*(?:\.\d+)?/.exec(boxed)?.[0] ?? boxed)) ??
      numericAnswer(response, problem.question)
    );
  },
  score: (extraction, { answer }): Score => {
    if (extraction === null || extraction === undefined)
      return { verdict: 'wrong', prediction: null };
    const prediction = textOf(extraction)
      .replace(/[,$%\s]/g, '')
      .replace(/\.$/, '');
    const value = Number(prediction);
    const isRight = prediction !== '' && value === Number(answer);
    return { verdict: isRight ? 'correct' : 'wrong', prediction };
  },
  groups: () => ({}),
};

/** What stands behind the last `####`, without commas. */
function plainNumber(solution: string): string | undefined {
  const at = solution.lastIndexOf('####');
  const found = at < 0 ? undefined : afterHashes.exec(solution.slice(at))?.[1];
  return found?.replace(/[,$]/g, '').replace(/\.$/, '');
}
