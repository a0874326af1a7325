import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { hostname } from 'node:os';
import { type Job, WaitingError, Worker } from 'bullmq';
import { errorMessage } from '../../search/index.js';
import { packageVersion } from '../config/version.js';
import { sleep } from '../policy/sleep.js';
import { JobGrower } from './grow-job.js';
import type { JobData } from './job.js';
import { JobLost, type JobPlace } from './job-replies.js';
import { JOBS_PREFIX, runKeys } from './keys.js';
import { type OpenRun, OpenRuns, openRun, type WorkerOverrides } from './models.js';
import { beforeEnd, insist, type RedisLink } from './redis.js';
import { deregister } from './registry.js';
import { QueueScripts } from './scripts.js';
import { type PublishedSpec, readSpec } from './spec.js';
import { WorkerActivity, type WorkerSnapshot, type WorkerSummary } from './worker-activity.js';

export interface WorkerSettings {
  readonly link: RedisLink;
  readonly queueName: string;
  readonly name: string;
  /** Problems at once. */
  readonly concurrency: number;
  readonly lockMs: number;
  readonly drainMs: number;
  readonly maxFailuresInARow: number;
  readonly overrides: WorkerOverrides;
  /** Aborted to drain. */
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}

/** Heartbeats a lock's time. */
const BEATS = 3;
const MAX_BEAT_MS = 1_000;
/** A worker that has been silent for so long counts as gone, if its locks don't run out before. */
const MAX_KEPT_MS = 15_000;
const CLOSE_MS = 5_000;
const SAY_AGAIN_MS = 30_000;

/** Takes problems from the queue and grows their trees, several at once over one queue to this
 *  worker's policy. BullMQ hands out jobs, renews their locks and recovers those of lost workers. */
export class QueueWorker {
  private readonly id: string;
  private readonly name: string;
  private readonly scripts: QueueScripts;
  private readonly runs: OpenRuns;
  private readonly activity: WorkerActivity;
  private readonly grower: JobGrower;
  /** Aborted when what still runs is to be handed back. */
  private readonly handBack = new AbortController();
  private readonly draining = new AbortController();
  private fatal: unknown = null;
  private beating: Promise<void> | null = null;
  private readonly told = new Map<string, number>();

  constructor(private readonly settings: WorkerSettings) {
    const id = `${hostname()}:${process.pid}`;
    this.name = settings.name || id;
    // Names may be alike; and a worker that was started again is another one.
    this.id = `${this.name}#${randomBytes(4).toString('hex')}`;
    this.scripts = new QueueScripts(settings.link.redis);
    this.runs = new OpenRuns((specHash, runId) => this.open(specHash, runId));
    const { id: own, name, runs } = this;
    const { concurrency, maxFailuresInARow } = settings;
    const version = packageVersion();
    this.activity = new WorkerActivity({ id: own, name, version, concurrency }, () =>
      runs.opened(),
    );
    this.grower = new JobGrower({ runs, activity: this.activity, maxFailuresInARow });
    setMaxListeners(0, this.handBack.signal);
  }

