/** OlympiadBench: competition mathematics with pictures, open-ended. */

import { extractAnswer } from '../verify/index.js';
import { boxes } from './boxed.js';
import { checkedScore } from './checked.js';
import { text, textOf } from './fields.js';
import type { AnswerChecks, AnswerSet, Fields, Score, SetProblem } from './types.js';

const kinds: Readonly<Record<string, string>> = {
  Numerical: 'a numerical value',
  Expression: 'an expression',
  Equation: 'an equation',
  Interval: 'an interval',
  Tuple: 'a tuple',
};

/** OlympiadBench (arXiv 2402.14008, §3.4): the last box, numbers within the problem's error (1e-8 where it
 *  names none), expressions by algebra, several answers in any order. */
export const olympiadBench: AnswerSet = {
  name: 'olympiad-bench',
  title: 'OlympiadBench (multimodal maths)',
  source: 'He et al., OlympiadBench, arXiv 2402.14008; the rules of its AutoScoringJudge',
  problemOf: (fields, index) => {
    if (fields.subject !== undefined && !/math/i.test(textOf(fields.subject))) return null;
    if (/proof|theorem/i.test(textOf(fields.question_type))) return null;
    const context = text(fields.context);
    const finals = listOf(fields.final_answer).map(textOf);
    return {
      id: textOf(fields.id ?? index),
      question: `${context ? `${context}\n` : ''}${text(fields.question)}`,
      images: picturesOf(fields),
      answer: finals.join(', ').replace(/^\$|\$$/g, ''),
    };
  },
  prompt: ({ metadata, question }) => {
    const several = metadata.is_multiple_answer === true;
    const kind = kinds[textOf(metadata.answer_type)];
    const unit = text(metadata.unit) ? `(unit: ${text(metadata.unit)})` : '';
    const box = several ? 'multiple answers connected with commas' : 'answer';
    return `The following is an open-ended problem from an International Math competition. ${kind ? `The answer of the problem should be ${several ? 'multiple answers, each ' : ''}${kind}. ` : ''}Please calculate the answer according to the given requirements and the information provided. Please use LaTeX format to represent the variables and formulas used in the solution process and results. Please end your solution with "So the final answer is \\boxed{${box}}${unit}." and give the result explicitly${unit}.\n\n${question}`;
  },
  extract: (response) => {
    const all = boxes(response);
    return all.at(-1) ?? extractAnswer(response)?.answer ?? null;
  },
  score: scoreOlympiad,
  groups: ({ metadata }) => ({
    subfield: [textOf(metadata.subfield)].filter(Boolean),
    'answer type': [textOf(metadata.answer_type)].filter(Boolean),
    language: [textOf(metadata.language)].filter(Boolean),
  }),
};

async function scoreOlympiad(
  extraction: unknown,
  problem: SetProblem,
  checks: AnswerChecks,
): Promise<Score> {
  const error = Number(textOf(problem.metadata.error) || Number.NaN);
  const values = [problem.answer, textOf(extraction)].map(numberOf);
  const [gold = Number.NaN, predicted = Number.NaN] = values;
  if (!Number.isNaN(gold) && !Number.isNaN(predicted)) {
    const within = Math.abs(gold - predicted) <= (Number.isNaN(error) ? 1e-8 : error) * 1.01;
    return { verdict: within ? 'correct' : 'wrong', prediction: textOf(extraction) };
  }
  return checkedScore(extraction, problem, checks);
}

/** NaN for what is no single number: "1, 2" are two. */
function numberOf(answer: string): number {
  const plain = answer.replace(/\$/g, '').trim();
  const isGrouped = /^[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?$/.test(plain);
  return plain === '' ? Number.NaN : Number(isGrouped ? plain.replaceAll(',', '') : plain);
}

export function listOf(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  return value === undefined || value === null ? [] : [value];
}

/** `image_1` … `image_9`, or a list of names. */
export function picturesOf(fields: Fields): unknown[] {
  const numbered = Array.from({ length: 9 }, (_, i) => fields[`image_${i + 1}`]);
  const named = [fields.images, fields.image].flatMap(listOf);
  return [...numbered, ...named].filter((one) => one !== undefined && one !== null && one !== '');
}
