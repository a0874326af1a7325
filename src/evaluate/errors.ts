/** Codes of errors raised in src/evaluate/. */
export const EVALUATE_ERROR_CODES = ['OPTION_CELL_INVALID', 'RESULTS_UNREADABLE'] as const;