  /** Works until the signal, then drains.
   *  @throws SteptreeError QUEUE_VERSION_DIFFERS, QUEUE_POLICY_DIFFERS, QUEUE_WORKER_POLICY_DOWN, what
   *  opening the policy throws; what it had taken is handed back then */
  async run(): Promise<WorkerSummary> {
    const { link, queueName, concurrency, lockMs, signal, log } = this.settings;
    const stop = () => this.draining.abort();
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    const worker = new Worker<JobData>(queueName, (job) => this.process(job), {
      connection: link.redis,
      prefix: JOBS_PREFIX,
      name: this.name,
      concurrency,
      lockDuration: lockMs,
      stalledInterval: Math.max(100, lockMs / 2),
      // Lost workers are counted here, by tries without a new reply (scripts.ts).
      maxStalledCount: 1_000_000_000,
      // Well below the silence after which a connection is taken for dead.
      drainDelay: Math.min(5, lockMs / 4_000),
      runRetryDelay: 1_000,
    });
    worker.on('error', (error) => this.tell(error));
    const timer = setInterval(() => this.beat(), Math.min(MAX_BEAT_MS, lockMs / BEATS));
    this.beat();
    log(
      `worker ${this.name} serves queue ${queueName} at ${link.shown}: ${problems(concurrency)} at once`,
    );
    await new Promise<void>((resolve) => {
      if (this.draining.signal.aborted) resolve();
      else this.draining.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await this.drain(worker);
    clearInterval(timer);
    await this.leave();
    signal.removeEventListener('abort', stop);
    if (this.fatal) throw this.fatal;
    return this.activity.summary();
  }

  snapshot(): WorkerSnapshot {
    return this.activity.snapshot(this.settings.link.trouble());
  }

  private async drain(worker: Worker<JobData>): Promise<void> {
    const { link, drainMs, log } = this.settings;
    // Tells the runs that no more is taken here.
    this.beat();
    await worker.pause(true);
    if (this.activity.active > 0 && drainMs > 0 && !this.fatal) {
      log(`${problems(this.activity.active)} may end within ${Math.round(drainMs / 1000)} s`);
      const deadlineMs = performance.now() + drainMs;
      while (this.activity.active > 0 && performance.now() < deadlineMs) await sleep(50);
    }
    if (this.activity.active > 0) {
      const away = link.trouble() === null ? '' : '; others get them when their locks run out';
      log(`handing ${problems(this.activity.active)} back${away}`);
    }
    this.handBack.abort(new DOMException('drained', 'AbortError'));
    // Its locks run out by themselves if Redis is away.
    if (await beforeEnd(link, CLOSE_MS, worker.close())) return;
    await beforeEnd(link, 1_000, worker.disconnect());
  }

  private async leave(): Promise<void> {
    const { link, queueName } = this.settings;
    await beforeEnd(link, 1_000, this.beating ?? Promise.resolve());
    await beforeEnd(link, 1_000, deregister(link.redis, queueName, this.id));
    await this.runs.close();
  }

  /** One job: never throws but to hand it back, so BullMQ retries nothing by itself. */
  private async process(job: Job<JobData>): Promise<void> {
    const jobId = String(job.id);
    const token = String(job.token);
    const { redis } = this.settings.link;
    const active = this.activity.begin(jobId);
    const place: JobPlace = {
      ...{ redis, scripts: this.scripts, jobId, token },
      keys: runKeys(this.settings.queueName, job.data.runId),
      signal: this.handBack.signal,
      log: (line) => this.say(line),
      onStored: () => active.endTurn(),
    };
    try {
      this.handBack.signal.throwIfAborted();
      const begun = await insist(() => this.scripts.begin(place.keys, jobId, token), place);
      if (begun.how === 'mine') await this.grower.work(job.data, begun, place, active);
    } catch (error) {
      if (error instanceof JobLost) {
        this.activity.count('lost');
        this.say(`${job.data.problem.id}: another worker has it now (${error.message})`);
        // This one lives: slow or cut off, not killed by the problem.
        await insist(() => this.scripts.absolve(place.keys, jobId, token), place).catch(() => {});
      } else {
        if (!this.handBack.signal.aborted) this.failOwn(error);
        await this.giveBack(job, place);
      }
    } finally {
      this.activity.end(jobId);
    }
  }

  /** Something that every other problem would meet here too: this worker ends. */
  private failOwn(error: unknown): void {
    this.fatal ??= error;
    this.draining.abort();
    this.handBack.abort(new DOMException('drained', 'AbortError'));
  }

  private async giveBack(job: Job<JobData>, place: JobPlace): Promise<void> {
    this.activity.count('handedBack');
    try {
      await this.scripts.release(place.keys, place.jobId, place.token);
      await job.moveToWait(place.token);
    } catch (error) {
      // Its lock runs out instead.
      this.tell(error);
    }
    throw new WaitingError();
  }

  private async open(specHash: string, runId: string): Promise<OpenRun> {
    const { link, queueName, overrides, log } = this.settings;
    const keys = runKeys(queueName, runId);
    const signal = this.handBack.signal;
    const meta = await insist(() => link.redis.hgetall(keys.meta), { log, signal });
    const spec = readSpec(meta as unknown as PublishedSpec, runId);
    const run = await openRun(spec, runId, overrides, { signal, log });
    log(`run ${runId}: ${spec.method}, policy ${run.policy.name} (${specHash.slice(0, 8)})`);
    return run;
  }

  private beat(): void {
    const { queueName, lockMs } = this.settings;
    this.activity.sample();
    // A heartbeat that waits for Redis is enough.
    if (this.beating) return;
    const keptMs = Math.min(MAX_KEPT_MS, lockMs);
    this.beating = this.scripts
      .heartbeat(
        queueName,
        this.id,
        keptMs,
        JSON.stringify(this.activity.facts(this.draining.signal.aborted)),
      )
      .catch(() => {})
      .finally(() => {
        this.beating = null;
      });
  }

  /** What BullMQ met: told once in a while, since it comes again until it is over. */
  private tell(error: unknown): void {
    if (this.settings.link.trouble() !== null) return;
    this.say(errorMessage(error));
  }

  private say(line: string): void {
    const nowMs = performance.now();
    if (nowMs - (this.told.get(line) ?? Number.NEGATIVE_INFINITY) < SAY_AGAIN_MS) return;
    this.told.set(line, nowMs);
    this.settings.log(line);
  }
}

function problems(count: number): string {
  return `${count} problem${count === 1 ? '' : 's'}`;
}
