import { errorCode, errorMessage, SteptreeError } from '../../search/errors.js';

/** Codes of errors raised by the viewer. */
export const VIEW_ERROR_CODES = [
  'VIEW_FILE_INVALID',
  'VIEW_FOLDER_MISSING',
  'VIEW_HOST_REFUSED',
  'VIEW_IMAGE_MISSING',
  'VIEW_IMAGE_REFUSED',
  'VIEW_NOT_BUILT',
  'VIEW_PAGE_TOO_BIG',
  'VIEW_PORT_TAKEN',
  'VIEW_PROBLEM_UNKNOWN',
  'VIEW_REQUEST_INVALID',
  'VIEW_RUN_UNKNOWN',
] as const;

const STATUS: Readonly<Record<string, number>> = {
  VIEW_FILE_INVALID: 422,
  VIEW_HOST_REFUSED: 403,
  VIEW_IMAGE_MISSING: 404,
  VIEW_IMAGE_REFUSED: 403,
  VIEW_PROBLEM_UNKNOWN: 404,
  VIEW_REQUEST_INVALID: 400,
  VIEW_RUN_UNKNOWN: 404,
};

/** How an error goes over HTTP. What is not ours is a bug, and its text stays here. */
export function httpError(error: unknown): {
  status: number;
  body: { error: { code: string; message: string } };
} {
  const code = errorCode(error);
  const known = error instanceof SteptreeError;
  const message = known ? errorMessage(error) : 'the viewer met an error of its own';
  return { status: STATUS[code] ?? 500, body: { error: { code, message } } };
}
