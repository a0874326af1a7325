/** Folders of `steptree bench run`, as the viewer shows them: strategies side by side, no trees. */
import { readdir, stat } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { z } from 'zod';
import { groupBy } from '../evaluate/group-by.js';
import { FileCache, readJson, readJsonLines } from './view-json.js';
import { policyName } from './view-label.js';
import type { KnownProblem } from './view-problems.js';
import type { FoundRun } from './view-scan.js';
import type { ViewBenchProblem, ViewCell, ViewProblemRow, ViewRun } from './view-types.js';

const estimate = z.object({ mean: z.number(), low: z.number(), high: z.number() });

const summaryFile = z.looseObject({
  set: z.string(),
  problems: z.number(),
  seeds: z.array(z.number()).optional(),
  cells: z.array(
    z.looseObject({
      cell: z.string(),
      strategy: z.string(),
      accuracy: estimate,
      oracle: estimate,
      policyTokens: z.number(),
      prmTokens: z.number(),
    }),
  ),
  policy: z.looseObject({ model: z.string().optional(), host: z.string().optional() }).optional(),
  seconds: z.number().optional(),
});

const row = z.looseObject({
  strategy: z.string(),
  n: z.number(),
  seed: z.number(),
  id: z.string(),
  verdict: z.enum(['equal', 'different', 'ungraded']),
  oracle: z.boolean(),
  answer: z.string().nullable(),
  gold: z.string(),
  policyTokens: z.number(),
  prmTokens: z.number(),
  stopped: z.string(),
  warnings: z.array(z.string()),
});
type BenchRow = z.infer<typeof row>;

const KEPT_FOLDERS = 20;

export class BenchFolders {
  private readonly results = new FileCache<ReadonlyMap<string, readonly BenchRow[]>>(KEPT_FOLDERS);

  readSummary(path: string) {
    return readJson(join(path, 'summary.json'), summaryFile);
  }

  /** Rows by problem id, in the order of their first appearance. */
  rowsById(path: string): Promise<ReadonlyMap<string, readonly BenchRow[]>> {
    return this.results.get(join(path, 'results.jsonl'), async (file) =>
      groupBy(await readJsonLines(file, row), ({ id }) => id),
    );
  }

  async run(found: FoundRun): Promise<ViewRun> {
    const summary = await this.readSummary(found.path);
    const { mtimeMs } = await stat(join(found.path, 'summary.json'));
    return {
      id: found.id,
      kind: 'bench',
      method: [...new Set(summary.cells.map(({ strategy }) => strategy))].join(', '),
      policy: policyName(summary.policy),
      seed: summary.seeds?.length === 1 ? (summary.seeds[0] ?? null) : null,
      status: 'done',
      problems: { done: summary.problems, failed: 0, total: summary.problems },
      labels: null,
      rollouts: null,
      policyTokens: null,
      seconds: summary.seconds ?? null,
      changedMs: mtimeMs,
    };
  }

  async cells(path: string): Promise<ViewCell[]> {
    const { cells } = await this.readSummary(path);
    return cells.map(({ cell, accuracy, oracle, policyTokens, prmTokens }) => {
      return { cell, accuracy, oracle, policyTokens, prmTokens };
    });
  }

  async rows(path: string, known: ReadonlyMap<string, KnownProblem>): Promise<ViewProblemRow[]> {
    return [...(await this.rowsById(path))].map(([id, rows]) => {
      const graded = rows.filter(({ verdict }) => verdict !== 'ungraded');
      const right = graded.filter(({ verdict }) => verdict === 'equal').length;
      return {
        id,
        question: known.get(id)?.question ?? '',
        group: known.get(id)?.group ?? null,
        gold: rows[0]?.gold ?? null,
        status: 'done' as const,
        value: graded.length > 0 ? right / graded.length : null,
        interval: null,
        states: 0,
        rollouts: rows.length,
        stopped: '',
        verdict: null,
        error: null,
      };
    });
  }

  async problem(
    found: FoundRun,
    id: string,
    known: ReadonlyMap<string, KnownProblem>,
  ): Promise<ViewBenchProblem | null> {
    const rows = (await this.rowsById(found.path)).get(id);
    if (!rows) return null;
    return {
      kind: 'bench',
      run: found.id,
      id,
      question: known.get(id)?.question ?? '',
      gold: rows[0]?.gold ?? null,
      group: known.get(id)?.group ?? null,
      images: known.get(id)?.images.length ?? 0,
      rows: rows.map(({ strategy, n, seed, verdict, oracle, answer, stopped, ...rest }) => {
        const { policyTokens, prmTokens, warnings } = rest;
        const tokens = { policyTokens, prmTokens };
        return { strategy, n, seed, verdict, oracle, answer, ...tokens, stopped, warnings };
      }),
    };
  }

  /** The set's file: a path, or drawn into a folder of the run. */
  async problemsFile(path: string): Promise<string | null> {
    const { set } = await this.readSummary(path);
    if (set !== 'figmath') return isAbsolute(set) ? set : resolve(set);
    const names = await readdir(path).catch(() => []);
    const drawn = names.find((name) => name.startsWith('figmath-'));
    return drawn === undefined ? null : join(path, drawn, 'problems.jsonl');
  }
}
