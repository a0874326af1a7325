/** Results of workers, from Redis to the run. */
import type { Redis } from 'ioredis';
import { addUsage } from '../../search/budget.js';
import { SteptreeError } from '../../search/errors.js';
import type { TreeJson } from '../../search/labels/tree-json.js';
import type { HandedOut, Insist } from './hand-out.js';
import type { RunKeys } from './keys.js';
import { unpackResult, unpackSmall } from './wire.js';

/** Results unpacked at once: trees are megabytes. */
const COLLECT_AT_ONCE = 8;

export interface CollectorPlace {
  readonly redis: Redis;
  readonly keys: RunKeys;
  /** Whether the run wants the replies too. */
  readonly keepReplies: boolean;
  readonly insist: Insist;
}

/** Results stay in Redis until the run has settled them, so one that is fetched twice is no harm. */
export class ResultCollector {
  private collecting = 0;

  constructor(private readonly place: CollectorPlace) {}

  /** Begins to fetch what is ready; the entries' promises tell the rest. */
  async collect(entries: ReadonlyMap<string, HandedOut>): Promise<void> {
    const { redis, keys, insist } = this.place;
    if (entries.size === 0) return;
    for (const jobId of await insist(() => redis.hkeys(keys.results))) {
      const entry = entries.get(jobId);
      if (entry?.state !== 'handed' || this.collecting >= COLLECT_AT_ONCE) continue;
      entry.state = 'collected';
      this.collecting++;
      this.fetch(entry)
        .catch((error: unknown) => entry.reject(error))
        .finally(() => this.collecting--);
    }
  }

  private async fetch(entry: HandedOut): Promise<void> {
    const { redis, keys, keepReplies, insist } = this.place;
    const { jobId, task } = entry;
    const bytes = await insist(() => redis.hgetBuffer(keys.results, jobId));
    if (!bytes) {
      entry.state = 'handed';
      return;
    }
    const result = await unpackResult(bytes);
    // A problem that failed is tried again later, from the replies that it has.
    if (keepReplies || result.status === 'failed') await this.fetchReplies(entry);
    addUsage(entry.usage, result.usage);
    if (result.status === 'done') entry.resolve(JSON.parse(result.tree) as TreeJson);
    else entry.reject(new SteptreeError(result.code, result.message, { id: task.problem.id }));
  }

  private async fetchReplies({ jobId, task }: HandedOut): Promise<void> {
    const { redis, keys, insist } = this.place;
    const replies = task.store.repliesOf(task.ordinal);
    const found = await insist(() => redis.hgetallBuffer(keys.replies(jobId)));
    const puts = Object.entries(found).map(([name, bytes]) =>
      replies.put(name, unpackSmall(bytes)),
    );
    await Promise.all(puts);
  }
}
