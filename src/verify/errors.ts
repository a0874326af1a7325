/** Codes of errors raised in src/verify/. A bad answer never raises one: it gets a verdict. */
export const VERIFY_ERROR_CODES = [
  'CHECK_LINE_INVALID',
  'CHECK_PROCESS_FAILED',
  'JUDGE_REPLY_INVALID',
  'VERIFIER_CLOSED',
] as const;

export type VerifyErrorCode = (typeof VERIFY_ERROR_CODES)[number];
