export { type CheckCase, checkCase } from './check-case.js';
export { type AnswerVerifier, createVerifier, type VerifierSettings } from './checker.js';
export { type AnswerComparer, type ComparerSettings, createComparer } from './comparer.js';
export {
  type Comparison,
  compareAnswers,
  fitsAnswerType,
  type Gold,
  type SymbolicComparer,
} from './equivalence.js';
export { VERIFY_ERROR_CODES } from './errors.js';
export {
  type AnswerMark,
  announcesAnswer,
  type ExtractedAnswer,
  extractAnswer,
} from './extract.js';
export { type AnswerGroupMaker, createAnswerGrouper } from './grouper.js';
export { type AnswerJudge, createAnswerJudge } from './judge.js';
export { createJudgeCritic, type JudgeCritic } from './judge-critic.js';
export { type JudgeOptions, judgeOptions, type VerifyOptions, verifyOptions } from './options.js';
