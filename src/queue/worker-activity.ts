/** What a worker has done and does now: for its own live line, and for runs with every heartbeat. */
import { emptyUsage } from '../../search/budget.js';
import type { Usage } from '../../search/types.js';
import type { OpenRun } from './models.js';
import type { WorkerFacts } from './registry.js';

/** What a worker did. Rollouts that came from Redis, of an earlier start of the job, count too. */
export interface WorkerSummary {
  readonly name: string;
  readonly done: number;
  readonly failed: number;
  /** Given back unfinished, with all replies. */
  readonly handedBack: number;
  /** Taken by another worker while this one was away. */
  readonly lost: number;
  readonly rollouts: number;
}

/** What the live line shows. */
export interface WorkerSnapshot extends WorkerSummary {
  readonly active: number;
  readonly concurrency: number;
  readonly inFlight: number;
  readonly maxInFlight: number;
  readonly rolloutsPerSecond: number;
  readonly trouble: string | null;
}

/** A job that a worker has. */
export interface ActiveJob {
  usage: Readonly<Usage>;
  /** Lets the next suspect try. */
  endTurn: () => void;
}

export interface WorkerIdentity {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  /** Problems at once. */
  readonly concurrency: number;
}

/** Time over which rollouts a second are counted. */
const RATE_MS = 15_000;

export class WorkerActivity {
  private readonly jobs = new Map<string, ActiveJob>();
  private readonly counts = { done: 0, failed: 0, handedBack: 0, lost: 0, rollouts: 0 };
  private samples: { atMs: number; rollouts: number }[] = [];

  /** @param opened the runs that are open at this worker */
  constructor(
    private readonly worker: WorkerIdentity,
    private readonly opened: () => readonly OpenRun[],
  ) {}

  get active(): number {
    return this.jobs.size;
  }

  begin(jobId: string): ActiveJob {
    const job = { usage: emptyUsage(), endTurn: () => {} };
    this.jobs.set(jobId, job);
    return job;
  }

  end(jobId: string): void {
    const job = this.jobs.get(jobId);
    if (!job) return;
    job.endTurn();
    this.jobs.delete(jobId);
    this.counts.rollouts += job.usage.rollouts;
  }

  count(what: 'done' | 'failed' | 'handedBack' | 'lost'): void {
    this.counts[what]++;
  }

  /** Notes where the rollouts stand, for the rate. */
  sample(): void {
    const nowMs = performance.now();
    this.samples.push({ atMs: nowMs, rollouts: this.totalRollouts() });
    this.samples = this.samples.filter(({ atMs }) => nowMs - atMs <= RATE_MS);
  }

  summary(): WorkerSummary {
    return { name: this.worker.name, ...this.counts, rollouts: this.totalRollouts() };
  }

  snapshot(trouble: string | null): WorkerSnapshot {
    const { inFlight, maxInFlight } = this.places();
    return {
      ...this.summary(),
      active: this.active,
      concurrency: this.worker.concurrency,
      inFlight,
      maxInFlight,
      rolloutsPerSecond: this.rate(),
      trouble,
    };
  }

  /** For the runs. @param leaving a worker that leaves takes no more */
  facts(leaving: boolean): WorkerFacts {
    const live = Object.fromEntries(
      [...this.jobs].map(([jobId, { usage }]) => [
        jobId,
        { rollouts: usage.rollouts, tokens: usage.policyTokens },
      ]),
    );
    return {
      ...this.worker,
      concurrency: leaving ? 0 : this.worker.concurrency,
      active: this.active,
      ...this.places(),
      rolloutsPerSecond: Math.round(this.rate() * 10) / 10,
      live,
    };
  }

  private places() {
    const stats = this.opened().map(({ scheduler }) => scheduler.stats());
    const sum = (pick: (one: (typeof stats)[number]) => number) =>
      stats.reduce((total, one) => total + pick(one), 0);
    return {
      inFlight: sum(({ inFlight }) => inFlight),
      maxInFlight: sum(({ maxInFlight }) => maxInFlight),
      waiting: sum(({ waiting }) => waiting),
    };
  }

  private totalRollouts(): number {
    const active = [...this.jobs.values()];
    return active.reduce((sum, { usage }) => sum + usage.rollouts, this.counts.rollouts);
  }

  private rate(): number {
    const [first] = this.samples;
    const last = this.samples.at(-1);
    if (!first || !last || last.atMs - first.atMs < 500) return 0;
    return ((last.rollouts - first.rollouts) * 1000) / (last.atMs - first.atMs);
  }
}
