/** Codes of errors raised by reward models and critics. A score that can't be trusted is an error. */
export const PRM_ERROR_CODES = [
  'CRITIC_REPLY_INVALID',
  'SCORE_COUNT',
  'SCORE_DEADLINE',
  'SCORE_HOST_CLOSED',
  'SCORE_HOST_FAILED',
  'SCORE_MODE_UNSUPPORTED',
  'SCORE_NO_ANSWER',
  'SCORE_PATH_EMPTY',
  'SCORE_RANGE',
  'SCORE_REPLY_INVALID',
  'SCORE_ROW_INVALID',
  'SCORE_TOKENS_MISSING',
  'SCORE_TOKEN_INVALID',
  'SCORE_UNGRADED',
] as const;

export type PrmErrorCode = (typeof PRM_ERROR_CODES)[number];
