import { join } from 'node:path';
import { errorCode, errorMessage } from '../../search/errors.js';
import type { Budget } from '../../search/index.js';
import type { Candidate } from '../../search/strategies/result.js';
import type {
  AnswerGrouper,
  Critic,
  Problem,
  SamplingOptions,
  StepScorer,
  Verdict,
  VerdictKind,
  Verifier,
} from '../../search/types.js';
import { writeFileAtomic } from '../data/files.js';
import { Gate } from '../runtime/gate.js';
import { claimFolder, lockRun, RUN_FILES } from '../runtime/run-files.js';
import { RunStore } from '../runtime/run-store.js';
import type { SkippingPolicy } from '../runtime/scheduler.js';
import { gradeCandidates, solveProblem } from '../runtime/solve.js';
import type { Groups } from '../sets/types.js';
import type { Cell } from './cells.js';
import { expectedCorrect, isPooled } from './subsample.js';

/** What one cell made of one problem with one seed: a line of results.jsonl. */
export interface BenchRow {
  readonly strategy: string;
  readonly n: number;
  readonly seed: number;
  readonly id: string;
  /** Of the chosen answer against the gold answer; `different` where none was chosen. */
  readonly verdict: VerdictKind;
  readonly correct: boolean;
  /** Whether some candidate is right. */
  readonly oracle: boolean;
  readonly answer: string | null;
  readonly gold: string;
  readonly policyTokens: number;
  readonly prmTokens: number;
  readonly criticTokens: number;
  readonly calls: number;
  /** Of the calls that this cell made first; those that an earlier cell had made take no time. */
  readonly seconds: number;
  readonly stopped: string;
  readonly warnings: readonly string[];
  /** Groups that the set's authors report, by axis. */
  readonly groups?: Groups;
  /** Chance of a right answer at this N, over subsets of the pool of the strategy's largest N. */
  readonly expected?: number;
}

export interface BenchConfig {
  readonly dir: string;
  readonly cells: readonly Cell[];
  readonly seeds: readonly number[];
  readonly sampling: SamplingOptions;
  readonly budget: Budget;
  /** Problems under way at the same time. */
  readonly concurrency: number;
  /** What decides the results; a folder made with another one is refused. */
  readonly identity: Readonly<Record<string, unknown>>;
}

export interface BenchPorts {
  readonly problems: readonly Problem[];
  /** Behind one queue (`ScheduledPolicy`), since hundreds of problems ask it at once. */
  readonly policy: SkippingPolicy;
  readonly scorer?: StepScorer;
  readonly critic?: Critic;
  readonly grouper: AnswerGrouper;
  readonly verifier: Verifier;
  readonly groupsOf?: (problem: Problem) => Groups;
  readonly signal: AbortSignal;
  readonly now: () => number;
}

export interface BenchFailure {
  readonly id: string;
  readonly seed: number;
  readonly code: string;
  readonly message: string;
}

export interface BenchOutcome {
  /** By seed, problem, cell. */
  readonly rows: readonly BenchRow[];
  /** Problems of this session whose calls failed for good; the same command tries them again. */
  readonly failures: readonly BenchFailure[];
}

/** Runs every cell on every problem with every seed, and resumes.
 *
 *  All cells of one problem and seed share one set of stored replies. Sample i of a state has the
 *  same seed whoever asks, so best-of-32 pays for what majority@16 drew already, and two strategies
 *  are compared on the same samples. A cell's own cost counts what it used, shared or not. */
export class BenchRun {
  private readonly failures: BenchFailure[] = [];
  private readonly fatal = new AbortController();
  private readonly signal: AbortSignal;
  private finished = 0;

  constructor(
    private readonly config: BenchConfig,
    private readonly ports: BenchPorts,
  ) {
    this.signal = AbortSignal.any([ports.signal, this.fatal.signal]);
  }

  /** Of problems times seeds. */
  get progress(): { done: number; failed: number } {
    return { done: this.finished, failed: this.failures.length };
  }

  /** @throws SteptreeError RUN_LOCKED, RUN_CONFIG_DIFFERS, STORE_OPEN_FAILED, STORE_WRITE_FAILED,
   *  FILE_WRITE_FAILED; the signal's reason if it was aborted */
  async run(): Promise<BenchOutcome> {
    const { dir, identity } = this.config;
    const unlock = lockRun(dir);
    try {
      const store = new RunStore(join(dir, RUN_FILES.store));
      try {
        await claimFolder(store, dir, identity);
        await this.runAll(store);
        this.signal.throwIfAborted();
        const rows = this.allRows(store);
        const text = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
        await writeFileAtomic(join(dir, 'results.jsonl'), text);
        return { rows, failures: this.failures };
      } finally {
        await store.close();
      }
    } finally {
      unlock();
    }
  }

