import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { Queue } from 'bullmq';
import { addUsage, emptyUsage } from '../../search/budget.js';
import { errorMessage, SteptreeError } from '../../search/errors.js';
import type { TreeJson } from '../../search/labels/tree-json.js';
import type { Usage } from '../../search/types.js';
import { packageVersion } from '../config/version.js';
import { sleep, within } from '../policy/sleep.js';
import { Gate } from '../runtime/gate.js';
import type { Growth, Labeller, LabellerSnapshot, LabelTask } from '../runtime/labeller.js';
import { problemHash } from '../runtime/problem-hash.js';
import type { RunStore } from '../runtime/run-store.js';
import { JOBS_PREFIX, KEPT_SECONDS, type RunKeys, runKeys } from './keys.js';
import { type PackedProblem, packProblem, type TravellingProblem } from './pictures.js';
import { insist, type RedisLink } from './redis.js';
import { liveWorkers, type WorkerFacts } from './registry.js';
import { QueueScripts } from './scripts.js';
import { type PublishedSpec, publishedSpec, type RunSpec } from './spec.js';
import { packSmall, unpackResult, unpackSmall } from './wire.js';

export interface CoordinatorSettings {
  readonly link: RedisLink;
  readonly queueName: string;
  /** Problems in the queue or at workers at most; 0 is by what the workers take. */
  readonly window: number;
  readonly spec: RunSpec;
  readonly keepReplies: boolean;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}

/** A job as it lies in BullMQ. */
export interface JobData {
  readonly runId: string;
  readonly problem: TravellingProblem;
}

/** Results are looked for so often. They are a state in Redis, no messages: after a broken connection,
 *  a restart of Redis or of this process there is nothing that could have been missed. */
