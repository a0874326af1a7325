import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { hostname } from 'node:os';
import { type Job, WaitingError, Worker } from 'bullmq';
import {
  emptyUsage,
  errorCode,
  errorMessage,
  SearchContext,
  SteptreeError,
  type Usage,
} from '../../search/index.js';
import { packageVersion } from '../config/version.js';
import { sleep, within } from '../policy/sleep.js';
import { labelProblem } from '../runtime/label-problem.js';
import type { JobData } from './coordinator.js';
import { JobLost, type JobPlace, JobReplies } from './job-replies.js';
import { JOBS_PREFIX, type RunKeys, runKeys } from './keys.js';
import { type OpenRun, OpenRuns, openRun, type WorkerOverrides } from './models.js';
import { unpackProblem } from './pictures.js';
import { insist, type RedisLink } from './redis.js';
import { deregister, type WorkerFacts } from './registry.js';
import { type Begun, QueueScripts } from './scripts.js';
import { type PublishedSpec, readSpec } from './spec.js';
import { Turns } from './turns.js';

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

/** Heartbeats a lock's time. */
const BEATS = 3;
const MAX_BEAT_MS = 5_000;

/** Losses from which on a problem is a suspect: one at a time may try here. The first few may have been
 *  those of another problem that shared the worker. */
const SUSPECT_LOSSES = 2;

/** Takes problems from the queue and grows their trees, several at once over one queue to this
 *  worker's policy. BullMQ hands out jobs, renews their locks and recovers those of lost workers. */
export class QueueWorker {
  private readonly id: string;
  private readonly name: string;
  private readonly scripts: QueueScripts;
  private readonly runs: OpenRuns;
  private readonly active = new Map<string, Active>();
  private readonly suspects = new Turns();
  /** Aborted when what still runs is to be handed back. */
  private readonly handBack = new AbortController();
  private readonly draining = new AbortController();
  private fatal: unknown = null;
  private failuresInARow = 0;
  private readonly counts = { done: 0, failed: 0, handedBack: 0, lost: 0, rollouts: 0 };
  private samples: { atMs: number; rollouts: number }[] = [];
  private beating: Promise<void> | null = null;
  private readonly told = new Map<string, number>();

  constructor(private readonly settings: WorkerSettings) {
    const id = `${hostname()}:${process.pid}`;
    this.name = settings.name || id;
    // Names may be alike; and a worker that was started again is another one.
    this.id = `${this.name}#${randomBytes(4).toString('hex')}`;
    this.scripts = new QueueScripts(settings.link.redis);
    this.runs = new OpenRuns((specHash, runId) => this.open(specHash, runId));
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
      `worker ${this.name} serves queue ${queueName} at ${link.shown}: ${concurrency} problems at once`,
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
    return this.summary();
  }

  snapshot(): WorkerSnapshot {
    const places = this.places();
    return {
      ...this.summary(),
      active: this.active.size,
      concurrency: this.settings.concurrency,
      inFlight: places.inFlight,
      maxInFlight: places.maxInFlight,
      rolloutsPerSecond: this.rate(),
      trouble: this.settings.link.trouble(),
    };
  }

  private summary(): WorkerSummary {
    return { name: this.name, ...this.counts, rollouts: this.totalRollouts() };
  }

  private async drain(worker: Worker<JobData>): Promise<void> {
    const { drainMs, log } = this.settings;
    await worker.pause(true);
    if (this.active.size > 0 && !this.fatal) {
      log(`draining: ${this.active.size} problems have ${Math.round(drainMs / 1000)} s to finish`);
      const deadlineMs = performance.now() + drainMs;
      while (this.active.size > 0 && performance.now() < deadlineMs) await sleep(50);
    }
    if (this.active.size > 0) log(`handing ${this.active.size} problems back`);
    this.handBack.abort(new DOMException('drained', 'AbortError'));
    // Its locks run out by themselves if Redis is away.
    if (await within(CLOSE_MS, worker.close())) return;
    await within(1_000, worker.disconnect());
  }

  private async leave(): Promise<void> {
    const { link, queueName } = this.settings;
    await within(1_000, this.beating ?? Promise.resolve());
    await within(1_000, deregister(link.redis, queueName, this.id));
    await this.runs.close();
  }

