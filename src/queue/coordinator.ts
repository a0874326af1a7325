import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { Queue } from 'bullmq';
import { emptyUsage } from '../../search/budget.js';
import { errorMessage } from '../../search/errors.js';
import type { TreeJson } from '../../search/labels/tree-json.js';
import { packageVersion } from '../config/version.js';
import { sleep } from '../policy/sleep.js';
import { Gate } from '../runtime/gate.js';
import type { Growth, Labeller, LabellerSnapshot, LabelTask } from '../runtime/labeller.js';
import type { RunStore } from '../runtime/run-store.js';
import { ResultCollector } from './collect.js';
import { Fleet } from './fleet.js';
import { type HandedOut, HandOut, type Insist } from './hand-out.js';
import { jobIdOf } from './job.js';
import { JOBS_PREFIX, runKeys } from './keys.js';
import { type ReconcilePlace, reconcile } from './reconcile.js';
import { beforeEnd, insist, type RedisLink } from './redis.js';
import { liveWorkers } from './registry.js';
import { publishedSpec, type RunSpec } from './spec.js';

export interface CoordinatorSettings {
  readonly link: RedisLink;
  readonly queueName: string;
  /** Problems in the queue or at workers at most; 0 is by what the workers take. */
  readonly window: number;
  readonly spec: RunSpec;
  readonly keepReplies: boolean;
  readonly signal: AbortSignal;
  /** Tells of no workers that come and go, only of what is wrong. */
  readonly quiet: boolean;
  readonly log: (line: string) => void;
}

/** Results are looked for so often. They are a state in Redis, no messages: after a broken connection,
 *  a restart of Redis or of this process there is nothing that could have been missed. */
const LOOK_MS = 200;
/** How often everything that is handed out is compared with what Redis has. */
const COMPARE_MS = 2_000;
const REFRESH_MS = 600_000;
/** Problems handed out before any worker has come, and at least. */
const LEAST_WINDOW = 16;
const WINDOW_PER_PLACE = 4;

/** Hands a run's problems to workers through BullMQ and collects their trees.
 *
 *  The run's own store says what is done; Redis holds only what is under way: the jobs, their
 *  pictures, the replies of unfinished problems, and results until they are settled. All of it but
 *  the replies can be made again from here, and is where Redis has lost it. */
export class QueueLabeller implements Labeller {
  private readonly gate: Gate;
  private readonly queue: Queue;
  private readonly entries = new Map<string, HandedOut>();
  private readonly byOrdinal = new Map<number, HandedOut>();
  private readonly acknowledging = new Set<Promise<void>>();
  private readonly stop = new AbortController();
  private readonly signal: AbortSignal;
  private run: OpenedRun | null = null;
  private readonly fleet: Fleet;
  private readonly warned = new Set<string>();
  private looking: Promise<void> = Promise.resolve();

  constructor(private readonly settings: CoordinatorSettings) {
    const { link, queueName, window, signal, quiet, log } = settings;
    this.fleet = new Fleet(packageVersion(), quiet ? () => {} : log);
    this.gate = new Gate(window || LEAST_WINDOW);
    this.queue = new Queue(queueName, { connection: link.redis, prefix: JOBS_PREFIX });
    // The link has said it already.
    this.queue.on('error', () => {});
    this.signal = AbortSignal.any([signal, this.stop.signal]);
    setMaxListeners(0, this.signal);
  }

  /** Finds the run again in Redis, or makes it known there. */
  async open(store: RunStore): Promise<void> {
    const runId = store.fact<string>('queueRun') ?? randomBytes(8).toString('hex');
    await store.setFact('queueRun', runId);
    const run = this.openRun(runId, store);
    this.run = run;
    await run.handOut.publish();
    await this.compare(run);
    this.looking = this.keepLooking(run);
  }

  enter(): Promise<void> {
    return this.gate.enter();
  }

  leave(): void {
    this.gate.leave();
  }

  start(task: LabelTask): Growth {
    const { ordinal, problem, signal } = task;
    const { runId, handOut } = this.run as OpenedRun;
    const usage = emptyUsage();
    const jobId = jobIdOf(runId, ordinal, problem);
    const tree = new Promise<TreeJson>((resolve, reject) => {
      const entry: HandedOut = { jobId, task, usage, resolve, reject, state: 'new', missing: 0 };
      this.entries.set(jobId, entry);
      this.byOrdinal.set(ordinal, entry);
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      handOut.hand(entry).catch((error: unknown) => {
        if (!this.signal.aborted) reject(error);
      });
    });
    return { usage, tree };
  }

