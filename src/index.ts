/** The library: everything of `steptree/search`, the hosts, and a labelling run. */
export * from '../search/index.js';
export { type ExportOptions, exportOptions, exportRun } from './data/export/index.js';
export { type ReadOptions, readProblems } from './data/problems.js';
export { type FigmathOptions, figmathOptions, writeFigmath } from './figmath/index.js';
export { createPolicy, type PolicyHandle, type PolicySettings } from './policy/create.js';
export { type LabelOptions, labelProblem } from './runtime/label-problem.js';
export { LabelRun } from './runtime/label-run.js';
export type {
  LabelRunConfig,
  LabelRunPorts,
  RunSnapshot,
  RunSummary,
} from './runtime/label-run-types.js';
export { type AnswerVerifier, createVerifier } from './verify/index.js';
