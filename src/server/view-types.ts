/** What the viewer's JSON holds: `/api/view/...` and the data inside a self-contained page. Types
 *  only, so that the page (web/) shares them. */
import type { TreeJson } from '../../search/labels/tree-json.js';
import type { SearchState } from '../../search/strategies/result.js';
import type { VerdictKind } from '../../search/types.js';

/** `label`: a folder of `steptree label`. `solve`: a file of `steptree solve --out`. `bench`: a
 *  folder of `steptree bench run`. */
export type RunKind = 'label' | 'solve' | 'bench';

/** `lost`: its run.json says that it runs, but its process has ended. */
export type RunStatus = 'running' | 'done' | 'stopped' | 'interrupted' | 'lost';

export interface ViewRun {
  /** Its path inside the viewed folder with `/` between names; `.` is the folder itself. */
  readonly id: string;
  readonly kind: RunKind;
  /** The labeller's or the strategy's name; strategies of a benchmark joined by commas. */
  readonly method: string;
  readonly policy: string;
  readonly seed: number | null;
  readonly status: RunStatus;
  /** `total` is null while nobody has counted them. */
  readonly problems: {
    readonly done: number;
    readonly failed: number;
    readonly total: number | null;
  };
  /** Totals; null where the file doesn't hold them. */
  readonly labels: number | null;
  readonly rollouts: number | null;
  readonly policyTokens: number | null;
  readonly seconds: number | null;
  /** Last change of its files, milliseconds since 1970. */
  readonly changedMs: number;
}

/** One problem of a run, as the table shows it. */
export interface ViewProblemRow {
  readonly id: string;
  readonly question: string;
  /** Family, set or category, from the problem's metadata. */
  readonly group: string | null;
  readonly gold: string | null;
  readonly status: 'done' | 'failed';
  /** Label: share of the question's rollouts that are right. Solve: share of graded candidates
   *  that are. Bench: share of rows that are. In [0, 1]; null where nothing was graded. */
  readonly value: number | null;
  readonly interval: readonly [number, number] | null;
  readonly states: number;
  readonly rollouts: number;
  readonly stopped: string;
  /** Of the chosen answer; label runs choose none. */
  readonly verdict: VerdictKind | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

export interface ViewRunDetail {
  readonly run: ViewRun;
  /** The run's configuration as its file holds it. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly problems: readonly ViewProblemRow[];
  /** Benchmarks: the rows of their summary, one a strategy and N. */
  readonly cells: readonly ViewCell[];
  /** Machines that grow its trees now; absent where the run's own process does. */
  readonly workers?: readonly ViewWorker[];
}

/** A `steptree worker` that serves a run's queue, as of a few seconds ago. */
export interface ViewWorker {
  readonly name: string;
  /** Problems that it takes at once, of whatever run; 0 once it leaves. */
  readonly concurrency: number;
  readonly active: number;
  readonly rolloutsPerSecond: number;
}

/** A strategy at one N over all problems of a benchmark; shares in [0, 1]. */
export interface ViewCell {
  readonly cell: string;
  readonly accuracy: { readonly mean: number; readonly low: number; readonly high: number };
  readonly oracle: { readonly mean: number; readonly low: number; readonly high: number };
  readonly policyTokens: number;
  readonly prmTokens: number;
}

interface ViewProblemBase {
  readonly run: string;
  readonly id: string;
  readonly question: string;
  readonly gold: string | null;
  readonly group: string | null;
  /** How many pictures can be asked for. */
  readonly images: number;
}

/** OmegaPRM's options that decide Q and U; see search/labels/candidate-pool.ts. */
export interface ViewPuct {
  readonly cPuct: number;
  readonly alpha: number;
  readonly beta: number;
  readonly lengthScale: number;
}

export interface ViewLabelProblem extends ViewProblemBase {
  readonly kind: 'label';
  readonly tree: TreeJson;
  readonly puct: ViewPuct | null;
}

/** The parts of `steptree solve --json` that the page draws. */
export interface ViewSolveReport {
  readonly strategy: string;
  readonly answer: string | null;
  readonly chosen: number | null;
  readonly candidates: readonly ViewCandidate[];
  readonly votes: readonly {
    readonly answer: string;
    readonly votes: number;
    readonly weight: number;
  }[];
  readonly stopped: string;
  readonly warnings: readonly string[];
  readonly usage: Readonly<Record<string, number>>;
  readonly elapsedMs: number;
  /** The tree of a search that keeps one (`mcts`). */
  readonly states?: readonly SearchState[];
}

export interface ViewCandidate {
  readonly steps: readonly string[];
  readonly answer: string | null;
  readonly score: number | null;
  readonly stepScores: readonly number[] | null;
  readonly outcome?: number;
  readonly origin?: string;
  readonly parent?: number;
  readonly finish?: string;
  readonly policyTokens?: number;
  readonly verdict: VerdictKind | null;
}

export interface ViewSolveProblem extends ViewProblemBase {
  readonly kind: 'solve';
  readonly report: ViewSolveReport;
}

/** A line of a benchmark's results.jsonl. */
export interface ViewBenchRow {
  readonly strategy: string;
  readonly n: number;
  readonly seed: number;
  readonly verdict: VerdictKind;
  readonly oracle: boolean;
  readonly answer: string | null;
  readonly policyTokens: number;
  readonly prmTokens: number;
  readonly stopped: string;
  readonly warnings: readonly string[];
}

export interface ViewBenchProblem extends ViewProblemBase {
  readonly kind: 'bench';
  readonly rows: readonly ViewBenchRow[];
}

export type ViewProblem = ViewLabelProblem | ViewSolveProblem | ViewBenchProblem;

/** What `steptree view --html` puts into its page. */
export interface ViewBundle {
  readonly runs: readonly ViewRun[];
  readonly details: Readonly<Record<string, ViewRunDetail>>;
  /** By `run` and then by problem id. */
  readonly problems: Readonly<Record<string, Readonly<Record<string, ViewProblem>>>>;
  /** `data:` URLs by `bundleImageKey`. */
  readonly images: Readonly<Record<string, string>>;
}
