import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Problem } from '../../search/index.js';
import { readProblems } from '../data/problems.js';
import { writeFigmath } from '../figmath/index.js';
import type { AllBenchOptions } from './bench-options.js';

export interface LoadedSet {
  readonly problems: Problem[];
  /** Of the problems' contents. */
  readonly digest: string;
}

/** The problems of a set, all in memory: a benchmark has thousands, not millions.
 *  @param set `figmath`, which is drawn into `dir`, or a file of problems
 *  @throws SteptreeError PROBLEM… of the first bad problem, FILE_WRITE_FAILED */
export async function loadSet(
  set: string,
  dir: string,
  all: AllBenchOptions,
  signal: AbortSignal,
): Promise<LoadedSet> {
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
  const digest = createHash('sha256').update(JSON.stringify(problems.map(contentOf)));
  return { problems, digest: digest.digest('hex').slice(0, 16) };
}

/** Without the places of pictures, so that a folder may move. */
function contentOf({ images, ...problem }: Problem): unknown {
  return [problem, images.map(({ source }) => source)];
}

async function makeFigmath(
  dir: string,
  { figmathSplit: split, figmathCount: count, figmathSeed: seed }: AllBenchOptions,
  signal: AbortSignal,
): Promise<string> {
  const out = join(dir, `figmath-${split}-${seed}-${count}`);
  const file = join(out, 'problems.jsonl');
  const isComplete = existsSync(file) && (await readFile(file, 'utf8')).split('\n').length > count;
  if (!isComplete) await writeFigmath({ split, count, seed, out }, signal);
  return file;
}
