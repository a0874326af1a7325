/** DynaMath: 501 seed problems in ten variants each. */
import { groupBy } from '../evaluate/group-by.js';
import { boxes } from './boxed.js';
import { text, textOf } from './fields.js';
import { latexValue } from './latex-value.js';
import { choiceAnswer } from './prose/choice-answer.js';
import { numericAnswer } from './prose/numeric-answer.js';
import type { AnswerSet, ExtraMetric, Score, SetProblem } from './types.js';

const letters = ['A', 'B', 'C', 'D', 'E', 'F'];
const asked = {
  float: 'as a floating-point number with three digits after the decimal point',
  'multiple choice': 'as the single letter of the correct choice',
} as Readonly<Record<string, string>>;

/** DynaMath (arXiv 2411.00836, §3.2 and App.): the reply's "short answer"; floats within 0.001, letters and
 *  texts equal. Worst-case accuracy counts a seed problem that is right in all its variants. */
export const dynaMath: AnswerSet = {
  name: 'dyna-math',
  title: 'DynaMath',
  source: 'Zou et al., DynaMath, arXiv 2411.00836',
  problemOf: (fields, index) => ({
    id: textOf(fields.uid ?? fields.id ?? index),
    question: text(fields.question),
    images: [fields.decoded_image ?? fields.image].filter(
      (one) => one !== undefined && one !== null,
    ),
    answer: textOf(fields.ground_truth ?? fields.answer).trim(),
  }),
  prompt: ({ question, metadata }) =>
    `## Question\n${question}\n\n## Answer Instruction\nPlease provide an answer to the question outlined above. Your response should adhere to the following JSON format, which includes two keys: 'solution' and 'short answer'. The 'solution' key can contain detailed steps needed to solve the question, and the 'short answer' key should provide a concise response, ${asked[textOf(metadata.answer_type)] ?? 'in a few words'}.\n\nExample of expected JSON response format:\n\n{\n    "solution": "[Detailed step-by-step explanation]",\n    "short answer": "[Concise Answer]"\n}`,
  extract: (response, problem) => {
    const short = /"short[ _]answer"\s*:\s*(?:"((?:[^"\\]|\\.)*)"|([^,}\n]+))/i.exec(response);
    const answer = short?.[1] ?? short?.[2]?.trim();
    if (answer !== undefined) return answer.replace(/\\"/g, '"').replace(/\\\\/g, '\\');
    const box = boxes(response).at(-1);
    if (box !== undefined) return box;
    const type = textOf(problem.metadata.answer_type);
    if (type === 'multiple choice') return choiceAnswer(response, letters, problem.question);
    return type === 'float' ? numericAnswer(response, problem.question) : response.trim() || null;
  },
  score: scoreDynaMath,
  groups: ({ metadata }) => ({
    subject: [textOf(metadata.subject)].filter(Boolean),
    level: [textOf(metadata.knowledge_level ?? metadata.level)].filter(Boolean),
    'answer type': [textOf(metadata.answer_type)].filter(Boolean),
  }),
  metrics: (scored): ExtraMetric[] => {
    const seeds = groupBy(scored, ({ problem }) => seedOf(problem));
    const total = seeds.size;
    if (total === 0 || total === scored.length) return [];
    const worst = [...seeds.values()].filter((same) =>
      same.every(({ verdict }) => verdict === 'correct'),
    ).length;
    return [{ name: 'worst-case accuracy', value: worst / total, total }];
  },
};

/** Variants of a seed share the id in the files of a variant each, and its beginning where they are merged. */
function seedOf({ metadata, id }: SetProblem): string {
  return textOf(metadata.seed_id ?? metadata.id ?? id).replace(/[-_]?v(?:ariant)?[-_]?\d+$/i, '');
}

function scoreDynaMath(extraction: unknown, problem: SetProblem): Score {
  if (extraction === null || extraction === undefined)
    return { verdict: 'wrong', prediction: null };
  const prediction = textOf(extraction).trim();
  const { answer, metadata } = problem;
  if (metadata.answer_type === 'float') {
    const value = Number(prediction.replace(/[,$%°\s]/g, ''));
    const number = Number.isNaN(value) || prediction === '' ? latexValue(prediction) : value;
    const isRight = number !== null && Math.abs(number - Number(answer)) <= 0.001;
    return { verdict: isRight ? 'correct' : 'wrong', prediction };
  }
  if (metadata.answer_type === 'multiple choice') {
    const letter = /^\W*([A-Za-z])\b/.exec(prediction)?.[1]?.toUpperCase() ?? null;
    return { verdict: letter === answer.toUpperCase() ? 'correct' : 'wrong', prediction: letter };
  }
  const plain = (one: string) =>
    one
      .toLowerCase()
      .replace(/[^\p{L}\p{N}]+/gu, ' ')
      .trim();
  const isRight = plain(prediction) !== '' && plain(prediction) === plain(answer);
  return { verdict: isRight ? 'correct' : 'wrong', prediction };
}
