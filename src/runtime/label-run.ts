import { setMaxListeners } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  emptyUsage,
  errorCode,
  errorMessage,
  type Problem,
  SteptreeError,
  type TreeJson,
  type Usage,
} from '../../search/index.js';
import { writeFileAtomic } from '../data/files.js';
import { withStoredPictures } from '../data/pictures.js';
import { type ProblemItem, treeFileName } from '../data/problems.js';
import { labelLines } from './label-problem.js';
import type { LabelRunConfig, LabelRunPorts, RunSnapshot, RunSummary } from './label-run-types.js';
import type { Growth } from './labeller.js';
import { LabelsFile } from './labels-file.js';
import { problemHash } from './problem-hash.js';
import { claimFolder, lockRun, RUN_FILES, writeFailed } from './run-files.js';
import { type FailedRecord, type Failure, type ProblemRecord, RunStore } from './run-store.js';
import { Totals } from './totals.js';

/** Labels every problem that the run's folder has no result for yet.
 *
 *  Each problem is a task of its own at the labeller, here or elsewhere. A problem that fails for
 *  good is recorded with its reason and never stops the others, unless `strict` says so or the
 *  failures come in a row, which means that the server is gone.
 *  @throws SteptreeError RUN_CONFIG_DIFFERS, RUN_LOCKED, RUN_PROBLEM_CHANGED,
 *  POLICY_DOWN, STORE_WRITE_FAILED, FILE_WRITE_FAILED; what is stored stays valid */
export class LabelRun {
  private readonly totals = new Totals();
  private readonly startedMs: number;
  private readonly live = new Set<Growth>();
  private readonly abort = new AbortController();
  private readonly signal: AbortSignal;
  private earlierSeconds = 0;
  private settledBefore = 0;
  private replayed = 0;
  private sessionRollouts = 0;
  private sessionTokens = 0;
  private total: number | null = null;
  private failuresInARow = 0;
  private failedDirty = true;
  private checkpointing: Promise<void> = Promise.resolve();

  constructor(
    private readonly config: LabelRunConfig,
    private readonly ports: LabelRunPorts,
  ) {
    this.startedMs = ports.now();
    this.signal = AbortSignal.any([ports.signal, this.abort.signal]);
    // Every call in flight listens to it; hundreds are no leak.
    setMaxListeners(0, this.signal);
  }

  /** Runs to the end, to an interruption by the signal, or to the first fatal error. */
  async run(): Promise<RunSummary> {
    const unlock = lockRun(this.config.dir, RUN_FILES.trees);
    try {
      const store = new RunStore(join(this.config.dir, RUN_FILES.store));
      try {
        const { dir, identity, identityDefaults } = this.config;
        await claimFolder(store, dir, identity, identityDefaults);
        this.earlierSeconds = store.fact<number>('seconds') ?? 0;
        return await this.runWith(store);
      } finally {
        await store.close();
      }
    } finally {
      unlock();
    }
  }

  snapshot(): RunSnapshot {
    const live = [...this.live];
    const sum = (pick: (growth: Growth) => number) =>
      live.reduce((total, growth) => total + pick(growth), 0);
    const {
      unseenRollouts,
      unseenTokens,
      idleSeconds = 0,
      ...places
    } = this.ports.labeller.snapshot();
    return {
      ...this.summary('running'),
      active: live.length,
      ...places,
      sessionRollouts: this.sessionRollouts + sum(({ usage }) => usage.rollouts) + unseenRollouts,
      sessionTokens: this.sessionTokens + sum(({ usage }) => usage.policyTokens) + unseenTokens,
      sessionSeconds: Math.max(0, (this.ports.now() - this.startedMs) / 1000 - idleSeconds),
      settledBefore: this.settledBefore,
    };
  }

  /** Problems of the file that could not be used. */
  get badInput(): number {
    return this.totals.badInput;
  }

  /** How many problems there are, once somebody has counted them. */
  setTotal(total: number): void {
    this.total = this.config.limit > 0 ? Math.min(total, this.config.limit) : total;
  }

