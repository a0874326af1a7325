import type { ViewProblem } from '../../../src/server/view-types.js';
import { createdInOrder, fileGrowth, type Growth, omegaPrmGrowth } from './growth.js';
import { labelTree, solveTree, type ViewTree } from './view-tree.js';

/** A problem's tree and how it grew; a benchmark's rows have none, so theirs is the question alone. */
export function problemTree(problem: ViewProblem): { tree: ViewTree; growth: Growth } {
  switch (problem.kind) {
    case 'label': {
      const tree = labelTree(problem.tree, problem.puct);
      const { method, selections = [] } = problem.tree;
      const isOmegaPrm = method === 'omegaprm';
      return { tree, growth: isOmegaPrm ? omegaPrmGrowth(tree, selections) : fileGrowth(tree) };
    }
    case 'solve': {
      const tree = solveTree(problem.report);
      return { tree, growth: createdInOrder(tree) };
    }
    case 'bench': {
      const tree = solveTree(EMPTY_REPORT);
      return { tree, growth: fileGrowth(tree) };
    }
  }
}

const EMPTY_REPORT = {
  strategy: '',
  answer: null,
  chosen: null,
  candidates: [],
  votes: [],
  stopped: '',
  warnings: [],
  usage: {},
  elapsedMs: 0,
};