  private async runAll(store: RunStore): Promise<void> {
    const gate = new Gate(this.config.concurrency);
    const tasks: Promise<void>[] = [];
    for (const { ordinal, problem, seed } of this.work()) {
      if (store.rows(ordinal) !== undefined) {
        this.finished++;
        continue;
      }
      await gate.enter();
      if (this.signal.aborted) break;
      tasks.push(this.settle(store, ordinal, problem, seed).finally(() => gate.leave()));
    }
    await Promise.all(tasks);
  }

  private *work(): Iterable<{ ordinal: number; problem: Problem; seed: number }> {
    let ordinal = 0;
    for (const seed of this.config.seeds) {
      for (const problem of this.ports.problems) yield { ordinal: ordinal++, problem, seed };
    }
  }

  private async settle(
    store: RunStore,
    ordinal: number,
    problem: Problem,
    seed: number,
  ): Promise<void> {
    try {
      const graded: GradedCell[] = [];
      for (const cell of this.config.cells) {
        graded.push(await this.rowOf(store, { ordinal, problem, seed, cell }));
      }
      await store.finishRows(ordinal, withExpected(graded, this.ports.scorer?.setwise === true));
      this.finished++;
    } catch (error) {
      if (this.signal.aborted) return;
      const code = errorCode(error);
      if (code === 'STORE_WRITE_FAILED') this.fatal.abort(error);
      this.failures.push({ id: problem.id, seed, code, message: errorMessage(error) });
    }
  }

  private async rowOf(
    store: RunStore,
    work: { ordinal: number; problem: Problem; seed: number; cell: Cell },
  ): Promise<GradedCell> {
    const { ordinal, problem, seed, cell } = work;
    const { policy, scorer, critic, grouper, verifier, now } = this.ports;
    const startedMs = now();
    const result = await solveProblem(problem, {
      strategy: cell.strategy,
      options: cell.options,
      policy,
      grouper,
      ...(scorer ? { scorer } : {}),
      ...(critic ? { critic } : {}),
      store: store.repliesOf(ordinal),
      seed,
      sampling: this.config.sampling,
      budget: this.config.budget,
      signal: this.signal,
      now,
    });
    const seconds = (now() - startedMs) / 1000;
    const { verdict, candidates } = await gradeCandidates(problem, result, verifier, this.signal);
    const { usage, answer, stopped, warnings } = result;
    const { policyTokens, prmTokens, criticTokens, calls } = usage;
    const row: BenchRow = {
      strategy: cell.label,
      n: cell.n,
      seed,
      id: problem.id,
      verdict: verdict.verdict,
      correct: verdict.verdict === 'equal',
      oracle: candidates.some((one) => one.verdict === 'equal'),
      answer,
      gold: problem.answer ?? '',
      policyTokens,
      prmTokens,
      criticTokens,
      calls,
      seconds,
      stopped,
      warnings,
      ...(this.ports.groupsOf ? { groups: this.ports.groupsOf(problem) } : {}),
    };
    return { cell, row, candidates: result.candidates, verdicts: candidates };
  }

  private allRows(store: RunStore): BenchRow[] {
    return [...this.work()].flatMap(({ ordinal }) => store.rows<BenchRow>(ordinal) ?? []);
  }
}

interface GradedCell {
  readonly cell: Cell;
  readonly row: BenchRow;
  readonly candidates: readonly Candidate[];
  /** One per candidate. */
  readonly verdicts: readonly Verdict[];
}

/** Rows of strategies that choose among independent samples learn from the largest pool of their kind. */
function withExpected(graded: readonly GradedCell[], isSetwise: boolean): BenchRow[] {
  const largest = new Map<string, GradedCell>();
  for (const one of graded) {
    const known = largest.get(one.cell.label);
    if (isPooled(one.cell, isSetwise) && one.cell.n > (known?.cell.n ?? 1))
      largest.set(one.cell.label, one);
  }
  return graded.map(({ cell, row }) => {
    const pool = largest.get(cell.label);
    if (!pool) return row;
    const seed = `${row.id} ${row.seed}`;
    const expected = expectedCorrect(cell, cell.n, pool.candidates, pool.verdicts, seed);
    return expected === null ? row : { ...row, expected };
  });
}
