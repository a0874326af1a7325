export {
  AGGREGATIONS,
  type Aggregation,
  type AggregationName,
  aggregate,
  aggregationOptions,
  pathScore,
  unitScore,
} from './aggregate.js';
export {
  addUsage,
  type Budget,
  emptyUsage,
  NO_BUDGET,
  spentLimit,
  subtractUsage,
} from './budget.js';
export {
  type GradedRollouts,
  type SampleWish,
  SearchContext,
  type SearchContextOptions,
  type StateWish,
} from './context.js';
export { errorCode, errorMessage, SEARCH_ERROR_CODES, SteptreeError } from './errors.js';
export type { PathFinish } from './expand.js';
export { ListHash } from './hash.js';
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
export {
  type GroupVotes,
  isSettled,
  SELECTIONS,
  type SelectionName,
  selectWinner,
  tallyVotes,
  type Votable,
} from './select.js';
export {
  STRATEGIES,
  STRATEGY_NAMES,
  type StrategyEntry,
  type StrategyName,
  type StrategyNeed,
  strategyNamed,
} from './strategies/index.js';
export type {
  AnswerVotes,
  Candidate,
  Origin,
  SolveResult,
  Strategy,
} from './strategies/result.js';
export { NO_STATE, ROOT, type StateIndex, StateTree } from './tree.js';
export type * from './types.js';
export { checkCritique, checkScores } from './validate.js';
