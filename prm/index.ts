/** Reward models: hosts behind ports, batching, checks. Aggregation is search's. */
export { type After, type BatchLimits, PathBatcher, systemAfter } from './batching.js';
export {
  type ChatReply,
  chat,
  type PairReading,
  readChatReply,
  readPair,
  type TokenChance,
} from './chat.js';
export { checkPathScores, checkReply, checkScore } from './check.js';
export { pathKey } from './content-key.js';
export { type CriticHost, createCriticHost } from './critic.js';
export { PRM_ERROR_CODES, type PrmErrorCode } from './errors.js';
export { type Aggregate, createHybridScorer, type HybridPart, PLAIN_AGGREGATES } from './hybrid.js';
export {
  askForJson,
  type Complaint,
  isComplaint,
  readJson,
  type SchemaDialect,
} from './json-reply.js';
export { createMarkerHost, type MarkerHost } from './marker.js';
export { createMarkerCritic, firstWrongStep, type MarkerCriticParts } from './marker-critic.js';
export * from './options.js';
export { createOutcomeHost, OUTCOME_ROUTES, oneShot } from './outcome.js';
export { createPairwiseScorer, drawPairs } from './pairwise.js';
export { createPathScorer, type PathScorerOptions, type Scorer } from './path-scorer.js';
export { createPoolingHost, POOLING_TEMPLATES, type PoolingTemplate } from './pooling.js';
export type * from './ports.js';
export { type ChatMessage, type ContentPart, escapeMarkers, questionText } from './prompt.js';
export { createRolloutsHost, type RolloutPorts } from './rollouts.js';
export { createRulesScorer } from './rules.js';
export { createTemplate, markedPath, type StepTemplate, TEMPLATE_NAMES } from './templates.js';
export { createTokenLogitsHost, type TokenLogitsHost } from './token-logits.js';
export {
  firstWeights,
  LEAST_LOG_P,
  type ScoreWeights,
  type StatedWeights,
  weighedScore,
} from './weighed-score.js';