  /** One job: never throws but to hand it back, so BullMQ retries nothing by itself. */
  private async process(job: Job<JobData>): Promise<void> {
    const { runId } = job.data;
    const jobId = String(job.id);
    const token = String(job.token);
    const keys = runKeys(this.settings.queueName, runId);
    const usage = emptyUsage();
    const one: Active = { runId, usage, tried: false, endTurn: () => {} };
    this.active.set(jobId, one);
    const { redis } = this.settings.link;
    const place: JobPlace = {
      ...{ redis, scripts: this.scripts, keys, jobId, token },
      signal: this.handBack.signal,
      log: (line) => this.say(line),
      onStored: () => one.endTurn(),
    };
    try {
      this.handBack.signal.throwIfAborted();
      const begun = await insist(() => this.scripts.begin(keys, jobId, token), place);
      if (begun.how === 'mine') await this.work(job.data, begun, place, one);
    } catch (error) {
      if (error instanceof JobLost) {
        this.counts.lost++;
        this.say(`${job.data.problem.id}: another worker has it now (${error.message})`);
      } else {
        if (!this.handBack.signal.aborted) this.failOwn(error);
        await this.giveBack(job, place, one.tried);
      }
    } finally {
      one.endTurn();
      this.active.delete(jobId);
      this.counts.rollouts += one.usage.rollouts;
    }
  }

  private work(data: JobData, begun: Begun, place: JobPlace, one: Active): Promise<void> {
    return this.runs.use(begun.specHash, data.runId, async (run) => {
      const { maxLosses } = run.spec;
      const replies = await JobReplies.open(place);
      if (begun.losses >= maxLosses) {
        this.counts.failed++;
        await replies.finish({
          status: 'failed',
          code: 'QUEUE_JOB_LOST_WORKERS',
          message: `problem ${data.problem.id} lost its worker ${begun.losses} times without a new reply; does it need more memory than workers have, or do workers live shorter than a reply takes (raise --queue-max-losses)?`,
          usage: one.usage,
        });
        return;
      }
      await this.try(begun, place, one);
      await this.grow(run, data, place, { replies, one });
    });
  }

  /** Only now, with models open, does a loss count: what came before was not the problem's doing. Nor is
   *  what another problem does meanwhile, so suspects take turns, each until it has a new reply: the one
   *  that kills its worker is then the only one of them that is counted. */
  private async try({ losses }: Begun, place: JobPlace, one: Active): Promise<void> {
    const { keys, jobId, token } = place;
    if (losses >= SUSPECT_LOSSES) one.endTurn = await this.suspects.take(place.signal);
    const how = await insist(() => this.scripts.try(keys, jobId, token), place);
    if (how === 'taken' || how === 'unwanted') throw new JobLost(how);
    one.tried = how === 'mine';
  }

  private async grow(
    run: OpenRun,
    { problem: travelling }: JobData,
    place: JobPlace,
    { replies, one }: { readonly replies: JobReplies; readonly one: Active },
  ): Promise<void> {
    const { spec, policy, scheduler, verifier, critic } = run;
    const { redis } = this.settings.link;
    try {
      const problem = await unpackProblem(travelling, (picture) =>
        insist(() => redis.getBuffer(place.keys.picture(picture)), place),
      );
      const context = new SearchContext({
        problem,
        seed: spec.seed,
        policy: scheduler,
        sampling: spec.sampling,
        verifier,
        ...(critic ? { critic } : {}),
        store: replies,
        budget: spec.budget,
        now: () => performance.now(),
        signal: place.signal,
        onReplay: (prefix, count) => policy.skip?.(problem.id, prefix, count),
      });
      one.usage = context.usage;
      const tree = await labelProblem(problem, context, spec.method, spec.options);
      const text = JSON.stringify(tree);
      await replies.finish({ status: 'done', tree: text, usage: context.usage });
      this.counts.done++;
      this.failuresInARow = 0;
    } catch (error) {
      if (error instanceof JobLost || place.signal.aborted) throw error;
      await this.fail(error, replies, one.usage);
    } finally {
      scheduler.release(travelling.id);
    }
  }

