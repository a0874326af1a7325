/** Results of `bench run` and `bench score`, read back for comparisons and reports. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorMessage, SteptreeError } from '../../search/errors.js';
import { writeFileAtomic } from '../data/files.js';
import type { Groups } from '../sets/types.js';
import { cellName } from './cells.js';
import { groupBy } from './group-by.js';

export interface ResultRow {
  readonly id: string;
  readonly seed: number;
  readonly verdict: 'correct' | 'wrong' | 'ungraded';
  readonly answer: string | null;
  readonly gold: string;
  readonly groups: Groups;
  /** Absent from responses made elsewhere. */
  readonly oracle?: boolean;
  /** Chance of a right answer over subsets of a larger pool. */
  readonly expected?: number;
  readonly policyTokens?: number;
  readonly prmTokens?: number;
  readonly criticTokens?: number;
  readonly calls?: number;
  readonly seconds?: number;
  readonly warnings?: readonly string[];
}

/** One strategy at one N, or one file of responses, over all problems and seeds. */
export interface CellResults {
  readonly name: string;
  readonly strategy: string;
  readonly n: number;
  readonly rows: readonly ResultRow[];
}

export interface RunResults {
  readonly dir: string;
  /** summary.json as it stands; empty where there is none. */
  readonly summary: Readonly<Record<string, unknown>>;
  readonly cells: readonly CellResults[];
}

/** @throws SteptreeError RESULTS_UNREADABLE */
export async function readResults(dir: string): Promise<RunResults> {
  const isFile = await stat(dir).then(
    (found) => found.isFile(),
    () => false,
  );
  const file = isFile ? dir : join(dir, 'results.jsonl');
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new SteptreeError(
      'RESULTS_UNREADABLE',
      `cannot read ${file}: ${errorMessage(cause)}; expected the folder of a finished steptree bench run or bench score --out`,
      { file },
      { cause },
    );
  });
  const rows = text.split('\n').flatMap((line, index) => {
    if (line.trim() === '') return [];
    try {
      return [JSON.parse(line) as Record<string, unknown>];
    } catch {
      throw new SteptreeError(
        'RESULTS_UNREADABLE',
        `${file}, line ${index + 1} is not valid JSON; was the run finished?`,
        { file, line: index + 1 },
      );
    }
  });
  const summary = isFile ? {} : await readSummary(dir);
  return {
    dir,
    summary,
    cells: cellsOf(rows, typeof summary.set === 'string' ? summary.set : 'responses'),
  };
}

/** Folders of shards, or of several strategies, as one: cells of equal name are joined. What several of them hold
 *  of the same cell, problem and seed is taken once if it is the same answer.
 *  @throws SteptreeError RESULTS_UNREADABLE, also where they differ on a problem */
export async function readJoinedResults(dirs: readonly string[]): Promise<RunResults> {
  const runs = await Promise.all(dirs.map(readResults));
  const [first] = runs;
  if (runs.length === 1 && first) return first;
  const cells = runs.flatMap(({ cells }) => cells);
  const joined = [...groupBy(cells, ({ name }) => name).values()].map((same) => ({
    ...(same[0] as CellResults),
    rows: onceEach(same, dirs),
  }));
  return { dir: dirs.join(', '), summary: first?.summary ?? {}, cells: joined };
}

function onceEach(cells: readonly CellResults[], dirs: readonly string[]): ResultRow[] {
  const rows = new Map<string, ResultRow>();
  for (const { name, rows: more } of cells) {
    for (const row of more) {
      const key = `${row.id} ${row.seed}`;
      const known = rows.get(key);
      if (known && (known.answer !== row.answer || known.verdict !== row.verdict)) {
        throw new SteptreeError(
          'RESULTS_UNREADABLE',
          `${dirs.join(', ')} hold different answers to ${row.id} for ${name}; join shards of one run (bench run --shard K/N), and compare runs with bench compare`,
          { dirs, cell: name, id: row.id },
        );
      }
      if (!known) rows.set(key, row);
    }
  }
  return [...rows.values()];
}

/** The cell that `DIR` or `DIR#CELL` names, with CELL as `majority@16`.
 *  @throws SteptreeError RESULTS_UNREADABLE, naming the cells that there are */
export async function readCell(spec: string): Promise<CellResults> {
  const at = spec.lastIndexOf('#');
  const [dir, wanted] = at < 0 ? [spec, ''] : [spec.slice(0, at), spec.slice(at + 1)];
  const { cells } = await readResults(dir);
  const plain = (name: string) => name.replace(/\s/g, '');
  const found =
    wanted === ''
      ? cells.length === 1 && cells[0]
      : cells.find(({ name }) => plain(name) === plain(wanted));
  if (found) return found;
  throw new SteptreeError(
    'RESULTS_UNREADABLE',
    `${dir} has ${cells.length} cells; name one as ${dir}#CELL: ${cells.map(({ name }) => plain(name)).join(', ')}`,
    { dir, cells: cells.map(({ name }) => name) },
  );
}

/** Texts of the questions beside the results, for reports.
 *  @throws SteptreeError FILE_WRITE_FAILED */
export async function writeQuestions(
  dir: string,
  problems: readonly { readonly id: string; readonly question: string }[],
): Promise<void> {
  const lines = problems.map(({ id, question }) => `${JSON.stringify({ id, question })}\n`);
  await writeFileAtomic(join(dir, 'problems.jsonl'), lines.join(''));
}

async function readSummary(dir: string): Promise<Record<string, unknown>> {
  const text = await readFile(join(dir, 'summary.json'), 'utf8').catch(() => '{}');
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function cellsOf(rows: readonly Record<string, unknown>[], name: string): CellResults[] {
  const groups = groupBy(rows, (row) =>
    typeof row.strategy === 'string' ? cellName({ label: row.strategy, n: Number(row.n) }) : name,
  );
  return [...groups].map(([cell, same]) => ({
    name: cell,
    strategy: String(same[0]?.strategy ?? name),
    n: Number(same[0]?.n ?? 1),
    rows: same.map(rowOf),
  }));
}

function rowOf(row: Record<string, unknown>): ResultRow {
  const { id, seed = 0, verdict, answer, prediction, gold, groups, oracle, warnings } = row;
  const number = (name: string) => (typeof row[name] === 'number' ? { [name]: row[name] } : {});
  return {
    id: String(id),
    seed: Number(seed),
    verdict: VERDICTS[String(verdict)] ?? 'ungraded',
    answer: textOrNull(answer ?? prediction),
    gold: String(gold ?? ''),
    groups: (groups ?? {}) as Groups,
    ...(typeof oracle === 'boolean' ? { oracle } : {}),
    ...(Array.isArray(warnings) ? { warnings: warnings.map(String) } : {}),
    ...number('expected'),
    ...number('policyTokens'),
    ...number('prmTokens'),
    ...number('criticTokens'),
    ...number('calls'),
    ...number('seconds'),
  };
}

function textOrNull(value: unknown): string | null {
  return value === null || value === undefined ? null : String(value);
}

const VERDICTS: Readonly<Record<string, ResultRow['verdict']>> = {
  equal: 'correct',
  correct: 'correct',
  different: 'wrong',
  wrong: 'wrong',
};
