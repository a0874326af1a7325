import type { Redis } from 'ioredis';
import type { ReplyStore } from '../../search/types.js';
import { sleep } from '../policy/sleep.js';
import { KEPT_SECONDS, type RunKeys } from './keys.js';
import { insist } from './redis.js';
import type { QueueScripts, Standing } from './scripts.js';
import { type JobResult, packResult, packSmall, unpackSmall } from './wire.js';

/** Another worker has the job, or nobody wants it any more: whatever is found here is dropped. */
export class JobLost extends Error {
  override readonly name = 'JobLost';
}

export interface JobPlace {
  readonly redis: Redis;
  readonly scripts: QueueScripts;
  readonly keys: RunKeys;
  readonly jobId: string;
  /** The job's lock token: what this start of the job owns it by. */
  readonly token: string;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
  /** After each reply that was stored. */
  readonly onStored?: () => void;
}

/** How long a worker keeps a job of which Redis has lost everything, until the coordinator, which
 *  knows, has told Redis again. */
const FORGOTTEN_MS = 600_000;

/** Replies of one problem, in Redis before they are used: whoever takes the job over finds them there
 *  and pays for none again. They are kept here too, packed, since Redis may lose its data. */
export class JobReplies implements ReplyStore {
  private readonly packed = new Map<string, Buffer>();
  /** While everything is sent again, later replies wait: what is put later is never stored earlier. */
  private sendingAgain: Promise<void> | null = null;

  private constructor(private readonly place: JobPlace) {}

  /** With all replies that earlier starts of the job have stored. */
  static async open(place: JobPlace): Promise<JobReplies> {
    const { redis, keys, jobId } = place;
    const store = new JobReplies(place);
    const known = await insist(() => redis.hgetallBuffer(keys.replies(jobId)), place);
    for (const [name, bytes] of Object.entries(known)) store.packed.set(name, bytes);
    return store;
  }

  get(key: string): unknown {
    const bytes = this.packed.get(key);
    return bytes && unpackSmall(bytes);
  }

  /** @throws JobLost; the signal's reason */
  async put(key: string, value: unknown): Promise<void> {
    const bytes = packSmall(value);
    this.packed.set(key, bytes);
    if (this.sendingAgain) await this.sendingAgain;
    const { scripts, keys, jobId, token } = this.place;
    const how = await insist(() => scripts.put(keys, jobId, token, [key, bytes]), this.place);
    if (how !== 'mine') await this.recover(how);
    this.place.onStored?.();
  }

  /** Hands the result in. @throws JobLost; the signal's reason */
  async finish(result: JobResult): Promise<void> {
    const { scripts, keys, jobId, token } = this.place;
    const bytes = await packResult(result);
    for (;;) {
      const how = await insist(() => scripts.finish(keys, jobId, token, bytes), this.place);
      if (how === 'mine') return;
      await this.recover(how);
    }
  }

  /** Redis has lost its data, or the job is not ours any more. */
  private recover(how: Standing): Promise<void> {
    if (how === 'taken' || how === 'unwanted') throw new JobLost(how);
    this.sendingAgain ??= this.sendAgain().finally(() => {
      this.sendingAgain = null;
    });
    return this.sendingAgain;
  }

  private async sendAgain(): Promise<void> {
    const { redis, scripts, keys, jobId, token, signal } = this.place;
    for (let waitedMs = 0; ; waitedMs += WAIT_MS) {
      const how = await insist(() => scripts.claim(keys, jobId, token), this.place);
      if (how === 'mine') break;
      if (how !== 'forgotten' || waitedMs >= FORGOTTEN_MS) throw new JobLost(how);
      await sleep(WAIT_MS, signal);
    }
    // The map grows while this goes on; its iterator comes to what was added too.
    for (const [name, bytes] of this.packed) {
      await insist(() => redis.hsetnx(keys.replies(jobId), name, bytes), this.place);
    }
    await insist(() => redis.expire(keys.replies(jobId), KEPT_SECONDS), this.place);
  }
}

const WAIT_MS = 500;
