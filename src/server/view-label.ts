/** Folders of `steptree label`, as the viewer shows them. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { z } from 'zod';
import { SteptreeError } from '../../search/errors.js';
import type { TreeJson } from '../../search/labels/tree-json.js';
import type { ImageRef } from '../../search/types.js';
import { imageRef } from '../data/images.js';
import { isStoredPicture } from '../data/pictures.js';
import { treeFileName } from '../data/problems.js';
import { RUN_FILES } from '../runtime/run-files.js';
import { FileCache, fileStamp, readJson, readJsonLines } from './view-json.js';
import type { KnownProblem } from './view-problems.js';
import type { FoundRun } from './view-scan.js';
import type {
  RunStatus,
  ViewLabelProblem,
  ViewProblemRow,
  ViewPuct,
  ViewRun,
} from './view-types.js';

const count = z.number().optional();
const workerFacts = z.object({
  name: z.string(),
  concurrency: z.number(),
  active: z.number(),
  rolloutsPerSecond: z.number(),
});
const runFile = z.looseObject({
  problemsFile: z.string().optional(),
  policy: z.looseObject({ model: z.string().optional(), host: z.string().optional() }).optional(),
  config: z.record(z.string(), z.unknown()).optional(),
  status: z.enum(['running', 'done', 'stopped', 'interrupted']),
  problems: z.object({ done: z.number(), failed: z.number(), total: z.number().nullable() }),
  labels: count,
  rollouts: count,
  policyTokens: count,
  seconds: count,
  policyStats: z
    .looseObject({ workers: z.array(workerFacts).optional().catch(undefined) })
    .optional(),
});
export type LabelRunFile = z.infer<typeof runFile>;

const failedFile = z.looseObject({
  id: z.string().nullable(),
  code: z.string(),
  message: z.string(),
});

const interval = z.tuple([z.number(), z.number()]).nullable();

/** The root only: its children were written by the same hand. */
const treeFile = z.looseObject({
  id: z.string(),
  question: z.string(),
  answer: z.string().nullish(),
  mc_value: z.number().nullish(),
  interval: interval.nullish(),
  images: z.array(z.string()).optional(),
  image_path: z.string().nullish(),
  children: z.array(z.looseObject({ children: z.array(z.unknown()) })),
  total_rollouts: count,
  stopped: z.string().optional(),
});

/** Everything of one tree that its row needs, so that trees needn't stay in memory. */
type TreeFacts = Omit<ViewProblemRow, 'group'>;

/** Rows of so many trees are remembered. */
const KEPT_ROWS = 200_000;

export class LabelFolders {
  private readonly facts = new FileCache<TreeFacts>(KEPT_ROWS);

  readRun(path: string): Promise<LabelRunFile> {
    return readJson(join(path, RUN_FILES.run), runFile);
  }

  async run(found: FoundRun): Promise<ViewRun> {
    const file = await this.readRun(found.path);
    const config = file.config ?? {};
    const { mtimeMs } = await stat(join(found.path, RUN_FILES.run));
    return {
      id: found.id,
      kind: 'label',
      method: String(config.method ?? 'label'),
      policy: policyName(file.policy),
      seed: typeof config.seed === 'number' ? config.seed : null,
      status: await statusOf(found.path, file.status),
      problems: file.problems,
      labels: file.labels ?? null,
      rollouts: file.rollouts ?? null,
      policyTokens: file.policyTokens ?? null,
      seconds: file.seconds ?? null,
      changedMs: mtimeMs,
    };
  }

  /** Changes when the run has gone on. */
  async stamp(path: string): Promise<string> {
    const names = [RUN_FILES.run, RUN_FILES.trees, RUN_FILES.failed, RUN_FILES.lock];
    const stamps = await Promise.all(names.map((name) => fileStamp(join(path, name))));
    return stamps.join('-');
  }

  /** Labelled and failed problems, in the order of the problem file where that can be read. */
  async rows(path: string, known: ReadonlyMap<string, KnownProblem>): Promise<ViewProblemRow[]> {
    const folder = join(path, RUN_FILES.trees);
    const names = (await readdir(folder).catch(() => [])).filter(
      (name) => name.endsWith('.json') && !name.startsWith('.'),
    );
    const rows: ViewProblemRow[] = [];
    for (let at = 0; at < names.length; at += READ_AT_ONCE) {
      const some = names.slice(at, at + READ_AT_ONCE);
      const facts = await Promise.all(some.map((name) => this.factsOf(join(folder, name))));
      for (const one of facts) rows.push({ ...one, group: known.get(one.id)?.group ?? null });
    }
    rows.push(...(await this.failedRows(path, known)));
    const place = (id: string) => known.get(id)?.ordinal ?? Number.MAX_SAFE_INTEGER;
    return rows.sort((a, b) => place(a.id) - place(b.id) || byNumber.compare(a.id, b.id));
  }

  /** A tree that can't be read is a row that says so, and hides no other. */
  private async factsOf(file: string): Promise<TreeFacts> {
    try {
      return await this.facts.get(file, async () => treeFacts(await readTree(file)));
    } catch (error) {
      const { code, message } = error as SteptreeError;
      const id = file.slice(file.lastIndexOf('/') + 1, -'.json'.length);
      return failedFacts(id, '', { code, message });
    }
  }

