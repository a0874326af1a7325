/** The library: everything of `steptree/search`, the hosts, a labelling run, and solving. */
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
export {
  type Labeller,
  LocalLabeller,
  type LocalLabellerOptions,
  type LocalLabellerPorts,
} from './runtime/labeller.js';
export { ScheduledPolicy, type SchedulerStats, type SkippingPolicy } from './runtime/scheduler.js';
export { gradeCandidates, type SolveSettings, solveProblem } from './runtime/solve.js';
export { type ReplyScope, SolveStore } from './runtime/solve-store.js';
export {
  type CriticHandle,
  createCritic,
  createScorer,
  type ScorerContext,
  type ScorerHandle,
  type ScorerSettings,
  scorerSettings,
} from './scorer/index.js';
export {
  type AnswerGroupMaker,
  type AnswerVerifier,
  createAnswerGrouper,
  createVerifier,
} from './verify/index.js';
