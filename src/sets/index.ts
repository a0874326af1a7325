/** The registry of benchmark sets. */
import { SteptreeError } from '../../search/errors.js';
import { nearestName } from '../config/nearest.js';
import { dynaMath } from './dyna-math.js';
import { figmath } from './figmath.js';
import { findNamed, plainName } from './find-named.js';
import { gsm8k } from './gsm8k.js';
import { logicVista } from './logic-vista.js';
import { math500 } from './math-500.js';
import { mathVerse } from './math-verse.js';
import { mathVision } from './math-vision.js';
import { mathVista } from './mathvista.js';
import { mmK12 } from './mm-k12.js';
import { mmmu } from './mmmu.js';
import { olympiadBench } from './olympiad-bench.js';
import { algoPuzzleVqa, puzzleVqa } from './puzzle-vqa.js';
import type { AnswerSet } from './types.js';
import { weMath } from './we-math.js';

export { type ReadSetOptions, readSet } from './read.js';
export type { AnswerChecks, AnswerSet, Score, ScoredProblem, SetProblem } from './types.js';

export const ANSWER_SETS: readonly AnswerSet[] = [
  mathVista,
  mathVision,
  mathVerse,
  olympiadBench,
  mmK12,
  weMath,
  logicVista,
  dynaMath,
  mmmu,
  puzzleVqa,
  algoPuzzleVqa,
  gsm8k,
  math500,
  figmath,
];

export const ANSWER_SET_NAMES: readonly string[] = ANSWER_SETS.map(({ name }) => name);

/** @throws SteptreeError SET_UNKNOWN, naming the nearest one */
export function answerSetNamed(name: string): AnswerSet {
  const set = findAnswerSet(name);
  if (set) return set;
  const near =
    ANSWER_SET_NAMES.find(
      (one) => plainName(one) === nearestName(plainName(name), ANSWER_SET_NAMES.map(plainName)),
    ) ?? null;
  throw new SteptreeError(
    'SET_UNKNOWN',
    `unknown set "${name}"; ${near ? `did you mean "${near}"? ` : ''}There are ${ANSWER_SET_NAMES.join(', ')}`,
    { name, near, known: ANSWER_SET_NAMES },
  );
}

export function findAnswerSet(name: string): AnswerSet | undefined {
  return findNamed(ANSWER_SETS, name);
}
