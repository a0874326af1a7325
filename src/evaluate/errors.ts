/** Codes of errors raised in src/evaluate/. */
export const EVALUATE_ERROR_CODES = [
  'BENCH_SUMMARY_INVALID',
  'OPTION_CELL_INVALID',
  'RESULTS_UNREADABLE',
] as const;
