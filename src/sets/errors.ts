/** Codes of errors raised in src/sets/. */
export const SETS_ERROR_CODES = [
  'SET_UNKNOWN',
  'SET_FILES_UNREADABLE',
  'SET_RECORD_INVALID',
  'RESPONSES_INVALID',
] as const;