  private async runWith(store: RunStore): Promise<RunSummary> {
    for (const { value } of store.allProblems()) this.totals.add(value);
    this.settledBefore = this.totals.done + this.totals.failed;
    const labels = await LabelsFile.open(
      join(this.config.dir, RUN_FILES.labels),
      store,
      (treeFile) => this.linesOfFile(treeFile),
    );
    const timer = setInterval(() => {
      this.checkpointing = this.checkpointing.then(() => this.checkpoint(store, 'running'));
    }, CHECKPOINT_MS);
    let outcome: RunSummary['status'] = 'stopped';
    try {
      await this.checkpoint(store, 'running');
      await this.ports.labeller.open?.(store);
      await this.labelAll(store, labels);
      outcome = this.ports.signal.aborted ? 'interrupted' : 'done';
    } catch (error) {
      this.stopFor(error);
    } finally {
      clearInterval(timer);
      await this.checkpointing;
      await labels.close().catch((error: unknown) => this.stopFor(error));
      this.failedDirty = true;
      await this.checkpoint(store, this.abort.signal.aborted ? 'stopped' : outcome);
    }
    if (this.abort.signal.aborted) throw this.abort.signal.reason;
    return this.summary(outcome);
  }

  private async labelAll(store: RunStore, labels: LabelsFile): Promise<void> {
    const tasks = new Set<Promise<void>>();
    let ordinal = 0;
    try {
      for await (const item of this.ports.problems) {
        if (this.signal.aborted) break;
        if (this.config.limit > 0 && ordinal >= this.config.limit) break;
        const place = ordinal++;
        if (await this.isSettled(place, item, store, labels)) continue;
        await this.ports.labeller.enter();
        if (this.signal.aborted) break;
        const task = this.labelOne(place, item, store, labels)
          .catch((error: unknown) => this.stopFor(error))
          .finally(() => {
            tasks.delete(task);
            this.ports.labeller.leave();
          });
        tasks.add(task);
      }
      if (!this.signal.aborted) this.setTotal(ordinal);
    } catch (error) {
      this.stopFor(error);
    }
    await Promise.all(tasks);
  }

  /** The first fatal error ends the run; the others that follow from it are not reported. */
  private stopFor(error: unknown): void {
    if (!this.signal.aborted) this.abort.abort(error);
  }

  /** Whether nothing is left to do for a problem: done in an earlier session, or bad input. */
  private async isSettled(
    ordinal: number,
    item: ProblemItem,
    store: RunStore,
    labels: LabelsFile,
  ): Promise<boolean> {
    const known = store.problem(ordinal);
    if (known?.status === 'done') {
      if (isStill(known, item)) return true;
      const { id } = 'rejected' in item ? item.rejected : item.problem;
      throw new SteptreeError(
        'RUN_PROBLEM_CHANGED',
        `problem ${ordinal + 1} is "${id}" now, but ${this.config.dir} holds results of "${known.id}" with another content; use the original file or another --out`,
        { ordinal, id, knownId: known.id },
      );
    }
    if ('rejected' in item) {
      const failure: Failure = { kind: 'input', ...item.rejected };
      await this.recordFailure(
        ordinal,
        { failure, contentHash: '', usage: emptyUsage() },
        store,
        labels,
      );
      if (this.config.strict)
        throw new SteptreeError(failure.code, failure.message, { ...failure });
      return true;
    }
    return false;
  }

  private async labelOne(
    ordinal: number,
    item: ProblemItem,
    store: RunStore,
    labels: LabelsFile,
  ): Promise<void> {
    if ('rejected' in item) return;
    const { problem } = item;
    const { labeller } = this.ports;
    let growth = NOT_STARTED;
    try {
      const { options, seed } = this.config;
      const named = await withStoredPictures(problem, this.config.dir);
      await store.beginProblem(ordinal, problemHash(problem));
      growth = labeller.start({ ordinal, problem, named, store, signal: this.signal });
      this.live.add(growth);
      const tree = await growth.tree;
      const treeFile = treeFileName(problem.id);
      const lines = labelLines(tree, options, seed);
      const text = `${JSON.stringify(tree)}\n`;
      await writeFileAtomic(join(this.config.dir, RUN_FILES.trees, treeFile), text);
      await labels.offer(ordinal, lines);
      await this.settle(ordinal, store, {
        status: 'done',
        id: problem.id,
        contentHash: problemHash(problem),
        treeFile,
        usage: growth.usage,
        labels: lines.length,
      });
      labels.settled(ordinal);
      labeller.settled?.(ordinal);
      this.failuresInARow = 0;
      this.ports.onTree?.(tree);
    } catch (error) {
      await this.takeFailure(ordinal, { problem, usage: growth.usage, error }, store, labels);
    } finally {
      this.live.delete(growth);
      this.sessionRollouts += growth.usage.rollouts;
      this.sessionTokens += growth.usage.policyTokens;
      this.replayed += growth.usage.replayed;
    }
  }

