/** The training file of MM-PRM: what its traverse.py makes of the trees (arXiv 2505.13427). */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorMessage, SteptreeError } from '../../../search/errors.js';
import { type PathOptions, pathOptions } from '../../../search/labels/options.js';
import { processText, trainingPaths } from '../../../search/labels/paths.js';
import { type TreeJson, treeFromJson } from '../../../search/labels/tree-json.js';
import type { AtomicFile } from '../files.js';
import { nothingIn } from './label-records.js';
import type { ExportOptions } from './options.js';

/** Writes a JSON array of {question, answer, image_path, process, labels}, four spaces deep and with
 *  labels as floats, as Python's json.dump(…, ensure_ascii=False, indent=4) does. One tree is in
 *  memory at a time; trees in the order of their file names.
 *  @returns how many training paths were written
 *  @throws SteptreeError EXPORT_NOTHING, EXPORT_INPUT_INVALID; the signal's reason */
export async function writeMmPrm(
  dir: string,
  file: AtomicFile,
  options: ExportOptions,
  signal?: AbortSignal,
): Promise<number> {
  let count = 0;
  await file.write('[');
  for (const name of await treeFiles(join(dir, 'trees'), dir)) {
    signal?.throwIfAborted();
    const tree = await readTree(join(dir, 'trees', name));
    const rules = pathRules(options);
    for (const path of trainingPaths(
      treeFromJson(tree),
      rules,
      `${options.seed} ${tree.id ?? name}`,
    )) {
      const { question, answer, image_path } = tree;
      const process = processText(path.segments);
      const item = itemText({ question, answer, image_path, process }, path.labels);
      await file.write(count++ === 0 ? `\n${item}` : `,\n${item}`);
    }
  }
  await file.write(count === 0 ? ']' : '\n]');
  return count;
}

function pathRules(options: ExportOptions): PathOptions {
  return {
    ...pathOptions.parse({
      pathRule: 'mm-prm',
      balance: options.balance,
      minWords: options.minWords,
    }),
    consensusRule: 'and',
    label: 'soft',
    labelThreshold: 0,
  };
}

async function treeFiles(trees: string, dir: string): Promise<string[]> {
  const names = await readdir(trees).catch(() => {
    throw nothingIn(dir, 'folder "trees"');
  });
  return names.filter((name) => name.endsWith('.json') && !name.startsWith('.')).sort();
}

async function readTree(path: string): Promise<TreeJson> {
  try {
    const tree: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (isTree(tree)) return tree;
    throw new Error('it has no question, mc_value or children');
  } catch (cause) {
    throw new SteptreeError(
      'EXPORT_INPUT_INVALID',
      `${path} is no tree: ${errorMessage(cause)}; expected a tree as "steptree label" writes it`,
      { path },
      { cause },
    );
  }
}

function isTree(value: unknown): value is TreeJson {
  if (typeof value !== 'object' || value === null) return false;
  const tree = value as Partial<TreeJson>;
  return typeof tree.question === 'string' && 'mc_value' in tree && Array.isArray(tree.children);
}

function itemText(fields: Record<string, unknown>, labels: readonly number[]): string {
  const open = JSON.stringify(fields, null, 4).slice(0, -2);
  const numbers = labels.map((label) => `        ${floatText(label)}`).join(',\n');
  const text = `${open},\n    "labels": [\n${numbers}\n    ]\n}`;
  return text.replace(/^/gm, '    ');
}

/** Python tells 1.0 from 1, and a trainer's tensors of labels must all be floats. */
function floatText(value: number): string {
  return Number.isInteger(value) ? `${value}.0` : String(value);
}
