/** figmath: this project's own made figures. */

import { boxedOrStated } from './boxed.js';
import { checkedScore } from './checked.js';
import { text, textOf } from './fields.js';
import { numericAnswer } from './prose/numeric-answer.js';
import type { AnswerSet } from './types.js';

export const figmath: AnswerSet = {
  name: 'figmath',
  title: 'figmath',
  source: 'steptree figmath: drawn with their answers from a seed',
  problemOf: (fields, index) => ({
    id: textOf(fields.id ?? `figmath-${index}`),
    question: text(fields.question),
    images: [fields.image].filter((one) => one !== undefined && one !== null),
    answer: textOf(fields.answer),
    answerType: 'number',
  }),
  // The embedded policy is trained on the question alone.
  prompt: ({ question }) => question,
  extract: (response, { question }) => boxedOrStated(response) ?? numericAnswer(response, question),
  score: checkedScore,
  groups: ({ metadata }) => {
    const inner = (metadata.metadata ?? {}) as Record<string, unknown>;
    return {
      family: [textOf(inner.family)].filter(Boolean),
    };
  },
};
