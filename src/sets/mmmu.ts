/** MMMU: college problems with pictures; its mathematics here. */
import { letterScore } from './checked.js';
import { letterAt, text, textOf } from './fields.js';
import { picturesOf } from './olympiad-bench.js';
import { choiceAnswer } from './prose/choice-answer.js';
import { statedNumbers } from './prose/number.js';
import type { AnswerSet, Score, SetProblem } from './types.js';

/** MMMU (arXiv 2311.16502, §4.1): the last letter that a response names, or any of its numbers and phrases
 *  that equals a gold answer, numbers rounded to two decimals. Where a response names no letter the authors
 *  draw one at random; here it is wrong. */
export const mmmu: AnswerSet = {
  name: 'mmmu',
  title: 'MMMU (mathematics)',
  source: 'Yue et al., MMMU, arXiv 2311.16502; eval_utils.py of the authors',
  problemOf: (fields, index) => {
    const id = textOf(fields.id ?? index);
    const field = textOf(fields.subfield ?? fields.subject);
    if (/^(?:validation|test|dev)_/.test(id) && !/_math_/i.test(id)) return null;
    if (!/^(?:validation|test|dev)_/.test(id) && field !== '' && !/math/i.test(field)) return null;
    const choices = pythonList(fields.options);
    return {
      id,
      question: text(fields.question),
      images: picturesOf(fields),
      answer: textOf(fields.answer).trim(),
      ...(choices.length > 0 ? { choices, answerType: 'choice' as const } : {}),
    };
  },
  prompt: ({ question, choices }) =>
    choices
      ? `${question}\n\n${choices.map((one, i) => `(${letterAt(i)}) ${one}`).join('\n')}\n\nAnswer with the option's letter from the given choices directly.`
      : `${question}\n\nAnswer the question using a single word or phrase.`,
  extract: (response, { choices, question }) =>
    choices ? choiceAnswer(response, choices, question) : keyPhrase(response),
  score: (extraction, problem) =>
    problem.choices ? letterScore(extraction, problem) : openScore(extraction, problem),
  groups: ({ metadata }) => ({
    subfield: [textOf(metadata.subfield)].filter(Boolean),
    difficulty: [textOf(metadata.topic_difficulty)].filter(Boolean),
    'question type': [textOf(metadata.question_type)].filter(Boolean),
  }),
};

const indicators = /(?:could be|so|is|thus|therefore|final|answer|result|=)\s+/gi;

/** The last sentence's part behind its last indicator word. */
function keyPhrase(response: string): string | null {
  const sentence = response
    .trim()
    .replace(/\.$/, '')
    .toLowerCase()
    .split(/\.\s(?=[a-z])|\n/)
    .at(-1);
  const phrase = sentence?.split(indicators).at(-1)?.trim() ?? '';
  return phrase === '' ? null : phrase;
}

function openScore(extraction: unknown, problem: SetProblem): Score {
  if (extraction === null || extraction === undefined)
    return { verdict: 'wrong', prediction: null };
  const prediction = textOf(extraction);
  const golds = problem.answer.startsWith('[') ? pythonList(problem.answer) : [problem.answer];
  const isRight = golds.some((gold) => {
    const number = Number(gold.replaceAll(',', ''));
    if (gold.trim() !== '' && !Number.isNaN(number)) {
      const round = (value: number) => Math.round(value * 100) / 100;
      return statedNumbers(prediction).some(({ value }) => round(value) === round(number));
    }
    return prediction.toLowerCase().includes(gold.trim().toLowerCase());
  });
  return { verdict: isRight ? 'correct' : 'wrong', prediction };
}

/** MMMU writes its options as the text of a Python list. */
export function pythonList(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(textOf);
  const written = text(value).trim();
  if (!written.startsWith('[')) return [];
  const items = /'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^,[\]\s'"]+)/g;
  return [...written.slice(1, -1).matchAll(items)].map((item) =>
    (item[1] ?? item[2] ?? item[3] ?? '').replace(/\\(['"\\])/g, '$1'),
  );
}