  /** An interrupted problem is no failure; an error of the store or the disk ends the run; any
   *  other error is this problem's own. */
  private async takeFailure(
    ordinal: number,
    { problem, usage, error }: { problem: Problem; usage: Readonly<Usage>; error: unknown },
    store: RunStore,
    labels: LabelsFile,
  ): Promise<void> {
    if (this.signal.aborted) return;
    const code = errorCode(error);
    if (FATAL_CODES.has(code)) throw error;
    const failure: Failure = { kind: 'run', id: problem.id, code, message: errorMessage(error) };
    await this.recordFailure(
      ordinal,
      { failure, contentHash: problemHash(problem), usage },
      store,
      labels,
    );
    this.ports.labeller.settled?.(ordinal);
    this.failuresInARow++;
    if (this.config.strict) throw error;
    if (this.failuresInARow >= this.config.maxFailuresInARow) {
      throw new SteptreeError(
        'POLICY_DOWN',
        `${this.failuresInARow} problems failed one after the other, the last with: ${failure.message}; the run is stopped, bring the server back and run the same command again`,
        { failures: this.failuresInARow, code },
        { cause: error },
      );
    }
  }

  private async recordFailure(
    ordinal: number,
    facts: Pick<FailedRecord, 'failure' | 'contentHash' | 'usage'>,
    store: RunStore,
    labels: LabelsFile,
  ): Promise<void> {
    this.failedDirty = true;
    const record: FailedRecord = { status: 'failed', id: facts.failure.id ?? '', ...facts };
    // Replies of a failed problem are kept: another try continues from them.
    await this.settle(ordinal, store, record, true);
    labels.settled(ordinal);
  }

  private async settle(
    ordinal: number,
    store: RunStore,
    record: ProblemRecord,
    keepReplies = this.config.keepReplies,
  ): Promise<void> {
    const before = store.problem(ordinal);
    if (before) this.totals.retract(before);
    await store.finish(ordinal, record, { keepReplies });
    this.totals.add(record);
  }

  private async linesOfFile(treeFile: string): Promise<readonly string[]> {
    const text = await readFile(join(this.config.dir, RUN_FILES.trees, treeFile), 'utf8');
    return labelLines(JSON.parse(text) as TreeJson, this.config.options, this.config.seed);
  }

  /** Brings the readable files level with the store. */
  private async checkpoint(store: RunStore, status: RunSummary['status']): Promise<void> {
    try {
      if (this.failedDirty) {
        this.failedDirty = false;
        await writeFailed(this.config.dir, store);
      }
      await store.setFact('seconds', this.seconds());
      await this.writeRunFile(status);
    } catch (error) {
      this.stopFor(error);
    }
  }

  private async writeRunFile(status: RunSummary['status']): Promise<void> {
    const { identity, facts } = this.config;
    const policyStats = await this.ports.labeller.stats();
    const run = { ...facts, config: identity, ...this.summary(status), policyStats };
    await writeFileAtomic(
      join(this.config.dir, RUN_FILES.run),
      `${JSON.stringify(run, null, 2)}\n`,
    );
  }

  private seconds(): number {
    return this.earlierSeconds + (this.ports.now() - this.startedMs) / 1000;
  }

  private summary(status: RunSummary['status']): RunSummary {
    const { done, failed, labels, usage } = this.totals;
    return {
      status,
      problems: { done, failed, total: this.total },
      labels,
      rollouts: usage.rollouts,
      policyTokens: usage.policyTokens,
      promptTokens: usage.promptTokens,
      cachedTokens: usage.cachedTokens,
      criticTokens: usage.criticTokens,
      calls: usage.calls,
      ungraded: usage.ungraded,
      replayed: this.replayed,
      seconds: Math.round(this.seconds() * 10) / 10,
    };
  }
}

/** What is labelled stays so, also where its line or its picture can't be used any more. */
function isStill(known: ProblemRecord, item: ProblemItem): boolean {
  if ('rejected' in item) return (item.rejected.id ?? known.id) === known.id;
  return known.contentHash === problemHash(item.problem);
}

/** How often run.json and failed.jsonl follow the store while a run goes on. */
const CHECKPOINT_MS = 5_000;

/** Errors that are nobody's problem in particular. */
const FATAL_CODES = new Set(['STORE_WRITE_FAILED', 'FILE_WRITE_FAILED', 'STORE_OPEN_FAILED']);

/** A problem whose pictures could not be stored. */
const NOT_STARTED: Growth = { usage: emptyUsage(), tree: new Promise(() => {}) };