const LOOK_MS = 200;
/** How often everything that is handed out is compared with what Redis has. */
const COMPARE_MS = 2_000;
const REFRESH_MS = 600_000;
/** Results unpacked at once: trees are megabytes. */
const COLLECT_AT_ONCE = 8;
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
  private readonly scripts: QueueScripts;
  private readonly published: PublishedSpec;
  private readonly entries = new Map<string, Entry>();
  private readonly byOrdinal = new Map<number, Entry>();
  /** Pictures that lie in Redis: how many unfinished problems need each. */
  private readonly pictures = new Map<string, { users: number; sent: Promise<unknown> }>();
  /** Settled jobs that a worker still holds. */
  private readonly leftovers = new Set<string>();
  private readonly acknowledging = new Set<Promise<void>>();
  private readonly stop = new AbortController();
  private readonly signal: AbortSignal;
  private runId = '';
  private keys: RunKeys = runKeys('', '');
  private store: RunStore | null = null;
  private workers: readonly WorkerFacts[] = [];
  private readonly warned = new Set<string>();
  private looking: Promise<void> = Promise.resolve();
  private collecting = 0;

  constructor(private readonly settings: CoordinatorSettings) {
    const { link, queueName, window, signal, spec } = settings;
    this.gate = new Gate(window || LEAST_WINDOW);
    this.queue = new Queue(queueName, { connection: link.redis, prefix: JOBS_PREFIX });
    // The link has said it already.
    this.queue.on('error', () => {});
    this.scripts = new QueueScripts(link.redis);
    this.published = publishedSpec(spec);
    this.signal = AbortSignal.any([signal, this.stop.signal]);
    setMaxListeners(0, this.signal);
  }

  /** Finds the run again in Redis, or makes it known there. */
  async open(store: RunStore): Promise<void> {
    this.store = store;
    this.runId = store.fact<string>('queueRun') ?? randomBytes(8).toString('hex');
    await store.setFact('queueRun', this.runId);
    this.keys = runKeys(this.settings.queueName, this.runId);
    await this.insist(() => this.publish());
    await this.compare();
    this.looking = this.keepLooking();
  }

  enter(): Promise<void> {
    return this.gate.enter();
  }

  leave(): void {
    this.gate.leave();
  }

  start(task: LabelTask): Growth {
    const { ordinal, problem, signal } = task;
    const usage = emptyUsage();
    const jobId = `${this.runId}-${ordinal}-${problemHash(problem).slice(0, 12)}`;
    const tree = new Promise<TreeJson>((resolve, reject) => {
      const entry: Entry = { jobId, task, usage, resolve, reject, state: 'new', missing: 0 };
      this.entries.set(jobId, entry);
      this.byOrdinal.set(ordinal, entry);
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      this.hand(entry).catch((error: unknown) => {
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
    const done = this.acknowledge(entry)
      .catch(() => {
        // The run ends; the next start forgets what is settled.
      })
      .finally(() => this.acknowledging.delete(done));
    this.acknowledging.add(done);
  }

  snapshot(): LabellerSnapshot {
    const sum = (pick: (worker: WorkerFacts) => number) =>
      this.workers.reduce((total, worker) => total + pick(worker), 0);
    const live = (worker: WorkerFacts) => worker.live[this.runId];
    return {
      active: Math.min(
        this.entries.size,
        sum((worker) => worker.active),
      ),
      inFlight: sum((worker) => worker.inFlight),
      maxInFlight: sum((worker) => worker.maxInFlight),
      waiting: sum((worker) => worker.waiting),
      unseenRollouts: sum((worker) => live(worker)?.rollouts ?? 0),
      unseenTokens: sum((worker) => live(worker)?.tokens ?? 0),
      queue: {
        workers: this.workers.length,
        handedOut: this.entries.size,
        rolloutsPerSecond: sum((worker) => worker.rolloutsPerSecond),
        trouble: this.settings.link.trouble(),
      },
    };
  }

  async stats(): Promise<Record<string, unknown>> {
    return {
      queue: this.settings.link.shown,
      workers: this.workers.map(({ name, concurrency, active, maxInFlight, rolloutsPerSecond }) => {
        return { name, concurrency, active, maxInFlight, rolloutsPerSecond };
      }),
    };
  }

  /** Takes back what no worker has begun, so that an interrupted run leaves no work behind; what has
   *  been begun is finished by its worker and collected by the next start. */
  async close(): Promise<void> {
    await within(CLOSE_MS, Promise.all(this.acknowledging));
    this.stop.abort(new DOMException('closed', 'AbortError'));
    await this.looking.catch(() => {});
    await within(CLOSE_MS, this.withdraw());
    await within(CLOSE_MS, this.queue.close());
    await this.settings.link.close();
  }

  private async withdraw(): Promise<void> {
    const { redis } = this.settings.link;
    // Late workers shall find that nothing is wanted any more; after an hour nobody is late.
    if (this.entries.size === 0) await redis.expire(this.keys.meta, 3600);
    for (const { jobId } of this.entries.values()) {
      const removed = await this.queue.remove(jobId);
      // Its replies stay: another start finds them.
      if (removed === 1) await redis.srem(this.keys.wanted, jobId);
    }
  }

  private async publish(): Promise<void> {
    const { redis } = this.settings.link;
    await redis.hset(this.keys.meta, { ...this.published });
    await redis.expire(this.keys.meta, KEPT_SECONDS);
  }

  /** A coordinator that was killed between settling and acknowledging, or a Redis that lost its last
   *  second, left something behind. Replies of failed problems are in the run's store. */
  private async forgetSettled(): Promise<void> {
    const store = this.store;
    for (const jobId of await this.settings.link.redis.smembers(this.keys.wanted)) {
      const ordinal = Number(jobId.split('-')[1]);
      // A failed problem that is tried again has an entry.
      if (this.entries.has(jobId) || !store?.problem(ordinal)) continue;
      await this.scripts.forget(this.keys, jobId);
      await this.removeJob(jobId);
    }
  }

  /** Everything that a worker needs for a problem goes to Redis. Does no harm if it is there already. */
  private async hand(entry: Entry, again = false): Promise<void> {
    const { redis } = this.settings.link;
    const { jobId, task } = entry;
    const packed = await packProblem(task.problem, task.named);
    await this.holdPictures(entry, packed, again);
    await this.insist(async () => {
      const known = await redis.sismember(this.keys.wanted, jobId);
      if (known === 0) await this.sendReplies(jobId, task);
      await redis.sadd(this.keys.wanted, jobId);
      await redis.expire(this.keys.wanted, KEPT_SECONDS);
    });
    const data: JobData = { runId: this.runId, problem: packed.problem };
    await this.insist(() =>
      this.queue.add('label', data, { jobId, removeOnComplete: true, removeOnFail: true }),
    );
    if (entry.state === 'new') entry.state = 'handed';
  }

  /** @param again whether Redis may have lost what was sent before */
  private async holdPictures(
    entry: Entry,
    { pictures }: PackedProblem,
    again: boolean,
  ): Promise<void> {
    const { redis } = this.settings.link;
    const isFirst = entry.pictures === undefined;
    entry.pictures = [...pictures.keys()];
    for (const [picture, bytes] of pictures) {
      const held = this.pictures.get(picture) ?? { users: 0, sent: Promise.resolve() };
      if (held.users === 0 || again) {
        const key = this.keys.picture(picture);
        held.sent = this.insist(() => redis.set(key, bytes, 'EX', KEPT_SECONDS));
      }
      if (isFirst) held.users++;
      this.pictures.set(picture, held);
      await held.sent;
    }
  }

  /** Replies that the run's store has of an unfinished problem: of a local session, or of a failure. */
  private async sendReplies(jobId: string, { ordinal, store }: LabelTask): Promise<void> {
    const { redis } = this.settings.link;
    const key = this.keys.replies(jobId);
    for (const [name, value] of store.storedReplies(ordinal)) {
      await redis.hsetnx(key, name, packSmall(value));
    }
    await redis.expire(key, KEPT_SECONDS);
  }

  private async keepLooking(): Promise<void> {
    let comparedMs = performance.now();
    let refreshedMs = comparedMs;
    while (!this.signal.aborted) {
      try {
        await sleep(LOOK_MS, this.signal);
        await this.collectAll();
        const nowMs = performance.now();
        if (nowMs - comparedMs < COMPARE_MS) continue;
        await this.compare();
        comparedMs = performance.now();
        if (nowMs - refreshedMs < REFRESH_MS) continue;
        await this.insist(() => this.refresh());
        refreshedMs = nowMs;
      } catch (error) {
        if (this.signal.aborted) return;
        this.warn(`the queue could not be looked at: ${errorMessage(error)}`);
      }
    }
  }

  private async collectAll(): Promise<void> {
    if (this.entries.size === 0) return;
    const ready = await this.insist(() => this.settings.link.redis.hkeys(this.keys.results));
    for (const jobId of ready) {
      const entry = this.entries.get(jobId);
      if (entry?.state !== 'handed' || this.collecting >= COLLECT_AT_ONCE) continue;
      entry.state = 'collected';
      this.collecting++;
      this.collect(entry)
        .catch((error: unknown) => entry.reject(error))
        .finally(() => this.collecting--);
    }
  }

  private async collect(entry: Entry): Promise<void> {
    const { redis } = this.settings.link;
    const { jobId, task } = entry;
    const bytes = await this.insist(() => redis.hgetBuffer(this.keys.results, jobId));
    if (!bytes) {
      entry.state = 'handed';
      return;
    }
    const result = await unpackResult(bytes);
    // A problem that failed is tried again later, from the replies that it has.
    if (this.settings.keepReplies || result.status === 'failed') await this.fetchReplies(entry);
    addUsage(entry.usage, result.usage);
    if (result.status === 'done') entry.resolve(JSON.parse(result.tree) as TreeJson);
    else entry.reject(new SteptreeError(result.code, result.message, { id: task.problem.id }));
  }

  private async fetchReplies({ jobId, task }: Entry): Promise<void> {
    const { redis } = this.settings.link;
    const replies = task.store.repliesOf(task.ordinal);
    const found = await this.insist(() => redis.hgetallBuffer(this.keys.replies(jobId)));
    const puts = Object.entries(found).map(([name, bytes]) =>
      replies.put(name, unpackSmall(bytes)),
    );
    await Promise.all(puts);
  }

  /** What is handed out against what Redis has; and which workers are there. */
  private async compare(): Promise<void> {
    const { redis } = this.settings.link;
    const { queueName } = this.settings;
    this.workers = await this.insist(() => liveWorkers(redis, queueName));
    this.adjust();
    if ((await this.insist(() => redis.exists(this.keys.meta))) === 0) await this.restore();
    else await this.handMissing();
    await this.insist(() => this.forgetSettled());
    for (const jobId of this.leftovers) await this.insist(() => this.removeJob(jobId));
  }

  private adjust(): void {
    const places = this.workers.reduce((sum, { concurrency }) => sum + concurrency, 0);
    if (this.settings.window === 0) {
      this.gate.resize(Math.max(LEAST_WINDOW, WINDOW_PER_PLACE * places));
    }
    for (const { name, version } of this.workers) {
      if (version === packageVersion()) continue;
      this.warn(
        `worker ${name} is Steptree ${version}, this run ${packageVersion()}: it can't help`,
      );
    }
  }

  /** Redis was started again without its data. */
  private async restore(): Promise<void> {
    const { log } = this.settings;
    log(`Redis has lost its data; ${this.entries.size} problems are handed out again`);
    await this.insist(() => this.publish());
    await Promise.all([...this.entries.values()].map((entry) => this.handAgain(entry)));
  }

  /** A job that is neither in the queue nor has a result fell out of Redis some other way. */
  private async handMissing(): Promise<void> {
    const { redis } = this.settings.link;
    for (const entry of [...this.entries.values()]) {
      if (entry.state !== 'handed') continue;
      const there = await this.insist(() => redis.exists(this.queue.toKey(entry.jobId)));
      const ready = await this.insist(() => redis.hexists(this.keys.results, entry.jobId));
      entry.missing = there + ready > 0 ? 0 : entry.missing + 1;
      // Once is nothing: a worker may have given its result between the two looks.
      if (entry.missing >= 2) await this.handAgain(entry);
    }
  }

  private async handAgain(entry: Entry): Promise<void> {
    if (entry.state !== 'handed') return;
    entry.missing = 0;
    await this.hand(entry, true);
  }

  private async refresh(): Promise<void> {
    const { redis } = this.settings.link;
    const { meta, wanted, owner, tries, results, picture } = this.keys;
    const pictures = [...this.pictures.keys()].map(picture);
    for (const key of [meta, wanted, owner, tries, results, ...pictures]) {
      await redis.expire(key, KEPT_SECONDS);
    }
  }

  /** The result is in the run's store: Redis may forget the job. */
  private async acknowledge({ jobId, pictures = [] }: Entry): Promise<void> {
    await this.insist(() => this.scripts.forget(this.keys, jobId));
    await this.insist(() => this.removeJob(jobId));
    for (const picture of pictures) {
      const held = this.pictures.get(picture);
      if (!held || --held.users > 0) continue;
      this.pictures.delete(picture);
      // Not tried again: that could come after another problem has brought the picture back.
      await this.settings.link.redis.del(this.keys.picture(picture));
    }
  }

  /** A job that a worker holds can't be removed; it is tried again. */
  private async removeJob(jobId: string): Promise<void> {
    const removed = await this.queue.remove(jobId);
    if (removed === 1) this.leftovers.delete(jobId);
    else this.leftovers.add(jobId);
  }

  private warn(line: string): void {
    if (this.warned.has(line)) return;
    this.warned.add(line);
    this.settings.log(line);
  }

  private insist<T>(action: () => Promise<T>): Promise<T> {
    return insist(action, { log: (line) => this.warn(line), signal: this.signal });
  }
}

interface Entry {
  readonly jobId: string;
  readonly task: LabelTask;
  readonly usage: Usage;
  readonly resolve: (tree: TreeJson) => void;
  readonly reject: (error: unknown) => void;
  state: 'new' | 'handed' | 'collected';
  /** Looks in a row that did not find the job. */
  missing: number;
  pictures?: readonly string[];
}

/** A Redis that is away must not keep an interrupted command from ending. */
const CLOSE_MS = 2_000;
