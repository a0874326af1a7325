/** A folder of runs, read only. Ids that come from outside are looked up among what was found and
 *  never become parts of paths. */
import { realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { SteptreeError } from '../../search/errors.js';
import type { ImageRef } from '../../search/types.js';
import { nearestName } from '../config/nearest.js';
import { BenchFolders } from './view-bench.js';
import { LabelFolders } from './view-label.js';
import { loadPicture, type Picture } from './view-pictures.js';
import { type KnownProblem, ProblemIndex } from './view-problems.js';
import { type FoundRun, findRuns } from './view-scan.js';
import { SolveFiles } from './view-solve.js';
import type { ViewProblem, ViewRun, ViewRunDetail } from './view-types.js';

export interface ViewFolderOptions {
  /** Problem file of runs that don't name theirs (`solve` keeps no pictures). */
  readonly problems?: string;
  /** `inside`: pictures are shown only from the folders of runs and their problem files, for
   *  services, whose problems come from others. `anywhere`: for one's own runs. */
  readonly pictures?: 'inside' | 'anywhere';
}

export class ViewFolder {
  private readonly labels = new LabelFolders();
  private readonly solves = new SolveFiles();
  private readonly benches = new BenchFolders();
  private readonly index = new ProblemIndex();
  private scan: { readonly at: number; readonly runs: Promise<FoundRun[]> } | null = null;
  readonly dir: string | null;

  /** @param dir null shows no runs, as a service without a folder of them
   *  @throws SteptreeError VIEW_FOLDER_MISSING */
  constructor(
    dir: string | null,
    private readonly options: ViewFolderOptions = {},
  ) {
    if (dir === null) {
      this.dir = null;
      return;
    }
    if (!statSync(dir, { throwIfNoEntry: false })?.isDirectory()) {
      throw new SteptreeError(
        'VIEW_FOLDER_MISSING',
        `${dir} is no folder; give the --out of steptree label or bench, or a folder of such runs`,
        { dir },
      );
    }
    this.dir = realpathSync(dir);
  }

  /** All runs; one whose files can't be read is left out of the list and told when asked for. */
  async runs(): Promise<ViewRun[]> {
    const found = await this.found();
    const runs = await Promise.all(found.map((run) => this.runOf(run).catch(() => null)));
    return runs.filter((run) => run !== null);
  }

  /** @throws SteptreeError VIEW_RUN_UNKNOWN, VIEW_FILE_INVALID */
  async run(id: string): Promise<ViewRunDetail> {
    const found = await this.find(id);
    const [run, known] = await Promise.all([this.runOf(found), this.knownOf(found)]);
    switch (found.kind) {
      case 'label': {
        const { config = {}, policy, policyStats } = await this.labels.readRun(found.path);
        const problems = await this.labels.rows(found.path, known);
        // Of a run that has ended they would be who was there last.
        const workers = run.status === 'running' ? policyStats?.workers : undefined;
        const detail = { run, config: { ...config, policy }, problems, cells: [] };
        return workers ? { ...detail, workers } : detail;
      }
      case 'solve': {
        const problems = [await this.solves.row(found.path, known)];
        return { run, config: await this.solves.config(found.path), problems, cells: [] };
      }
      case 'bench': {
        const [problems, cells] = await Promise.all([
          this.benches.rows(found.path, known),
          this.benches.cells(found.path),
        ]);
        return { run, config: {}, problems, cells };
      }
    }
  }

  /** Changes when what `run` returns does. */
  async stamp(id: string): Promise<string> {
    const found = await this.find(id);
    if (found.kind === 'label') {
      const { status } = await this.runOf(found);
      return `${await this.labels.stamp(found.path)}-${status}`;
    }
    return String((await this.runOf(found)).changedMs);
  }

  /** @throws SteptreeError VIEW_RUN_UNKNOWN, VIEW_PROBLEM_UNKNOWN, VIEW_FILE_INVALID */
  async problem(runId: string, id: string): Promise<ViewProblem> {
    const found = await this.find(runId);
    const known = await this.knownOf(found);
    if (found.kind === 'label') return this.labels.problem(found, id, known);
    if (found.kind === 'solve') {
      const problem = await this.solves.problem(found, known);
      if (problem.id === id) return problem;
    } else {
      const problem = await this.benches.problem(found, id, known);
      if (problem) return problem;
    }
    throw unknownProblem(runId, id);
  }

  /** Ids of the runs that hold something of this problem. */
  async holders(problemId: string): Promise<string[]> {
    const found = await this.found();
    const holds = await Promise.all(
      found.map((run) => this.holds(run, problemId).catch(() => false)),
    );
    return found.flatMap(({ id }, i) => (holds[i] ? [id] : []));
  }

  /** @param at index of the problem's pictures
   *  @throws SteptreeError VIEW_RUN_UNKNOWN, VIEW_PROBLEM_UNKNOWN, VIEW_IMAGE_MISSING,
   *  VIEW_IMAGE_REFUSED */
  async picture(runId: string, id: string, at: number): Promise<Picture> {
    const found = await this.find(runId);
    const refs =
      found.kind === 'label'
        ? await this.labels.pictures(found, id)
        : ((await this.knownOf(found)).get(id)?.images ?? []);
    const ref: ImageRef | undefined = refs[at];
    if (!ref) {
      throw new SteptreeError(
        'VIEW_IMAGE_MISSING',
        `problem "${id}" of run ${runId} has ${refs.length} pictures, and none with number ${at}`,
        { run: runId, id, at },
      );
    }
    return loadPicture(ref, await this.pictureRoots(found));
  }

  private async pictureRoots(found: FoundRun): Promise<string[] | null> {
    if (this.options.pictures === 'anywhere') return null;
    const file = await this.problemsFileOf(found);
    const folder = file === null ? [] : [dirname(file)];
    return found.kind === 'solve' ? folder : [found.path, ...folder];
  }

  private async holds(found: FoundRun, id: string): Promise<boolean> {
    if (found.kind === 'label') return this.labels.hasProblem(found.path, id);
    if (found.kind === 'solve') return (await this.solves.read(found.path)).id === id;
    return (await this.benches.rowsById(found.path)).has(id);
  }

  private runOf(found: FoundRun): Promise<ViewRun> {
    if (found.kind === 'label') return this.labels.run(found);
    return found.kind === 'solve' ? this.solves.run(found) : this.benches.run(found);
  }

  /** Scans at most once in SCAN_MS: pages ask often. */
  private found(): Promise<FoundRun[]> {
    const now = Date.now();
    if (this.scan && now - this.scan.at < SCAN_MS) return this.scan.runs;
    const runs = this.dir === null ? Promise.resolve([]) : findRuns(this.dir);
    this.scan = { at: now, runs };
    return runs;
  }

  private async find(id: string): Promise<FoundRun> {
    const isThis = (run: FoundRun) => run.id === id;
    const known = (await this.found()).find(isThis);
    if (known) return known;
    // It may have been made since the last scan.
    this.scan = null;
    const runs = await this.found();
    const found = runs.find(isThis);
    if (found) return found;
    const near = nearestName(
      id,
      runs.map((run) => run.id),
    );
    throw new SteptreeError(
      'VIEW_RUN_UNKNOWN',
      `there is no run "${id.slice(0, 200)}" in this folder${near ? `; did you mean "${near}"?` : ''}`,
      { run: id, near },
    );
  }

  private async knownOf(found: FoundRun): Promise<ReadonlyMap<string, KnownProblem>> {
    return this.index.of(await this.problemsFileOf(found));
  }

  private async problemsFileOf(found: FoundRun): Promise<string | null> {
    const own =
      found.kind === 'label'
        ? await this.labels.problemsFile(found.path)
        : found.kind === 'bench'
          ? await this.benches.problemsFile(found.path)
          : null;
    return own ?? this.options.problems ?? null;
  }
}

const SCAN_MS = 1_000;

function unknownProblem(run: string, id: string): SteptreeError {
  return new SteptreeError('VIEW_PROBLEM_UNKNOWN', `run ${run} has no problem "${id}"`, {
    run,
    id,
  });
}
