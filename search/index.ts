export { addUsage, type Budget, emptyUsage, NO_BUDGET, spentLimit } from './budget.js';
export { type GradedRollouts, SearchContext, type SearchContextOptions } from './context.js';
export { errorCode, errorMessage, SEARCH_ERROR_CODES, SteptreeError } from './errors.js';
export { Heap } from './heap.js';
export { credibleInterval } from './interval.js';
export { consensus } from './labels/consensus.js';
export { type Estimate, estimate } from './labels/estimate.js';
export { omegaPrm } from './labels/omegaprm.js';
export {
  type ConsensusOptions,
  consensusOptions,
  type EstimateOptions,
  estimateOptions,
  type OmegaPrmOptions,
  omegaPrmOptions,
  type PathOptions,
  pathOptions,
  type StepRolloutsOptions,
  stepRolloutsOptions,
} from './labels/options.js';
export { processText, segmentText, type TrainingPath, trainingPaths } from './labels/paths.js';
export type { LabelResult, Selection } from './labels/result.js';
export { stepRollouts } from './labels/step-rollouts.js';
export { type StateJson, type TreeJson, treeFromJson, treeToJson } from './labels/tree-json.js';
export { contentHash, createRandom, deriveSeed, sampleWithoutReplacement } from './rng.js';
export { NO_STATE, ROOT, type StateIndex, StateTree } from './tree.js';
export type * from './types.js';
