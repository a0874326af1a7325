/** One problem: of a file by its id, or made of a question and pictures. */

import { SteptreeError } from '../../search/errors.js';
import { contentHash } from '../../search/rng.js';
import type { ImageRef, Problem } from '../../search/types.js';
import { nearestName } from '../config/nearest.js';
import { checkImage, type ImageCheck, imageRef } from './images.js';
import { type ReadOptions, readProblems } from './problems.js';

/** Reads the file up to the problem. Other problems' faults don't matter.
 *  @param id may be left away where the file holds one problem only
 *  @throws SteptreeError PROBLEM_ID_UNKNOWN naming the nearest id, PROBLEMS_UNREADABLE, and the
 *  rejection of this problem by its code */
export async function findProblem(
  file: string,
  id: string | undefined,
  { format, checkImages = 'header', onWarning }: ReadOptions = {},
): Promise<Problem> {
  const ids: string[] = [];
  let only: Problem | undefined;
  const reading = readProblems(file, {
    requireAnswer: false,
    // An id that stands twice means its first problem.
    uniqueIds: false,
    // The pictures of the problems before it are not asked for.
    checkImages: 'none',
    ...(format ? { format } : {}),
    ...(onWarning ? { onWarning } : {}),
  });
  for await (const item of reading) {
    const itemId = 'problem' in item ? item.problem.id : item.rejected.id;
    if (id === undefined || itemId === id) {
      if ('rejected' in item) {
        const { code, message, ...facts } = item.rejected;
        throw new SteptreeError(code, message, { file, ...facts });
      }
      if (id !== undefined) return withPictures(item.problem, checkImages, file);
      only ??= item.problem;
    }
    if (itemId !== undefined && ids.length < 100_000) ids.push(itemId);
    if (id === undefined && ids.length > 1) break;
  }
  if (id === undefined && only && ids.length === 1) return withPictures(only, checkImages, file);
  throw unknownId(file, id, ids);
}

/** What the command line says of a problem. */
export interface QuestionParts {
  readonly question: string;
  /** Files, relative to the working folder, or `data:` URLs. */
  readonly images: readonly string[];
  readonly choices: readonly string[];
  readonly answer?: string;
  /** Default: made of the content, so that the same question has the same seeds and replies. */
  readonly id?: string;
}

/** @throws SteptreeError PROBLEM_QUESTION_EMPTY, PROBLEM_IMAGE_MISSING, PROBLEM_IMAGE_INVALID */
export async function questionProblem(
  parts: QuestionParts,
  checkImages: ImageCheck,
): Promise<Problem> {
  const { question, images, choices, answer } = parts;
  if (question.trim() === '') {
    throw new SteptreeError(
      'PROBLEM_QUESTION_EMPTY',
      '--question is empty; give the text of the problem',
      { field: 'question' },
    );
  }
  const hash = contentHash([question, ...choices, '', ...images]);
  const problem: Problem = {
    id: parts.id ?? `question-${hash.slice(0, 8)}`,
    question,
    images: images.map((source) => imageRef(source, process.cwd())),
    ...(choices.length > 0 ? { choices } : {}),
    ...(answer === undefined ? {} : { answer }),
  };
  return withPictures(problem, checkImages, null);
}

/** @param file null for the command line */
async function withPictures(
  problem: Problem,
  check: ImageCheck,
  file: string | null,
): Promise<Problem> {
  for (const image of problem.images) {
    const found = await checkImage(image, check);
    if (!found) continue;
    const place = file === null ? '--image' : `${file}, problem ${problem.id}`;
    const text =
      found.code === 'PROBLEM_IMAGE_MISSING' ? missing(image, file === null) : found.message;
    throw new SteptreeError(found.code, `${place}: ${text}`, { id: problem.id });
  }
  return problem;
}

function missing({ location }: ImageRef, isFlag: boolean): string {
  const base = isFlag ? 'the working folder' : 'the problem file';
  return `${location} does not exist; expected a picture, by a path relative to ${base}`;
}

function unknownId(file: string, id: string | undefined, ids: readonly string[]): SteptreeError {
  if (id === undefined) {
    const count = ids.length === 0 ? 'no problem' : 'several problems';
    const advice = ids.length === 0 ? '' : `, such as ${ids[0]}; name one with --id`;
    return new SteptreeError('PROBLEM_ID_UNKNOWN', `${file} holds ${count}${advice}`, { file });
  }
  const near = nearestName(id, ids);
  const advice = near
    ? `did you mean "${near}"?`
    : ids.length === 0
      ? 'it holds no problem'
      : `its first is "${ids[0]}"`;
  return new SteptreeError(
    'PROBLEM_ID_UNKNOWN',
    `no problem of ${file} has the id "${id}"; ${advice}`,
    { file, id, near },
  );
}
