export { type FigmathProblem, generateProblem, splitOf } from './problem.js';
export { type FigmathFamily, type FigmathSplit, figmathFamilies, figmathSplits } from './types.js';
export {
  encodePng,
  type FigmathOptions,
  type FigmathSummary,
  figmathOptions,
  pngScale,
  writeFigmath,
} from './write.js';
