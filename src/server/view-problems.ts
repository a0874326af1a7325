/** What a run's own files don't say of a problem: its group, its place in the file, its pictures. */
import { stat } from 'node:fs/promises';
import type { ImageRef, Problem } from '../../search/types.js';
import { readProblems } from '../data/problems.js';

export interface KnownProblem {
  /** Place in the problem file, from 0. */
  readonly ordinal: number;
  readonly question: string;
  readonly gold: string | null;
  readonly group: string | null;
  readonly images: readonly ImageRef[];
}

/** Problems of a file by id; an unreadable or missing file is an empty one, since a run can be
 *  looked at without it. Remembered until the file changes. */
export class ProblemIndex {
  private readonly files = new Map<
    string,
    { stamp: string; problems: Promise<ReadonlyMap<string, KnownProblem>> }
  >();

  async of(file: string | null): Promise<ReadonlyMap<string, KnownProblem>> {
    if (file === null) return NONE;
    const info = await stat(file).catch(() => null);
    if (!info?.isFile()) return NONE;
    const stamp = `${info.mtimeMs} ${info.size}`;
    const known = this.files.get(file);
    if (known?.stamp === stamp) return known.problems;
    const problems = readIndex(file).catch(() => NONE);
    this.files.set(file, { stamp, problems });
    return problems;
  }
}

const NONE: ReadonlyMap<string, KnownProblem> = new Map();

/** Beyond so many problems the groups and pictures of later ones are not known. */
const MAX_PROBLEMS = 200_000;

async function readIndex(file: string): Promise<ReadonlyMap<string, KnownProblem>> {
  const index = new Map<string, KnownProblem>();
  const reading = readProblems(file, {
    requireAnswer: false,
    uniqueIds: false,
    checkImages: 'none',
  });
  for await (const item of reading) {
    if ('rejected' in item || index.has(item.problem.id)) continue;
    const { id, question, answer, images } = item.problem;
    const facts = { question, gold: answer ?? null, group: groupOf(item.problem), images };
    index.set(id, { ordinal: index.size, ...facts });
    if (index.size === MAX_PROBLEMS) break;
  }
  return index;
}

/** The first of these that a problem's metadata holds as a text. */
const GROUP_FIELDS = ['family', 'set', 'source', 'dataset', 'category', 'subject', 'task'] as const;

function groupOf({ metadata }: Problem): string | null {
  for (const field of GROUP_FIELDS) {
    const value = metadata?.[field];
    if (typeof value === 'string' && value !== '') return value;
  }
  return null;
}
