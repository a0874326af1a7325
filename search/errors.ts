/** The one base class of every error that Steptree raises on purpose.
 *  `code` is stable and documented in docs/errors.md; match on it, not on the message.
 *  A message says what happened, what was got, what was expected and what to do next. */
export class SteptreeError extends Error {
  readonly code: string;
  /** The facts behind the message, as plain JSON values. */
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(
    code: string,
    message: string,
    facts: Record<string, unknown> = {},
    options: { cause?: unknown } = {},
  ) {
    super(message, options);
    this.name = 'SteptreeError';
    this.code = code;
    this.facts = facts;
  }
}

/** Codes of errors raised in search/. */
export const SEARCH_ERROR_CODES = [
  'ANSWER_GROUPS_INVALID',
  'CRITIQUE_INVALID',
  'LABEL_ALL_UNGRADED',
  'OPTION_INVALID',
  'REPLY_COUNT',
  'SCORE_INVALID',
  'STRATEGY_UNKNOWN',
] as const;

export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The stable code of any thrown value; `INTERNAL` for what Steptree did not raise itself. */
export function errorCode(error: unknown): string {
  return error instanceof SteptreeError ? error.code : 'INTERNAL';
}
