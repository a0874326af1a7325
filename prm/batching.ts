/** Paths of many trees, gathered into batches within a bound of time. */
import { errorMessage, SteptreeError } from '../search/errors.js';
import type { Problem, Step } from '../search/types.js';
import type { PathHost, PathJob, ScoredPath } from './ports.js';

export interface BatchLimits {
  /** Paths in one call of the host at most; the host's own `batchSize` bounds it too. */
  readonly maxBatch: number;
  /** A path waits this long for company, ms; hosts whose calls hold one path don't wait. */
  readonly maxWaitMs: number;
  /** Paths that the host works on at once. */
  readonly maxInFlight: number;
}

/** Calls `fire` after `ms` unless the returned function is called before. */
export type After = (ms: number, fire: () => void) => () => void;

export const systemAfter: After = (ms, fire) => {
  const timer = setTimeout(fire, ms);
  return () => clearTimeout(timer);
};

interface Entry {
  readonly job: PathJob;
  readonly abort: AbortController;
  readonly settle: (outcome: ScoredPath | Failure) => void;
}

interface Failure {
  readonly error: unknown;
}

/** A path on its way. */
export interface Submission {
  readonly done: Promise<ScoredPath>;
  /** Takes it out of the queue, or tells the host; `done` rejects with the reason at once. */
  cancel(reason: unknown): void;
}

/** Feeds a host with batches: as soon as one is full, or its first path has waited long enough.
 *  While the host is busy paths wait, and so gather by themselves. */
export class PathBatcher {
  private waiting: Entry[] = [];
  private readonly working = new Set<Entry>();
  private stopTimer: (() => void) | null = null;
  /** The first path waiting has waited long enough. */
  private due = false;
  private closing: Promise<void> | null = null;
  private batches = 0;
  private largest = 0;
  private readonly batchSize: number;

  constructor(
    private readonly host: PathHost,
    private readonly limits: BatchLimits,
    private readonly after: After,
  ) {
    this.batchSize = Math.max(1, Math.min(limits.maxBatch, host.batchSize, limits.maxInFlight));
  }

  get closed(): boolean {
    return this.closing !== null;
  }

  stats() {
    return {
      waiting: this.waiting.length,
      inFlight: this.working.size,
      batches: this.batches,
      largestBatch: this.largest,
    };
  }

  submit(problem: Problem, steps: readonly Step[]): Submission {
    const abort = new AbortController();
    let settle: Entry['settle'] = () => {};
    const done = new Promise<ScoredPath>((resolve, reject) => {
      settle = (outcome) => ('error' in outcome ? reject(outcome.error) : resolve(outcome));
    });
    const entry: Entry = { job: { problem, steps, signal: abort.signal }, abort, settle };
    if (this.closed) {
      settle({ error: this.closedError() });
    } else {
      this.waiting.push(entry);
      this.pump();
    }
    return { done, cancel: (reason) => this.drop(entry, reason) };
  }

  /** Fails what waits and what is under way, then closes the host. Idempotent. */
  close(): Promise<void> {
    if (this.closing === null) {
      const error = this.closedError();
      for (const entry of [...this.waiting, ...this.working]) this.drop(entry, error);
      this.closing = this.host.close();
    }
    return this.closing;
  }

  private pump(): void {
    while (this.waiting.length > 0) {
      const size = Math.min(this.batchSize, this.waiting.length);
      if (size < this.batchSize && !this.due) {
        this.stopTimer ??= this.after(this.limits.maxWaitMs, () => this.expire());
        return;
      }
      // Room for the whole batch, or a busy host would be fed in crumbs.
      if (this.working.size + size > this.limits.maxInFlight) return;
      this.dispatch(this.waiting.splice(0, size));
    }
    this.resetTimer();
  }

  private expire(): void {
    this.stopTimer = null;
    this.due = true;
    this.pump();
  }

  private resetTimer(): void {
    this.stopTimer?.();
    this.stopTimer = null;
    this.due = false;
  }

  private dispatch(batch: readonly Entry[]): void {
    this.batches++;
    this.largest = Math.max(this.largest, batch.length);
    for (const entry of batch) this.working.add(entry);
    const promises = this.ask(batch.map((entry) => entry.job));
    batch.forEach((entry, index) => {
      promises[index]?.then(
        (scored) => this.finish(entry, scored),
        (error: unknown) => this.finish(entry, { error: this.hostError(error) }),
      );
    });
  }

  /** One promise per job, whatever the host does. */
  private ask(jobs: readonly PathJob[]): readonly Promise<ScoredPath>[] {
    try {
      const promises = this.host.scorePaths(jobs);
      if (promises.length === jobs.length) return promises;
      for (const promise of promises) promise.catch(() => {});
      throw new Error(`it took ${promises.length} of ${jobs.length} paths`);
    } catch (error) {
      return jobs.map(() => Promise.reject(error));
    }
  }

  private finish(entry: Entry, outcome: ScoredPath | Failure): void {
    // Already dropped: nobody wants it any more, and its place has been given back.
    if (!this.working.delete(entry)) return;
    entry.settle(outcome);
    if ('error' in outcome) entry.abort.abort(outcome.error);
    this.pump();
  }

  private drop(entry: Entry, reason: unknown): void {
    const place = this.waiting.indexOf(entry);
    if (place >= 0) this.waiting.splice(place, 1);
    else if (!this.working.delete(entry)) return;
    entry.abort.abort(reason);
    entry.settle({ error: reason });
    if (this.closing === null) this.pump();
  }

  private hostError(error: unknown): unknown {
    if (error instanceof SteptreeError) return error;
    return new SteptreeError(
      'SCORE_HOST_FAILED',
      `${this.host.name} failed: ${errorMessage(error)}; the paths it was working on have no scores`,
      { host: this.host.name, reason: errorMessage(error) },
      { cause: error },
    );
  }

  private closedError(): SteptreeError {
    return new SteptreeError(
      'SCORE_HOST_CLOSED',
      `${this.host.name} was closed; scores must be asked for before close()`,
      { host: this.host.name },
    );
  }
}
