/** The workers of a queue as a run sees them: who is there, what they do, who came and went. */
import type { LabellerSnapshot } from '../runtime/labeller.js';
import type { HandedOut } from './hand-out.js';
import type { WorkerFacts } from './registry.js';

/** Looks in a row after which a worker is gone: one may fall between a restart of Redis and a heartbeat. */
const MISSED_LOOKS = 2;

interface Known {
  facts: WorkerFacts;
  missed: number;
}

export class Fleet {
  private readonly known = new Map<string, Known>();
  private idleMs = 0;
  private lookedMs: number;

  /** @param version the run's Steptree
   *  @param log told of every worker that comes or goes */
  constructor(
    private readonly version: string,
    private readonly log: (line: string) => void,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.lookedMs = now();
  }

  /** @param live who gave a sign of life lately */
  update(live: readonly WorkerFacts[]): void {
    const nowMs = this.now();
    if (this.known.size === 0) this.idleMs += nowMs - this.lookedMs;
    this.lookedMs = nowMs;
    const missing = new Set(this.known.keys());
    for (const facts of live) {
      missing.delete(facts.id);
      if (!this.known.has(facts.id)) this.log(arrivalText(facts, this.version));
      this.known.set(facts.id, { facts, missed: 0 });
    }
    for (const id of missing) {
      const one = this.known.get(id) as Known;
      if (++one.missed < MISSED_LOOKS) continue;
      this.known.delete(id);
      this.log(departureText(one.facts));
    }
  }

  workers(): readonly WorkerFacts[] {
    return [...this.known.values()].map(({ facts }) => facts);
  }

  /** Problems that all of them take at once. */
  places(): number {
    return this.sum(({ concurrency }) => concurrency);
  }

  /** @param entries what this run has handed out, by job id */
  snapshot(entries: ReadonlyMap<string, HandedOut>): Omit<LabellerSnapshot, 'queue'> {
    const spent = this.spentOn(entries);
    return {
      active: Math.min(
        entries.size,
        this.sum(({ active }) => active),
      ),
      inFlight: this.sum(({ inFlight }) => inFlight),
      maxInFlight: this.sum(({ maxInFlight }) => maxInFlight),
      waiting: this.sum(({ waiting }) => waiting),
      unseenRollouts: spent.rollouts,
      unseenTokens: spent.tokens,
      idleSeconds: this.idleMs / 1000,
    };
  }

  /** On problems of the run whose results have not been fetched: the others' are counted there. A job that
   *  changed hands may be told of by two workers, each with all that was spent on it. */
  private spentOn(entries: ReadonlyMap<string, HandedOut>) {
    const byJob = new Map<string, { rollouts: number; tokens: number }>();
    for (const { live } of this.workers()) {
      for (const [jobId, spent] of Object.entries(live)) {
        if (entries.get(jobId)?.state !== 'handed') continue;
        if (spent.rollouts >= (byJob.get(jobId)?.rollouts ?? 0)) byJob.set(jobId, spent);
      }
    }
    const all = [...byJob.values()];
    return {
      rollouts: all.reduce((sum, { rollouts }) => sum + rollouts, 0),
      tokens: all.reduce((sum, { tokens }) => sum + tokens, 0),
    };
  }

  private sum(pick: (worker: WorkerFacts) => number): number {
    return this.workers().reduce((total, worker) => total + pick(worker), 0);
  }
}

function arrivalText({ name, version, concurrency }: WorkerFacts, own: string): string {
  return version === own
    ? `worker ${name} is here: ${problems(concurrency)} at once`
    : `worker ${name} is Steptree ${version}, this run ${own}: it can't help`;
}

/** A worker that stops takes no more; one that was killed or cut off said nothing. */
function departureText({ name, concurrency, active }: WorkerFacts): string {
  return concurrency === 0 || active === 0
    ? `worker ${name} has left`
    : `worker ${name} is gone, others take over its ${problems(active)}`;
}

function problems(count: number): string {
  return `${count} problem${count === 1 ? '' : 's'}`;
}
