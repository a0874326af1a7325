/** LogicVista: 448 picture problems on five reasoning skills. */
import { text, textOf } from './fields.js';
import { listOf } from './olympiad-bench.js';
import { choiceAnswer } from './prose/choice-answer.js';
import { plainProse } from './prose/text.js';
import type { AnswerSet, Score } from './types.js';

const letters = ['A', 'B', 'C', 'D', 'E', 'F', 'G', 'H'];

/** LogicVista (arXiv 2407.04973, §4): one or several letters, which must all be named and no other. The
 *  authors let a model extract them; by rules here. */
export const logicVista: AnswerSet = {
  name: 'logic-vista',
  title: 'LogicVista',
  source: 'Xiao et al., LogicVista, arXiv 2407.04973; extraction by a model there, by rules here',
  problemOf: (fields, index, key) => ({
    id: textOf(fields.id ?? key ?? index),
    question: text(fields.question),
    images: listOf(fields.imagesource ?? fields.image_path ?? fields.image ?? fields.image_file),
    answer: textOf(fields.answer).trim(),
  }),
  prompt: ({ question }) => question,
  extract: (response, { question }) => {
    const all = plainProse(response).matchAll(/answers?\s*(?:is|are|:)+\s*:?\s*([^\n.]+)/gi);
    // Letters in a reason are not chosen.
    const [said = ''] = ([...all].at(-1)?.[1] ?? '').split(/\b(?:because|since|as|not|while)\b/i);
    const several = said.match(/(?<![\p{L}])[A-H](?![\p{L}])/gu) ?? [];
    if (several.length > 1) return [...new Set(several)].join(', ');
    return choiceAnswer(response, letters, question);
  },
  score: (extraction, { answer }): Score => {
    if (extraction === null || extraction === undefined)
      return { verdict: 'wrong', prediction: null };
    const prediction = lettersOf(textOf(extraction));
    return { verdict: prediction === lettersOf(answer) ? 'correct' : 'wrong', prediction };
  },
  groups: ({ metadata }) => ({
    skill: listOf(metadata.skill).map(textOf),
    capability: listOf(metadata.broad_capability ?? metadata.capability).map(textOf),
  }),
};

function lettersOf(text: string): string {
  return [...new Set(text.toUpperCase().match(/(?<![A-Z])[A-H](?![A-Z])/g) ?? [])]
    .sort()
    .join(', ');
}