  private async failedRows(
    path: string,
    known: ReadonlyMap<string, KnownProblem>,
  ): Promise<ViewProblemRow[]> {
    const file = join(path, RUN_FILES.failed);
    if ((await fileStamp(file)) === '-') return [];
    const failures = await readJsonLines(file, failedFile);
    return failures.map(({ id, code, message }) => {
      const problem = known.get(id ?? '');
      const facts = failedFacts(id ?? '', problem?.question ?? '', { code, message });
      return { ...facts, gold: problem?.gold ?? null, group: problem?.group ?? null };
    });
  }

  /** @throws SteptreeError VIEW_PROBLEM_UNKNOWN, VIEW_FILE_INVALID */
  async problem(
    found: FoundRun,
    id: string,
    known: ReadonlyMap<string, KnownProblem>,
  ): Promise<ViewLabelProblem> {
    // The name never leaves the folder, whatever the id is.
    const file = join(found.path, RUN_FILES.trees, treeFileName(id));
    if ((await fileStamp(file)) === '-') throw noTree(found.id, id);
    const tree = await readTree(file);
    const { config = {} } = await this.readRun(found.path);
    return {
      kind: 'label',
      run: found.id,
      id,
      question: tree.question,
      gold: tree.answer,
      group: known.get(id)?.group ?? null,
      images: tree.images.length,
      tree,
      puct: puctOf(config),
    };
  }

  /** Where the pictures of a problem lie. */
  async pictures(found: FoundRun, id: string): Promise<ImageRef[]> {
    const file = join(found.path, RUN_FILES.trees, treeFileName(id));
    if ((await fileStamp(file)) === '-') throw noTree(found.id, id);
    const [tree, run] = await Promise.all([readTree(file), this.readRun(found.path)]);
    const folder = problemFolder(found.path, run);
    return tree.images.map((source) =>
      imageRef(source, isStoredPicture(source) ? found.path : folder),
    );
  }

  async hasProblem(path: string, id: string): Promise<boolean> {
    return (await fileStamp(join(path, RUN_FILES.trees, treeFileName(id)))) !== '-';
  }

  /** The run's problem file. */
  async problemsFile(path: string): Promise<string | null> {
    const { problemsFile } = await this.readRun(path);
    if (problemsFile === undefined) return null;
    return isAbsolute(problemsFile) ? problemsFile : resolve(path, problemsFile);
  }
}

/** p9 before p10. */
const byNumber = new Intl.Collator('en', { numeric: true });

/** Files read at the same time. */
const READ_AT_ONCE = 32;

export function policyName(policy: { model?: unknown; host?: unknown } | undefined): string {
  const name = policy?.model ?? policy?.host;
  return typeof name === 'string' ? name : '';
}

function problemFolder(path: string, { problemsFile }: LabelRunFile): string {
  return problemsFile === undefined ? path : dirname(resolve(path, problemsFile));
}

async function readTree(file: string): Promise<TreeJson> {
  const tree = (await readJson(file, treeFile)) as unknown as TreeJson;
  const first = tree.image_path ? [tree.image_path] : [];
  return { ...tree, answer: tree.answer ?? null, images: tree.images ?? first };
}

function treeFacts(tree: TreeJson): TreeFacts {
  let states = 0;
  const open: { readonly children: TreeJson['children'] }[] = [tree];
  for (let node = open.pop(); node; node = open.pop()) {
    states++;
    for (const child of node.children) open.push(child);
  }
  return {
    id: tree.id,
    question: tree.question,
    gold: tree.answer,
    status: 'done',
    value: tree.mc_value ?? null,
    interval: tree.interval ?? null,
    states,
    rollouts: tree.total_rollouts ?? 0,
    stopped: tree.stopped ?? '',
    verdict: null,
    error: null,
  };
}

export function failedFacts(
  id: string,
  question: string,
  error: NonNullable<ViewProblemRow['error']>,
): TreeFacts {
  return {
    id,
    question,
    gold: null,
    status: 'failed',
    value: null,
    interval: null,
    states: 0,
    rollouts: 0,
    stopped: '',
    verdict: null,
    error,
  };
}

function noTree(run: string, id: string): SteptreeError {
  return new SteptreeError(
    'VIEW_PROBLEM_UNKNOWN',
    `run ${run} has no tree of a problem "${id}"; it may have failed or not be finished yet`,
    { run, id },
  );
}

function puctOf(config: Readonly<Record<string, unknown>>): ViewPuct | null {
  const { cPuct, alpha, beta, lengthScale, method } = config;
  const numbers = [cPuct, alpha, beta, lengthScale].every((value) => typeof value === 'number');
  return method === 'omegaprm' && numbers
    ? ({ cPuct, alpha, beta, lengthScale } as ViewPuct)
    : null;
}

/** A run whose process has ended does not run, whatever its file says. */
async function statusOf(path: string, status: LabelRunFile['status']): Promise<RunStatus> {
  if (status !== 'running') return status;
  const text = await readFile(join(path, RUN_FILES.lock), 'utf8').catch(() => '');
  const pid = Number.parseInt(text, 10);
  if (!Number.isInteger(pid) || pid <= 0) return 'lost';
  try {
    process.kill(pid, 0);
    return 'running';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? 'running' : 'lost';
  }
}
