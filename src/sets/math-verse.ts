/** MathVerse: 2,612 geometry and function problems, each in versions that move facts from text to picture. */

import { extractAnswer } from '../verify/index.js';
import { boxes } from './boxed.js';
import { checkedScore, letterScore } from './checked.js';
import { text, textOf } from './fields.js';
import { listedChoices } from './listed-choices.js';
import { choiceAnswer } from './prose/choice-answer.js';
import type { AnswerSet } from './types.js';

/** MathVerse (arXiv 2403.14624, §3.3): the authors let GPT-4 extract and compare; here letters are
 *  compared as letters and free answers by our checker. Problems are listed by version. */
export const mathVerse: AnswerSet = {
  name: 'math-verse',
  title: 'MathVerse',
  source:
    'Zhang et al., MathVerse, arXiv 2403.14624; extraction and judgement by GPT-4 there, by rules here',
  problemOf: (fields, index) => {
    const question = text(fields.question_for_eval) || text(fields.question);
    const isChoice = fields.question_type === 'multi-choice';
    const choices = isChoice ? listedChoices(question) : [];
    return {
      id: textOf(fields.sample_index ?? fields.id ?? index),
      question: text(fields.question) || question,
      images: [fields.image].filter((one) => one !== undefined && one !== null && one !== ''),
      answer: textOf(fields.answer).trim(),
      ...(choices.length > 0 ? { choices, answerType: 'choice' as const } : {}),
    };
  },
  prompt: ({ metadata, question }) =>
    text(metadata.query_cot) || text(metadata.query_wo) || question,
  extract: (response, { choices, question }) =>
    choices
      ? choiceAnswer(response, choices, question)
      : (boxes(response).at(-1) ?? extractAnswer(response)?.answer ?? null),
  score: (extraction, problem, checks) =>
    problem.choices ? letterScore(extraction, problem) : checkedScore(extraction, problem, checks),
  groups: ({ metadata }) => {
    const inner = (metadata.metadata ?? {}) as Record<string, unknown>;
    return {
      version: [textOf(metadata.problem_version)].filter(Boolean),
      subject: [textOf(inner.subject)].filter(Boolean),
      subfield: [textOf(inner.subfield)].filter(Boolean),
      'question type': [textOf(metadata.question_type)].filter(Boolean),
    };
  },
};
