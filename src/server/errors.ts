import type { z } from 'zod';
import { errorCode, SteptreeError } from '../../search/errors.js';
import { nearestName } from '../config/nearest.js';

/** Codes of errors raised by the service. */
export const SERVER_ERROR_CODES = [
  'SERVE_AUTH_REQUIRED',
  'SERVE_BUSY',
  'SERVE_CLIENT_GONE',
  'SERVE_DEADLINE',
  'SERVE_DRAINING',
  'SERVE_HOST_REFUSED',
  'SERVE_IMAGE_REFUSED',
  'SERVE_IMAGE_TOO_LARGE',
  'SERVE_IMAGE_UNREADABLE',
  'SERVE_JOB_REFUSED',
  'SERVE_KEYS_UNREADABLE',
  'SERVE_KEY_UNKNOWN',
  'SERVE_LISTEN_FAILED',
  'SERVE_MESSAGES_UNSUPPORTED',
  'SERVE_MODEL_UNKNOWN',
  'SERVE_NOT_FOUND',
  'SERVE_OPTION_TOO_LARGE',
  'SERVE_PUBLIC_WITHOUT_KEY',
  'SERVE_RATE_LIMITED',
  'SERVE_REQUEST_INVALID',
  'SERVE_REQUEST_TOO_LARGE',
  'SERVE_REQUEST_UNSUPPORTED',
  'SERVE_STRATEGY_CONFLICT',
  'SERVE_STRATEGY_UNAVAILABLE',
] as const;

/** Statuses that are not 400, by code or by the beginning of one. */
const STATUSES: readonly (readonly [string, number])[] = [
  ['SERVE_AUTH_REQUIRED', 401],
  ['SERVE_BUSY', 429],
  // The client doesn't see it; the log does (nginx's number).
  ['SERVE_CLIENT_GONE', 499],
  ['SERVE_DEADLINE', 504],
  ['SERVE_DRAINING', 503],
  ['SERVE_HOST_REFUSED', 403],
  ['SERVE_IMAGE_TOO_LARGE', 413],
  ['SERVE_MODEL_UNKNOWN', 404],
  ['SERVE_NOT_FOUND', 404],
  ['SERVE_RATE_LIMITED', 429],
  ['SERVE_REQUEST_TOO_LARGE', 413],
  ['SERVE_', 400],
  ['OPTION_', 400],
  ['STRATEGY_UNKNOWN', 400],
  ['POLICY_IMAGE_UNREADABLE', 400],
  ['POLICY_CONTINUATION_UNSUPPORTED', 400],
  ['ONNX_PROMPT_TOO_LONG', 400],
  ['SIMULATED_NO_ANSWER', 400],
  ['PROBLEM', 400],
  // What stands behind the service failed, not the service.
  ['POLICY_', 502],
  ['RECORDED_', 502],
  ['SCORE_', 502],
  ['CRITIQUE_', 502],
  ['REPLY_COUNT', 502],
];

/** The HTTP status that an error is answered with. */
export function statusOf(error: unknown): number {
  if (error instanceof SteptreeError) {
    const found = STATUSES.find(([start]) => error.code.startsWith(start));
    return found?.[1] ?? 500;
  }
  // Fastify's own: a body that is no JSON, another media type, too long.
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  return typeof status === 'number' && status >= 400 && status < 600 ? status : 500;
}

/** An error as OpenAI's clients read it. */
export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    /** Stable, as in docs/errors.md. */
    readonly code: string;
  };
}

/** What is told of an error. An error that is not ours may say anything, so a client is told nothing
 *  of it but the id under which the log has it. */
export function errorBody(error: unknown, requestId: string): ErrorBody {
  const status = statusOf(error);
  const isOurs = error instanceof SteptreeError;
  const message = isOurs
    ? error.message
    : status < 500
      ? String((error as Error).message)
      : `internal error; the log has it under request ${requestId}`;
  const param = isOurs && typeof error.facts.param === 'string' ? error.facts.param : null;
  return { error: { message, type: typeOf(status), param, code: codeOf(error, status) } };
}

function codeOf(error: unknown, status: number): string {
  if (error instanceof SteptreeError) return error.code;
  if (status === 413) return 'SERVE_REQUEST_TOO_LARGE';
  if (status === 404) return 'SERVE_NOT_FOUND';
  return status < 500 ? 'SERVE_REQUEST_INVALID' : errorCode(error);
}

function typeOf(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 429) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}

/** Says which field of a request is wrong, and the nearest known name of one that isn't known.
 *  @param known names of the object that has an unknown key, by its path */
export function invalidRequest(
  found: z.core.$ZodIssue | undefined,
  known: (path: readonly PropertyKey[]) => readonly string[],
): SteptreeError {
  const issue = found && telling(found);
  const at = issue?.path.map(String).join('.') ?? '';
  if (issue?.code === 'unrecognized_keys') {
    const key = issue.keys[0] ?? '';
    const param = at === '' ? key : `${at}.${key}`;
    const near = nearestName(key, known(issue.path));
    return new SteptreeError(
      'SERVE_REQUEST_UNSUPPORTED',
      `${brief(param)} is no field that this service can honour${near ? `; did you mean "${near}"?` : '; leave it out'}`,
      { param: brief(param) },
    );
  }
  const what = issue?.message ?? 'invalid';
  return new SteptreeError(
    // The field is known, but only with a value that asks for nothing.
    issue && isOnlyDefault(issue) ? 'SERVE_REQUEST_UNSUPPORTED' : 'SERVE_REQUEST_INVALID',
    `${at === '' ? 'the body' : at}: ${brief(what, 300)}`,
    { param: at },
  );
}

/** Of a value that fits none of several shapes: what is wrong with the shape that it fits best, the one
 *  that was followed farthest. */
function telling(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== 'invalid_union') return issue;
  const firsts = issue.errors.flatMap(([first]) => (first ? [telling(first)] : []));
  const depth = ({ path, code }: z.core.$ZodIssue) =>
    path.length + (code === 'invalid_type' ? 0 : 0.5);
  const best = firsts.sort((a, b) => depth(b) - depth(a))[0];
  if (!best) return issue;
  return { ...best, path: [...issue.path, ...best.path] };
}

/** Of chat-schema.ts's fields that may be sent, and mean nothing. */
function isOnlyDefault(issue: z.core.$ZodIssue): boolean {
  if (issue.code === 'invalid_value' && issue.values.length === 1) return true;
  return ['detail', 'tools', 'logit_bias'].includes(String(issue.path.at(-1)));
}

/** Text of a client inside a message, cut. */
export function brief(text: string, length = 80): string {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}
