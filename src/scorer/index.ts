export {
  type CriticHandle,
  createCritic,
  createScorer,
  EMBEDDED_CRITIC_DIR,
  EMBEDDED_PRM_DIR,
  type ScorerContext,
  type ScorerHandle,
} from './create.js';
export {
  modelServerOptions,
  SCORER_AREAS,
  SCORER_KINDS,
  type ScorerKind,
  type ScorerSettings,
  scorerSettings,
  scorerShape,
} from './options.js';
