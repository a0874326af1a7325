import { draftBars } from './families/bars.js';
import { draftCounts } from './families/counts.js';
import { draftShapes } from './families/shapes.js';
import { draftTable } from './families/table.js';
import { labelPatches, type PatchLabels } from './patches.js';
import type { Raster } from './raster.js';
import { createRng, hash32 } from './rng.js';
import { wordSolution } from './solution.js';
import {
  type DraftProblem,
  type FigmathFamily,
  type FigmathSplit,
  figmathFamilies,
  type Reading,
} from './types.js';

const draftOf: Readonly<Record<FigmathFamily, DraftProblem>> = {
  bars: draftBars,
  table: draftTable,
  shapes: draftShapes,
  counts: draftCounts,
};

export interface FigmathProblem {
  id: string;
  family: FigmathFamily;
  /** Which of the family's questions it is. */
  kind: string;
  /** Canonical text of the figure's names and values; it decides the split. */
  figureContent: string;
  question: string;
  answer: string;
  image: Raster;
  /** What has to be read in the figure. */
  readings: Reading[];
  patchLabels: PatchLabels;
  /** One right solution in one of its wordings, step by step; a new wording for each `variant`. */
  solution(variant: number): string[];
}

// Shares of the content hash, in percent: test, then validation, then train.
const testShare = 15;
const validationShare = 10;

/** The split is a property of a figure's content, so no seed can leak a test figure into training. */
export function splitOf(figureContent: string): FigmathSplit {
  const percent = hash32(`split/${figureContent}`) % 100;
  if (percent < testShare) return 'test';
  return percent < testShare + validationShare ? 'validation' : 'train';
}

/** Problem number `index` of a split: a pure function of its arguments. Families take turns.
 *  Another `question` asks something else about the same figure. */
export function generateProblem(
  split: FigmathSplit,
  seed: number,
  index: number,
  question = 0,
): FigmathProblem {
  const family = figmathFamilies[index % figmathFamilies.length] as FigmathFamily;
  for (let attempt = 0; ; attempt++) {
    const key = `figmath/${seed}/${split}/${index}/${attempt}`;
    const draft = draftOf[family](createRng(key), createRng(`${key}/question/${question}`));
    if (splitOf(draft.figureContent) !== split) continue;
    return {
      id: `figmath-${split}-${seed}-${String(index).padStart(6, '0')}`,
      family,
      kind: draft.kind,
      figureContent: draft.figureContent,
      question: draft.question,
      answer: String(draft.answer),
      image: draft.raster,
      readings: draft.readings,
      patchLabels: labelPatches(draft.items),
      solution: (variant) =>
        wordSolution(draft, createRng(`${key}/solution/${question}/${variant}`)),
    };
  }
}
