/** MathVista: 6,141 picture problems from 31 sources. */

import { choicesOf, text, textOf } from './fields.js';
import { nearestText } from './nearest-text.js';
import { choiceAnswer } from './prose/choice-answer.js';
import { listAnswer } from './prose/list-answer.js';
import { numericAnswer } from './prose/numeric-answer.js';
import { declining, plainProse } from './prose/text.js';
import {
  pythonFloat,
  pythonFloatText,
  pythonInt,
  pythonIntOfFloat,
  pythonRound,
  pythonText,
} from './python.js';
import type { AnswerSet, Fields, Groups, Score, SetProblem } from './types.js';

/** MathVista (arXiv 2310.02255, §3.1 and App. E): an extraction is brought into the form of the gold
 *  answer and compared as a string. The authors let GPT-4 extract; by rules alone `extract` does. */
export const mathVista: AnswerSet = {
  name: 'mathvista',
  title: 'MathVista',
  source:
    'Lu et al., MathVista, arXiv 2310.02255; rules of evaluation/extract_answer.py and calculate_score.py of the authors',
  problemOf: (fields, _index, key) => {
    const { pid = key, question, image, decoded_image: decoded, choices, precision } = fields;
    return {
      id: textOf(pid),
      question: text(question),
      images: [decoded ?? image].filter((one) => one !== undefined && one !== null),
      answer: textOf(fields.answer),
      ...(Array.isArray(choices) && choices.length > 0 ? { choices: choices.map(textOf) } : {}),
      ...typed(fields),
      ...(typeof precision === 'number' ? { precision } : {}),
    };
  },
  prompt: (problem) => {
    const { metadata, question } = problem;
    const stored = metadata.query;
    return typeof stored === 'string' && stored !== '' ? stored : query(problem, question);
  },
  extract: extractMathVista,
  score: (extraction, problem): Score => {
    if (extraction === null || extraction === undefined)
      return { verdict: 'wrong', prediction: null };
    const prediction = normalizeExtraction(extraction, problem);
    const isRight = prediction !== null && prediction.trim() === problem.answer.trim();
    return { verdict: isRight ? 'correct' : 'wrong', prediction };
  },
  groups: ({ metadata, choices }): Groups => {
    const inner = (metadata.metadata ?? {}) as Fields;
    const one = (name: string) => {
      const value = inner[name];
      return value === undefined || value === null ? [] : [textOf(value)];
    };
    return {
      task: one('task'),
      skill: Array.isArray(inner.skills) ? inner.skills.map(textOf) : [],
      'question type': [choices ? 'multi_choice' : 'free_form'],
      'answer type': [textOf(metadata.answer_type)],
      context: one('context'),
      grade: one('grade'),
      category: one('category'),
      language: one('language'),
      source: one('source'),
    };
  },
};

function typed(fields: Fields) {
  const kind = fields.question_type === 'multi_choice' ? 'choice' : textOf(fields.answer_type);
  const known = { choice: 'choice', integer: 'number', float: 'number', list: 'list' } as const;
  return kind in known ? { answerType: known[kind as keyof typeof known] } : {};
}

/** The hint, question and choices as the authors' create_query writes them for a model without shots. */
function query(problem: SetProblem, question: string): string {
  const { metadata, choices, precision } = problem;
  const unit = typeof metadata.unit === 'string' && metadata.unit !== '' ? metadata.unit : null;
  const asked = `Question: ${question}${unit ? ` (Unit: ${unit})` : ''}`;
  const listed = (choices ?? []).map((one, i) => `(${String.fromCharCode(65 + i)}) ${one}`);
  const parts = [`Hint: ${hint(metadata, precision)}`, asked];
  if (listed.length > 0) parts.push(`Choices:\n${listed.join('\n')}`);
  return parts.join('\n');
}

function hint({ question_type: kind, answer_type: answerType }: Fields, precision = 1): string {
  const end = 'at the end.';
  if (kind === 'multi_choice') {
    return `Please answer the question and provide the correct option letter, e.g., A, B, C, D, ${end}`;
  }
  const asks = 'Please answer the question requiring';
  if (answerType === 'integer') {
    return `${asks} an integer answer and provide the final value, e.g., 1, 2, 3, ${end}`;
  }
  if (answerType === 'float') {
    const digits = (n: number) => (1.23456 * n).toFixed(precision);
    const places = ['zero', 'one', 'two', 'three'][precision] ?? String(precision);
    return `${asks} a floating-point number with ${places} decimal place${precision === 1 ? '' : 's'} and provide the final value, e.g., ${[1, 1.0556, 1.1367].map(digits).join(', ')}, ${end}`;
  }
  return `${asks} a Python list as an answer and provide the final list, e.g., [1, 2, 3], [1.2, 1.3, 1.4], ${end}`;
}

/** What the authors take without a model (the response is a choice, an integer, a float, or says
 *  `The answer is "…".`); what they ask GPT-4 about is found in the prose by rules. */
export function extractMathVista(response: string, problem: SetProblem): string | null {
  const choices = choicesOf(problem);
  const { answer_type: answerType } = problem.metadata;
  if (response.trim() === '') return null;
  if (choices.length > 0 && choices.includes(response)) return response;
  if (choices.length === 0 && answerType === 'integer') {
    const integer = pythonInt(response);
    if (integer !== null) return integer;
  }
  if (choices.length === 0 && answerType === 'float') {
    const float = pythonFloat(response);
    if (float !== null) return pythonFloatText(float);
  }
  const quoted = /The answer is "(.*)"\./.exec(response)?.[1];
  if (quoted) return quoted;
  if (choices.length > 0) {
    // The authors' rule then takes the nearest choice, so that an unanswered problem may count as right;
    // published accuracies hold these accidents too.
    return choiceAnswer(response, choices, problem.question) ?? declining(response, choices);
  }
  if (answerType === 'list') return listAnswer(response);
  if (answerType === 'integer' || answerType === 'float') {
    return numericAnswer(response, problem.question);
  }
  return plainProse(response);
}

/** The authors' normalize_extracted_answer: a letter becomes its choice, another text the nearest choice
 *  by edit distance; integers are cut, floats rounded to the problem's precision, lists written as
 *  Python does. @returns null where Python's conversion fails */
export function normalizeExtraction(extraction: unknown, problem: SetProblem): string | null {
  const choices = choicesOf(problem);
  const { question_type: questionType, answer_type: answerType } = problem.metadata;
  if (questionType === 'multi_choice') return choiceOf(pythonText(extraction).trim(), choices);
  if (answerType === 'integer') return pythonIntOfFloat(extraction);
  if (answerType === 'float') {
    const value = pythonFloat(extraction);
    const { precision } = problem;
    if (value === null || precision === undefined) return null;
    return pythonFloatText(pythonRound(value, precision));
  }
  return pythonText(extraction);
}

function choiceOf(extraction: string, choices: readonly string[]): string | null {
  const letter = /\(([a-zA-Z])\)/.exec(extraction)?.[1]?.toUpperCase();
  const stated = letter ?? extraction;
  const index = /^[A-Z]$/.test(stated) ? stated.charCodeAt(0) - 65 : -1;
  return (index >= 0 ? choices[index] : undefined) ?? nearestText(stated, choices) ?? null;
}
