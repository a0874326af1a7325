/** What a run puts into Redis for its workers, and takes away again. */
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { TreeJson } from '../../search/labels/tree-json.js';
import type { Usage } from '../../search/types.js';
import type { LabelTask } from '../runtime/labeller.js';
import { JOB_NAME, type JobData } from './job.js';
import { KEPT_SECONDS, type RunKeys } from './keys.js';
import { type PackedProblem, packProblem } from './pictures.js';
import { QueueScripts } from './scripts.js';
import type { PublishedSpec } from './spec.js';
import { packSmall } from './wire.js';

/** A problem that is in the queue or at a worker. */
export interface HandedOut {
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

/** Does something with Redis until it works. */
export type Insist = <T>(action: () => Promise<T>) => Promise<T>;

export interface HandOutPlace {
  readonly redis: Redis;
  readonly queue: Queue;
  readonly keys: RunKeys;
  readonly runId: string;
  readonly spec: PublishedSpec;
  readonly insist: Insist;
}

/** Jobs, their pictures, the replies of unfinished problems and the run's options. Whatever is here may be
 *  said again: it does no harm where it is known. */
export class HandOut {
  private readonly scripts: QueueScripts;
  /** Pictures that lie in Redis: how many unfinished problems need each. */
  private readonly pictures = new Map<string, { users: number; sent: Promise<unknown> }>();
  /** Settled jobs that a worker still holds. */
  private readonly leftovers = new Set<string>();

  constructor(private readonly place: HandOutPlace) {
    this.scripts = new QueueScripts(place.redis);
  }

  /** Tells workers the run's options. */
  publish(): Promise<void> {
    const { redis, keys, spec, insist } = this.place;
    return insist(async () => {
      await redis.hset(keys.meta, { ...spec });
      await redis.expire(keys.meta, KEPT_SECONDS);
    });
  }

  /** Everything that a worker needs for a problem goes to Redis.
   *  @param again whether Redis may have lost what was sent before */
  async hand(entry: HandedOut, again = false): Promise<void> {
    const { redis, queue, keys, runId, insist } = this.place;
    const { jobId, task } = entry;
    const packed = await packProblem(task.problem, task.named);
    await this.holdPictures(entry, packed, again);
    await insist(async () => {
      const known = await redis.sismember(keys.wanted, jobId);
      if (known === 0) await this.sendReplies(jobId, task);
      await redis.sadd(keys.wanted, jobId);
      await redis.expire(keys.wanted, KEPT_SECONDS);
    });
    const data: JobData = { runId, problem: packed.problem };
    await insist(() =>
      queue.add(JOB_NAME, data, { jobId, removeOnComplete: true, removeOnFail: true }),
    );
    if (entry.state === 'new') entry.state = 'handed';
  }

  /** The result is in the run's store: Redis may forget the job. */
  async takeAway({ jobId, pictures = [] }: HandedOut): Promise<void> {
    await this.forget(jobId);
    for (const picture of pictures) {
      const held = this.pictures.get(picture);
      if (!held || --held.users > 0) continue;
      this.pictures.delete(picture);
      // Not tried again: that could come after another problem has brought the picture back.
      await this.place.redis.del(this.place.keys.picture(picture));
    }
  }

  async forget(jobId: string): Promise<void> {
    const { insist, keys } = this.place;
    await insist(() => this.scripts.forget(keys, jobId));
    await insist(() => this.removeJob(jobId));
  }

  /** Settled jobs whose workers may have let go of them since. */
  async removeLeftovers(): Promise<void> {
    for (const jobId of this.leftovers) await this.place.insist(() => this.removeJob(jobId));
  }

  /** Takes back what no worker has begun. @returns how many problems workers go on with */
  async withdraw(entries: Iterable<HandedOut>): Promise<number> {
    const { redis, queue, keys } = this.place;
    let left = 0;
    for (const { jobId } of entries) {
      const removed = await queue.remove(jobId);
      // Its replies stay: another start finds them.
      if (removed === 1) await redis.srem(keys.wanted, jobId);
      else left++;
    }
    return left;
  }

  /** Late workers shall find that nothing is wanted any more; after an hour nobody is late. */
  async retire(): Promise<void> {
    await this.place.redis.expire(this.place.keys.meta, 3600);
  }

  /** Nothing of a run that goes on shall expire. */
  refresh(): Promise<void> {
    const { redis, insist } = this.place;
    const { meta, wanted, owner, tries, results, picture } = this.place.keys;
    const pictures = [...this.pictures.keys()].map(picture);
    return insist(async () => {
      for (const key of [meta, wanted, owner, tries, results, ...pictures]) {
        await redis.expire(key, KEPT_SECONDS);
      }
    });
  }

  private async holdPictures(
    entry: HandedOut,
    { pictures }: PackedProblem,
    again: boolean,
  ): Promise<void> {
    const { redis, keys, insist } = this.place;
    const isFirst = entry.pictures === undefined;
    entry.pictures = [...pictures.keys()];
    for (const [picture, bytes] of pictures) {
      const held = this.pictures.get(picture) ?? { users: 0, sent: Promise.resolve() };
      if (held.users === 0 || again) {
        held.sent = insist(() => redis.set(keys.picture(picture), bytes, 'EX', KEPT_SECONDS));
      }
      if (isFirst) held.users++;
      this.pictures.set(picture, held);
      await held.sent;
    }
  }

  /** Replies that the run's store has of an unfinished problem: of a local session, or of a failure. */
  private async sendReplies(jobId: string, { ordinal, store }: LabelTask): Promise<void> {
    const { redis, keys } = this.place;
    const key = keys.replies(jobId);
    for (const [name, value] of store.storedReplies(ordinal)) {
      await redis.hsetnx(key, name, packSmall(value));
    }
    await redis.expire(key, KEPT_SECONDS);
  }

  /** A job that a worker holds can't be removed; it is tried again. */
  private async removeJob(jobId: string): Promise<void> {
    const removed = await this.place.queue.remove(jobId);
    if (removed === 1) this.leftovers.delete(jobId);
    else this.leftovers.add(jobId);
  }
}
