/** Reads a set's problems from the files that its authors publish. */
import { readdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { errorMessage, SteptreeError } from '../../search/errors.js';
import type { ImageRef } from '../../search/types.js';
import { checkImage, type ImageCheck, imageRef } from '../data/images.js';
import { readRecords } from '../data/records.js';
import { readParquet } from './parquet.js';
import type { AnswerSet, Fields, SetProblem } from './types.js';

export interface ReadSetOptions {
  /** Only the first n problems; 0 is all. */
  readonly limit?: number;
  /** Default `none`: scoring needs no pictures. */
  readonly checkImages?: ImageCheck;
  readonly signal?: AbortSignal;
}

/** A published record and where it stands. */
export interface SetRecord {
  readonly fields: Fields;
  readonly file: string;
  /** Line of a text file, row of a Parquet file, from 1. */
  readonly place: number;
  /** From 0 over the file. */
  readonly index: number;
  /** Of the record, where the file is an object of records. */
  readonly key?: string;
}

/** JSON, JSONL and Parquet files; a folder stands for all such files in it, in order of their names.
 *  @throws SteptreeError SET_FILES_UNREADABLE, SET_RECORD_INVALID, PROBLEMS_UNREADABLE */
export async function* readSetRecords(paths: readonly string[]): AsyncGenerator<SetRecord> {
  for (const file of await filesOf(paths)) {
    let index = 0;
    if (/\.parquet$/i.test(file)) {
      for await (const fields of readParquet(file)) {
        yield { fields, file, place: index + 1, index: index++ };
      }
      continue;
    }
    for await (const record of readRecords(file)) {
      if ('error' in record) throw invalid(file, record.line, record.error);
      const { value, line, key } = record;
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        throw invalid(file, line, 'is no object; expected a record of the set');
      }
      yield {
        fields: value as Fields,
        file,
        place: line,
        index: index++,
        ...(key === undefined ? {} : { key }),
      };
    }
  }
}

/** The problems of a set, all in memory. Ids that several files share get `-v2`, `-v3`, ….
 *  @throws SteptreeError of `readSetRecords`; PROBLEM_IMAGE_MISSING, PROBLEM_IMAGE_INVALID of the first bad
 *  picture where they are checked */
export async function readSet(
  set: AnswerSet,
  paths: readonly string[],
  { limit = 0, checkImages = 'none', signal }: ReadSetOptions = {},
): Promise<SetProblem[]> {
  const problems: SetProblem[] = [];
  const seen = new Map<string, number>();
  for await (const record of readSetRecords(paths)) {
    signal?.throwIfAborted();
    const problem = problemOf(set, record, seen);
    if (!problem) continue;
    await checkPictures(problem, record, checkImages);
    problems.push(problem);
    if (problems.length === limit) break;
  }
  if (problems.length === 0) {
    throw new SteptreeError(
      'SET_FILES_UNREADABLE',
      `${paths.join(', ')} ${paths.length === 1 ? 'holds' : 'hold'} no problem of ${set.name}; expected its authors' files (${set.source})`,
      { set: set.name, paths },
    );
  }
  return problems;
}

function problemOf(
  set: AnswerSet,
  record: SetRecord,
  seen: Map<string, number>,
): SetProblem | null {
  const { fields, file, place, index, key } = record;
  const parts = set.problemOf(fields, index, key);
  if (!parts) return null;
  for (const name of ['id', 'question', 'answer'] as const) {
    if (parts[name].trim() !== '') continue;
    throw invalid(
      file,
      place,
      `has no ${name}; expected a record of ${set.name} (--set, or the file, may be another's)`,
    );
  }
  const times = (seen.get(parts.id) ?? 0) + 1;
  seen.set(parts.id, times);
  const dir = dirname(resolve(file));
  return {
    ...parts,
    id: times === 1 ? parts.id : `${parts.id}-v${times}`,
    images: parts.images.map((picture) => pictureRef(picture, dir)),
    metadata: withoutBytes(fields),
  };
}

/** @throws SteptreeError PROBLEM_IMAGE_MISSING, PROBLEM_IMAGE_INVALID */
export async function checkPictures(
  { images, id }: Pick<SetProblem, 'images' | 'id'>,
  { file, place }: SetRecord,
  check: ImageCheck,
): Promise<void> {
  if (check === 'none') return;
  for (const image of images) {
    const found = await checkImage(image, check);
    if (!found) continue;
    throw new SteptreeError(
      found.code,
      `${file}, record ${place} (${id}): ${found.message}. Put the set's pictures there, or leave the check away with --check-images none`,
      { file, place, id },
    );
  }
}

/** A path beside the file, a `data:` URL, or the bytes of a Parquet cell. */
export function pictureRef(picture: unknown, dir: string): ImageRef {
  if (typeof picture === 'string') return imageRef(picture, dir);
  if (picture instanceof Uint8Array) return dataRef(picture);
  const { bytes, path } = (picture ?? {}) as { bytes?: unknown; path?: unknown };
  if (bytes instanceof Uint8Array) return dataRef(bytes);
  return imageRef(typeof path === 'string' ? path : '', dir);
}

function dataRef(bytes: Uint8Array): ImageRef {
  const url = `data:image/${formatOf(bytes)};base64,${Buffer.from(bytes).toString('base64')}`;
  return { source: url, location: url };
}

function formatOf(bytes: Uint8Array): string {
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return 'jpeg';
  if (bytes[0] === 0x47 && bytes[1] === 0x49) return 'gif';
  if (bytes[0] === 0x52 && bytes[1] === 0x49) return 'webp';
  return 'png';
}

/** The record without its pictures' bytes: it is kept beside the problem and written to results. */
function withoutBytes(fields: Fields): Fields {
  const held = (value: unknown): boolean =>
    value instanceof Uint8Array ||
    (typeof value === 'object' && value !== null && 'bytes' in value) ||
    (typeof value === 'string' && value.startsWith('data:'));
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => !held(value)));
}

async function filesOf(paths: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const path of paths) {
    try {
      if (!(await stat(path)).isDirectory()) files.push(path);
      else files.push(...(await filesOfFolder(path)));
    } catch (cause) {
      throw new SteptreeError(
        'SET_FILES_UNREADABLE',
        `cannot read ${path}: ${errorMessage(cause)}; give the set's file or folder with --problems`,
        { path },
        { cause },
      );
    }
  }
  return files;
}

async function filesOfFolder(folder: string): Promise<string[]> {
  const names = await readdir(folder);
  return names
    .filter((name) => /\.(?:jsonl?|ndjson|parquet)$/i.test(name))
    .sort()
    .map((name) => join(folder, name));
}

function invalid(file: string, place: number, why: string): SteptreeError {
  return new SteptreeError('SET_RECORD_INVALID', `${file}, record ${place}: ${why}`, {
    file,
    place,
  });
}
