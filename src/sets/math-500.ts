/** MATH-500: 500 competition problems without pictures. */
import { boxedOrStated } from './boxed.js';
import { checkedScore } from './checked.js';
import { text, textOf } from './fields.js';
import type { AnswerSet } from './types.js';

/** MATH-500 (Lightman et al., arXiv 2305.20050, App. C): the last box, equal to the gold answer as
 *  mathematics. The authors grade by normalised strings and a computer algebra system; our checker does. */
export const math500: AnswerSet = {
  name: 'math-500',
  title: 'MATH-500',
  source: 'Lightman et al., arXiv 2305.20050; Hendrycks et al., arXiv 2103.03874',
  problemOf: (fields, index) => ({
    id: textOf(fields.unique_id ?? fields.id ?? `math-500-${index}`),
    question: text(fields.problem ?? fields.question),
    images: [],
    answer: textOf(fields.answer),
  }),
  prompt: ({ question }) =>
    `${question}\n\nPlease reason step by step, and put your final answer within \\boxed{}.`,
  extract: (response) => boxedOrStated(response),
  score: checkedScore,
  groups: ({ metadata }) => ({
    subject: metadata.subject === undefined ? [] : [textOf(metadata.subject)],
    level: metadata.level === undefined ? [] : [textOf(metadata.level)],
  }),
};
