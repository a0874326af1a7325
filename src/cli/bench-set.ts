import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Problem, SteptreeError } from '../../search/index.js';
import { readProblems } from '../data/problems.js';
import { writeFigmath } from '../figmath/index.js';
import { type AnswerSet, findAnswerSet, readSet, type SetProblem } from '../sets/index.js';
import type { AllBenchOptions } from './bench-options.js';

/** Not every command takes a set's files, or shards. */
type SetOptions = Omit<AllBenchOptions, 'problems' | 'shard'> &
  Partial<Pick<AllBenchOptions, 'problems' | 'shard'>>;

export interface LoadedSet {
  readonly problems: readonly Problem[];
  /** A benchmark set with rules of its own. */
  readonly official?: { readonly set: AnswerSet; readonly problems: readonly SetProblem[] };
  /** Of the problems' contents. */
  readonly digest: string;
}

/** The problems of a set, all in memory: a benchmark has thousands, not millions.
 *  @param set `figmath`, which is drawn into `dir`, a benchmark set with `--problems`, or a file of problems
 *  @throws SteptreeError SET_…, OPTION_INVALID where a set's files are not named;
 *  PROBLEM… of the first bad problem, FILE_WRITE_FAILED */
export async function loadSet(
  set: string,
  dir: string,
  all: SetOptions,
  signal: AbortSignal,
): Promise<LoadedSet> {
  const { problems: files = '', shard = '1/1' } = all;
  const official = files === '' && set === 'figmath' ? undefined : findAnswerSet(set);
  if (official) return loadOfficial(official, { ...all, problems: files, shard }, signal);
  const file = set === 'figmath' ? await makeFigmath(dir, all, signal) : set;
  const problems: Problem[] = [];
  for await (const item of readProblems(file, {
    format: all.format,
    strict: true,
    checkImages: all.policy.startsWith('recorded:') ? 'none' : all.checkImages,
  })) {
    if ('problem' in item) problems.push(item.problem);
    if (problems.length === all.limit) break;
  }
  const kept = shardOf(problems, shard);
  return { problems: kept, digest: digestOf(kept) };
}

async function loadOfficial(
  set: AnswerSet,
  all: SetOptions & { problems: string; shard: string },
  signal: AbortSignal,
): Promise<LoadedSet> {
  if (all.problems === '') {
    throw new SteptreeError(
      'OPTION_INVALID',
      `${set.name} needs its authors' files; name them with --problems FILE`,
      { option: 'problems' },
    );
  }
  const whole = await readSet(set, all.problems.split(','), {
    limit: all.limit,
    checkImages: all.policy.startsWith('recorded:') ? 'none' : all.checkImages,
    signal,
  });
  const problems = shardOf(whole, all.shard);
  return { problems, digest: digestOf(problems), official: { set, problems } };
}

/** Every n-th problem from the k-th on, for `k/n`. */
function shardOf<T>(problems: readonly T[], shard: string): T[] {
  const [place = 1, count = 1] = shard.split('/').map(Number);
  return problems.filter((_, index) => index % count === place - 1);
}

function digestOf(problems: readonly Problem[]): string {
  const digest = createHash('sha256').update(JSON.stringify(problems.map(contentOf)));
  return digest.digest('hex').slice(0, 16);
}

/** Without the places of pictures, so that a folder may move. */
function contentOf({ images, ...problem }: Problem): unknown {
  return [problem, images.map(({ source }) => source)];
}

async function makeFigmath(
  dir: string,
  { figmathSplit: split, figmathCount: count, figmathSeed: seed }: SetOptions,
  signal: AbortSignal,
): Promise<string> {
  const out = join(dir, `figmath-${split}-${seed}-${count}`);
  const file = join(out, 'problems.jsonl');
  const isComplete = existsSync(file) && (await readFile(file, 'utf8')).split('\n').length > count;
  if (!isComplete) await writeFigmath({ split, count, seed, out }, signal);
  return file;
}
