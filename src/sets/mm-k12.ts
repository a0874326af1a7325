/** MM-K12: school problems with pictures, MM-PRM's seeds and test set. */

import { boxedOrStated } from './boxed.js';
import { checkedScore } from './checked.js';
import { text, textOf } from './fields.js';
import { picturesOf } from './olympiad-bench.js';
import type { AnswerSet } from './types.js';

/** MM-K12 (MM-PRM, arXiv 2505.13427, §3.1): free answers, compared as mathematics. */
export const mmK12: AnswerSet = {
  name: 'mm-k12',
  title: 'MM-K12',
  source: 'Du et al., MM-PRM, arXiv 2505.13427',
  problemOf: (fields, index) => ({
    id: textOf(fields.id ?? `mm-k12-${index}`),
    question: text(fields.question).replace(/<image>\s*/g, ''),
    images: [...picturesOf(fields), fields.image_path].filter(
      (one) => one !== undefined && one !== null && one !== '',
    ),
    answer: textOf(fields.correct_answer ?? fields.answer),
  }),
  prompt: ({ question }) =>
    `${question}\n\nSolve the problem step by step and put the final answer into \\boxed{}.`,
  extract: (response) => boxedOrStated(response),
  score: checkedScore,
  groups: ({ metadata }) => ({
    subject: [textOf(metadata.subject)].filter(Boolean),
  }),
};
