/** PuzzleVQA and AlgoPuzzleVQA: made puzzles with four choices. */
import { letterAt, text, textOf } from './fields.js';
import { choiceAnswer } from './prose/choice-answer.js';
import type { AnswerSet, Fields, Score, SetProblem } from './types.js';

export const puzzleVqa = puzzleSet(
  'puzzle-vqa',
  'PuzzleVQA',
  'Chia et al., PuzzleVQA, arXiv 2403.13315, §3.2',
);

export const algoPuzzleVqa = puzzleSet(
  'algo-puzzle-vqa',
  'AlgoPuzzleVQA',
  'Ghosal et al., AlgoPuzzleVQA, arXiv 2403.03864, §4',
);

/** The gold answer is the text of a choice; the response's letter is read as its text. Puzzles are listed by
 *  kind, which is the name of their file or picture. */
function puzzleSet(name: string, title: string, source: string): AnswerSet {
  return {
    name,
    title,
    source,
    problemOf: (fields, index) => {
      const options = Array.isArray(fields.options) ? fields.options.map(textOf) : [];
      return {
        id: textOf(fields.id ?? (text(fields.image) || `${name}-${index}`)),
        question: text(fields.question),
        images: [fields.image].filter((one) => one !== undefined && one !== null),
        answer: textOf(fields.answer),
        ...(options.length > 0 ? { choices: options, answerType: 'choice' as const } : {}),
      };
    },
    prompt: ({ question, choices = [] }) =>
      `Question: ${question}${choices.length > 0 ? `\nOptions:\n${choices.map((one, i) => `(${letterAt(i)}) ${one}`).join('\n')}` : ''}\n\nAnswer: Let's describe the image first and think step by step.`,
    extract: (response, { choices = [], question }) => choiceAnswer(response, choices, question),
    score: (extraction, problem): Score => scorePuzzle(extraction, problem),
    groups: ({ metadata }) => ({ puzzle: [kindOf(metadata)].filter(Boolean) }),
  };
}

function scorePuzzle(extraction: unknown, { answer, choices = [] }: SetProblem): Score {
  if (extraction === null || extraction === undefined)
    return { verdict: 'wrong', prediction: null };
  const said = textOf(extraction).trim();
  const letter = /^\(?([A-Z])\)?$/.exec(said)?.[1];
  const prediction = (letter && choices[letter.charCodeAt(0) - 65]) ?? said;
  const isRight = prediction.trim().toLowerCase() === answer.trim().toLowerCase();
  return { verdict: isRight ? 'correct' : 'wrong', prediction };
}

function kindOf(metadata: Fields): string {
  const stated = text(metadata.category) || text(metadata.puzzle);
  if (stated) return stated;
  const picture = text(metadata.image).split('/').at(-1) ?? '';
  return picture.replace(/\.\w+$/, '').replace(/[-_]?\d+$/, '');
}
