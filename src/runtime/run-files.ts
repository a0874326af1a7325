import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SteptreeError } from '../../search/errors.js';
import { writeFileAtomic } from '../data/files.js';
import type { Failure, RunStore } from './run-store.js';

/** Names inside a run's folder. */
export const RUN_FILES = {
  run: 'run.json',
  labels: 'labels.jsonl',
  failed: 'failed.jsonl',
  trees: 'trees',
  store: 'store',
  lock: 'run.lock',
} as const;

/** Takes the folder for this process, so that two runs never write to one folder.
 *  A lock whose process has ended is taken over.
 *  @param folder inside it for many files, made and rid of unfinished ones
 *  @returns a function that gives it back
 *  @throws SteptreeError RUN_LOCKED, RUN_DIR_UNUSABLE */
export function lockRun(dir: string, folder = ''): () => void {
  const path = join(dir, RUN_FILES.lock);
  try {
    mkdirSync(join(dir, folder), { recursive: true });
    const holder = lockHolder(path);
    if (holder !== null) {
      throw new SteptreeError(
        'RUN_LOCKED',
        `process ${holder} is writing to ${dir}; wait for it, or choose another folder (if that process is another program by now, remove ${path})`,
        { dir, pid: holder },
      );
    }
    writeFileSync(path, `${process.pid}\n`);
    // Not before: what another process is writing would be lost to it.
    removeLeftovers(join(dir, folder));
  } catch (error) {
    if (error instanceof SteptreeError) throw error;
    throw new SteptreeError(
      'RUN_DIR_UNUSABLE',
      `cannot write to the output folder ${dir}: ${String(error)}; choose another --out`,
      { dir },
      { cause: error },
    );
  }
  return () => rmSync(path, { force: true });
}

/** Marks the folder as made with this configuration, or checks that it was.
 *  @param defaults of the options in `identity`: one that is younger than the folder has no value there,
 *  and its default is what the folder was made with
 *  @throws SteptreeError RUN_CONFIG_DIFFERS, naming every difference */
export async function claimFolder(
  store: Pick<RunStore, 'fact' | 'setFact'>,
  dir: string,
  identity: Readonly<Record<string, unknown>>,
  defaults: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const known = store.fact<Record<string, unknown>>('identity');
  if (!known) {
    await store.setFact('identity', identity);
    return;
  }
  const names = [...new Set([...Object.keys(known), ...Object.keys(identity)])];
  const differences = names.flatMap((name) => {
    const before = name in known ? known[name] : defaults[name];
    const [was, is] = [JSON.stringify(before), JSON.stringify(identity[name])];
    return was === is ? [] : [`${name} was ${was} and is now ${is}`];
  });
  if (differences.length === 0) return;
  throw new SteptreeError(
    'RUN_CONFIG_DIFFERS',
    `${dir} was made with another configuration: ${differences.join('; ')}; use the same options to resume, or another --out`,
    { dir, differences },
  );
}

/** failed.jsonl: every problem that has no labels, with its reason, in problem order. */
export async function writeFailed(dir: string, store: RunStore): Promise<void> {
  const lines: string[] = [];
  for (const { value } of store.allProblems()) {
    if (value.status === 'failed') lines.push(`${JSON.stringify(failedLine(value.failure))}\n`);
  }
  await writeFileAtomic(join(dir, RUN_FILES.failed), lines.join(''));
}

function failedLine(failure: Failure): Record<string, unknown> {
  const { id, line, field, code, message } = failure;
  return { id: id ?? null, ...(line ? { line } : {}), ...(field ? { field } : {}), code, message };
}

/** The process that holds the lock, or null if none that is still alive. */
function lockHolder(path: string): number | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return null;
  }
  const pid = Number.parseInt(text, 10);
  if (!Number.isInteger(pid) || pid === process.pid) return null;
  try {
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? pid : null;
  }
}

/** Half-written trees of a killed process: other tools read every file of this folder. */
function removeLeftovers(dir: string): void {
  for (const name of readdirSync(dir)) {
    if (name.startsWith('.') && name.endsWith('.tmp')) rmSync(join(dir, name), { force: true });
  }
}