  /** A problem that failed is the run's to record; many in a row are this worker's own fault. */
  private async fail(error: unknown, replies: JobReplies, usage: Usage): Promise<void> {
    const { maxFailuresInARow } = this.settings;
    const code = errorCode(error);
    const message = errorMessage(error);
    this.failuresInARow++;
    if (this.failuresInARow >= maxFailuresInARow) {
      throw new SteptreeError(
        'QUEUE_WORKER_POLICY_DOWN',
        `${this.failuresInARow} problems failed here one after the other, the last with: ${message}; this worker stops so that it does not fail the others too, its last problems are handed back`,
        { failures: this.failuresInARow, code },
        { cause: error },
      );
    }
    await replies.finish({ status: 'failed', code, message, usage });
    this.counts.failed++;
  }

  /** Something that every other problem would meet here too: this worker ends. */
  private failOwn(error: unknown): void {
    this.fatal ??= error;
    this.draining.abort();
    this.handBack.abort(new DOMException('drained', 'AbortError'));
  }

  private async giveBack(job: Job<JobData>, place: JobPlace, tried: boolean): Promise<void> {
    this.counts.handedBack++;
    try {
      await this.scripts.release(place.keys, place.jobId, place.token, tried);
      await job.moveToWait(place.token);
    } catch (error) {
      // Its lock runs out instead.
      this.tell(error);
    }
    throw new WaitingError();
  }

  private async open(specHash: string, runId: string): Promise<OpenRun> {
    const { link, queueName, overrides, log } = this.settings;
    const keys: RunKeys = runKeys(queueName, runId);
    const signal = this.handBack.signal;
    const meta = await insist(() => link.redis.hgetall(keys.meta), { log, signal });
    const spec = readSpec(meta as unknown as PublishedSpec, runId);
    const run = await openRun(spec, runId, overrides, { signal, log });
    log(`run ${runId}: ${spec.method}, policy ${run.policy.name} (${specHash.slice(0, 8)})`);
    return run;
  }

  private beat(): void {
    const { queueName, lockMs } = this.settings;
    const nowMs = performance.now();
    this.samples.push({ atMs: nowMs, rollouts: this.totalRollouts() });
    this.samples = this.samples.filter(({ atMs }) => nowMs - atMs <= RATE_MS);
    // A heartbeat that waits for Redis is enough.
    if (this.beating) return;
    const keptMs = Math.round(Math.min(MAX_BEAT_MS * BEATS, lockMs));
    this.beating = this.scripts
      .heartbeat(queueName, this.id, keptMs, JSON.stringify(this.facts()))
      .catch(() => {})
      .finally(() => {
        this.beating = null;
      });
  }

  private facts(): WorkerFacts {
    const live: Record<string, { rollouts: number; tokens: number }> = {};
    for (const { runId, usage } of this.active.values()) {
      live[runId] ??= { rollouts: 0, tokens: 0 };
      live[runId].rollouts += usage.rollouts;
      live[runId].tokens += usage.policyTokens;
    }
    return {
      id: this.id,
      name: this.name,
      version: packageVersion(),
      // A worker that leaves takes no more.
      concurrency: this.draining.signal.aborted ? 0 : this.settings.concurrency,
      active: this.active.size,
      ...this.places(),
      rolloutsPerSecond: Math.round(this.rate() * 10) / 10,
      live,
    };
  }

  private places() {
    const stats = this.runs.opened().map(({ scheduler }) => scheduler.stats());
    const sum = (pick: (one: (typeof stats)[number]) => number) =>
      stats.reduce((total, one) => total + pick(one), 0);
    return {
      inFlight: sum(({ inFlight }) => inFlight),
      maxInFlight: sum(({ maxInFlight }) => maxInFlight),
      waiting: sum(({ waiting }) => waiting),
    };
  }

  private totalRollouts(): number {
    const active = [...this.active.values()];
    return active.reduce((sum, { usage }) => sum + usage.rollouts, this.counts.rollouts);
  }

  private rate(): number {
    const [first] = this.samples;
    const last = this.samples.at(-1);
    if (!first || !last || last.atMs - first.atMs < 500) return 0;
    return ((last.rollouts - first.rollouts) * 1000) / (last.atMs - first.atMs);
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

interface Active {
  readonly runId: string;
  usage: Readonly<Usage>;
  /** Whether a loss would count. */
  tried: boolean;
  /** Lets the next suspect try. */
  endTurn: () => void;
}

const RATE_MS = 15_000;
const CLOSE_MS = 5_000;
const SAY_AGAIN_MS = 30_000;
