/** Finds the runs below a folder by their files. */
import { open, readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { RUN_FILES } from '../runtime/run-files.js';
import type { RunKind } from './view-types.js';

export interface FoundRun {
  readonly id: string;
  readonly kind: RunKind;
  /** The run's folder, or the file of a solve. */
  readonly path: string;
}

/** Folders below this depth, and folders beyond this number, are not looked at. */
const MAX_DEPTH = 4;
const MAX_FOLDERS = 5_000;
/** Runs have many files in these and none of interest here. */
const SKIPPED = new Set<string>(['node_modules', RUN_FILES.trees, RUN_FILES.store, 'images']);

/** Runs in the order of their ids. */
export async function findRuns(root: string): Promise<FoundRun[]> {
  const found: FoundRun[] = [];
  let folders = [root];
  let seen = 0;
  for (let depth = 0; depth <= MAX_DEPTH && folders.length > 0; depth++) {
    const deeper: string[] = [];
    for (const folder of folders) {
      if (++seen > MAX_FOLDERS) break;
      const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
      const names = new Set(entries.flatMap((entry) => (entry.isFile() ? [entry.name] : [])));
      const kind = folderKind(names);
      if (kind) {
        found.push({ id: runId(root, folder), kind, path: folder });
        continue;
      }
      for (const name of names) {
        const path = join(folder, name);
        if (name.endsWith('.json') && (await isSolveFile(path))) {
          found.push({ id: runId(root, path), kind: 'solve', path });
        }
      }
      for (const entry of entries) {
        const isOpen = entry.isDirectory() && !entry.name.startsWith('.');
        if (isOpen && !SKIPPED.has(entry.name)) deeper.push(join(folder, entry.name));
      }
    }
    folders = deeper;
  }
  return found.sort((a, b) => (a.id < b.id ? -1 : 1));
}

function folderKind(names: ReadonlySet<string>): RunKind | null {
  if (names.has(RUN_FILES.run)) return 'label';
  return names.has('results.jsonl') && names.has('summary.json') ? 'bench' : null;
}

function runId(root: string, path: string): string {
  const id = relative(root, path).split(sep).join('/');
  return id === '' ? '.' : id;
}

/** By its beginning: `steptree solve` writes id, question, strategy first. */
async function isSolveFile(path: string): Promise<boolean> {
  const handle = await open(path, 'r').catch(() => null);
  if (!handle) return false;
  try {
    const head = Buffer.alloc(SOLVE_HEAD_BYTES);
    const { bytesRead } = await handle.read(head, 0, head.length, 0);
    return SOLVE_HEAD.test(head.toString('utf8', 0, bytesRead));
  } catch {
    return false;
  } finally {
    await handle.close();
  }
}

const SOLVE_HEAD_BYTES = 16_384;
const SOLVE_HEAD = /^\s*\{\s*"id":[\s\S]*?"question":[\s\S]*?"strategy":\s*"/;
