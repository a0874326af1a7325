import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';

/** Folder with public benchmark data and recorded reference runs; tests that need it are
 *  skipped by name where it is missing. */
export const FIXTURES = resolve(process.env.STEPTREE_FIXTURES ?? '../shared/fixtures');

export const GOLDEN_FILE = resolve(FIXTURES, 'omegaprm/golden.jsonl');
export const HAS_GOLDEN = existsSync(GOLDEN_FILE);

export interface GoldenState {
  partial_solution?: string[];
  mc_value: number;
  visit_count: number;
  correct_rollouts: string[][];
  incorrect_rollouts: string[][];
  children: GoldenState[];
}

export interface GoldenRun {
  id: string;
  question: string;
  answer: string;
  image: string;
  config: Record<
    | 'c_puct'
    | 'alpha'
    | 'beta'
    | 'length_scale'
    | 'num_rollouts'
    | 'max_search_count'
    | 'rollout_budget',
    number
  >;
  policyCalls: { prefix: string[]; rollouts: string[][] }[];
  selections: { prefix: string[]; rollout: string[] }[];
  totalRollouts: number;
  searchCount: number;
  tree: GoldenState & { question: string; answer: string; image_path: string };
  sampledPaths: {
    kept: boolean;
    paths: { process: string; labels: number[]; negative: boolean }[];
  };
}

export function readGolden(): GoldenRun[] {
  if (!HAS_GOLDEN) return [];
  return readFileSync(GOLDEN_FILE, 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line) as GoldenRun);
}

/** The part of a tree that the reference wrote, without our own fields. */
export function referencePart(state: GoldenState): GoldenState {
  return {
    ...(state.partial_solution ? { partial_solution: state.partial_solution } : {}),
    mc_value: state.mc_value,
    visit_count: state.visit_count,
    correct_rollouts: state.correct_rollouts,
    incorrect_rollouts: state.incorrect_rollouts,
    children: state.children.map(referencePart),
  };
}