  settled(ordinal: number): void {
    const entry = this.byOrdinal.get(ordinal);
    if (!entry) return;
    this.byOrdinal.delete(ordinal);
    this.entries.delete(entry.jobId);
    const done = (this.run as OpenedRun).handOut
      .takeAway(entry)
      .catch(() => {
        // The run ends; the next start forgets what is settled.
      })
      .finally(() => this.acknowledging.delete(done));
    this.acknowledging.add(done);
  }

  snapshot(): LabellerSnapshot {
    return {
      ...this.fleet.snapshot(this.entries),
      queue: {
        workers: this.fleet.workers().length,
        handedOut: this.entries.size,
        trouble: this.settings.link.trouble(),
      },
    };
  }

  async stats(): Promise<Record<string, unknown>> {
    return {
      queue: this.settings.link.shown,
      workers: this.fleet
        .workers()
        .map(({ name, concurrency, active, maxInFlight, rolloutsPerSecond }) => {
          return { name, concurrency, active, maxInFlight, rolloutsPerSecond };
        }),
    };
  }

  /** Takes back what no worker has begun, so that an interrupted run leaves no work behind; what has
   *  been begun is finished by its worker and collected by the next start. */
  async close(): Promise<void> {
    const { link } = this.settings;
    await beforeEnd(link, CLOSE_MS, Promise.all(this.acknowledging));
    this.stop.abort(new DOMException('closed', 'AbortError'));
    await this.looking.catch(() => {});
    if (this.run) await beforeEnd(link, CLOSE_MS, this.leaveRun(this.run));
    await beforeEnd(link, CLOSE_MS, this.queue.close());
    await link.close();
  }

  private async leaveRun({ handOut }: OpenedRun): Promise<void> {
    if (this.entries.size === 0) await handOut.retire();
    const left = await handOut.withdraw(this.entries.values());
    if (left === 0 || this.settings.quiet) return;
    this.settings.log(
      `${left} problem${left === 1 ? '' : 's'} at workers go on there; the next start collects the results (within a week)`,
    );
  }

  private openRun(runId: string, store: RunStore): OpenedRun {
    const { link, queueName, spec, keepReplies, log } = this.settings;
    const { redis } = link;
    const keys = runKeys(queueName, runId);
    const place = {
      ...{ redis, queue: this.queue, keys, runId, store, keepReplies, log },
      insist: this.insist,
    };
    const handOut = new HandOut({ ...place, spec: publishedSpec(spec) });
    const collector = new ResultCollector(place);
    return { runId, handOut, collector, reconcilePlace: { ...place, handOut } };
  }

  private async keepLooking(run: OpenedRun): Promise<void> {
    let comparedMs = performance.now();
    let refreshedMs = comparedMs;
    while (!this.signal.aborted) {
      try {
        await sleep(LOOK_MS, this.signal);
        await run.collector.collect(this.entries);
        const nowMs = performance.now();
        if (nowMs - comparedMs < COMPARE_MS) continue;
        await this.compare(run);
        comparedMs = performance.now();
        if (nowMs - refreshedMs < REFRESH_MS) continue;
        await run.handOut.refresh();
        refreshedMs = nowMs;
      } catch (error) {
        if (this.signal.aborted) return;
        this.warn(`the queue could not be looked at: ${errorMessage(error)}`);
      }
    }
  }

  /** Which workers are there; and what is handed out against what Redis has. */
  private async compare({ reconcilePlace }: OpenedRun): Promise<void> {
    const { link, queueName } = this.settings;
    this.fleet.update(await this.insist(() => liveWorkers(link.redis, queueName)));
    if (this.settings.window === 0) {
      this.gate.resize(Math.max(LEAST_WINDOW, WINDOW_PER_PLACE * this.fleet.places()));
    }
    await reconcile(this.entries, reconcilePlace);
  }

  private warn(line: string): void {
    if (this.warned.has(line)) return;
    this.warned.add(line);
    this.settings.log(line);
  }

  private readonly insist: Insist = (action) =>
    insist(action, { log: (line) => this.warn(line), signal: this.signal });
}

/** A run whose name in Redis is known. */
interface OpenedRun {
  readonly runId: string;
  readonly handOut: HandOut;
  readonly collector: ResultCollector;
  readonly reconcilePlace: ReconcilePlace;
}

/** A Redis that is away must not keep an interrupted command from ending. */
const CLOSE_MS = 2_000;
