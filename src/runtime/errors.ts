/** Codes of errors raised in src/runtime/. */
export const RUNTIME_ERROR_CODES = [
  'POLICY_DOWN',
  'RUN_CONFIG_DIFFERS',
  'RUN_DIR_UNUSABLE',
  'RUN_LOCKED',
  'RUN_PROBLEM_CHANGED',
  'STORE_OPEN_FAILED',
  'STORE_WRITE_FAILED',
] as const;
