import type { Box, Raster } from './raster.js';
import type { Rng } from './rng.js';

export const figmathSplits = ['train', 'validation', 'test'] as const;
export type FigmathSplit = (typeof figmathSplits)[number];

export const figmathFamilies = ['bars', 'table', 'shapes', 'counts'] as const;
export type FigmathFamily = (typeof figmathFamilies)[number];

/** A number that stands in the figure (or a count), who owns it and where: the truth that
 *  the vision tower is taught, patch by patch. */
export interface FigureItem {
  /** Bar or row letter, side name, or colour. */
  owner: string;
  /** Column letter or shape name, where one name is not enough. */
  subOwner?: string;
  /** 0 to 99. */
  value: number;
  boxes: Box[];
}

/** One value that the solution has to read. Values of one group are read together; a group may
 *  have a title that is said once before them ("Rectangle"). */
export interface Reading {
  group?: string;
  title?: string;
  name: string;
  value: number;
}

/** One arithmetic step. Calculations of equal `stage` may come in any order. */
export interface Calculation {
  stage: number;
  parts: CalculationPart[];
  /** Ways to introduce the step; the plain ones ("Then", "So") are always possible. */
  intros?: readonly string[];
}

export type CalculationPart =
  | { operator: '+' | '*'; left: number; right: number }
  | { operator: '-'; left: number; right: number }
  /** A remark without arithmetic, such as which value is the largest. */
  | { operator: 'remark'; text: string };

/** A figure and a question about it, before any wording of its solution is chosen. */
export interface ProblemDraft {
  family: FigmathFamily;
  kind: string;
  /** The values and names in the figure, without colours, places and question. Figures of
   *  equal content belong to the same split, whatever is asked about them. */
  figureContent: string;
  question: string;
  /** What the reading steps may call the figure. */
  figureName: string;
  readings: Reading[];
  calculations: Calculation[];
  answer: number;
  raster: Raster;
  items: FigureItem[];
}

/** The figure depends on the first generator only, so several questions can share a figure. */
export type DraftProblem = (figureRng: Rng, questionRng: Rng) => ProblemDraft;
