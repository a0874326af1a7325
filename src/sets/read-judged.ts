import { dirname, resolve } from 'node:path';
import { SteptreeError } from '../../search/errors.js';
import { checkPictures, pictureRef, type ReadSetOptions, readSetRecords } from './read.js';
import type { JudgedProblem, JudgedSet } from './step-sets.js';

/** The solutions or pairs of a judged set, all in memory.
 *  @throws SteptreeError SET_FILES_UNREADABLE, SET_RECORD_INVALID, PROBLEM_IMAGE_… */
export async function readJudgedSet(
  set: JudgedSet,
  paths: readonly string[],
  { limit = 0, checkImages = 'none', signal }: ReadSetOptions = {},
): Promise<JudgedProblem[]> {
  const items: JudgedProblem[] = [];
  for await (const record of readSetRecords(paths)) {
    signal?.throwIfAborted();
    const { fields, file, place, index } = record;
    const parts = set.partsOf(fields, index);
    if (!parts) continue;
    const [first = []] = parts.solutions;
    if (first.length === 0 || (set.measure !== 'pairs' && parts.labels.length !== first.length)) {
      throw new SteptreeError(
        'SET_RECORD_INVALID',
        `${file}, record ${place}: has ${first.length} steps and ${parts.labels.length} labels; expected a solution of ${set.name} with a label for each step`,
        { file, place },
      );
    }
    const images = parts.images.map((picture) => pictureRef(picture, dirname(resolve(file))));
    const problem = { id: parts.id, question: parts.question, images };
    await checkPictures(problem, record, checkImages);
    items.push({ ...parts, problem });
    if (items.length === limit) break;
  }
  if (items.length > 0) return items;
  throw new SteptreeError(
    'SET_FILES_UNREADABLE',
    `${paths.join(', ')}: no solution of ${set.name}; expected its authors' files (${set.source})`,
    { set: set.name, paths },
  );
}
