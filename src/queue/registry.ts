/** Which workers are there, and what they do. */
import type { Redis } from 'ioredis';
import { z } from 'zod';
import { workerKey, workersKey } from './keys.js';

const spent = z.object({ rollouts: z.number(), tokens: z.number() });

/** What a worker says of itself with every heartbeat. */
const workerFacts = z.looseObject({
  id: z.string(),
  name: z.string(),
  version: z.string(),
  /** Problems at once. */
  concurrency: z.number(),
  active: z.number(),
  inFlight: z.number(),
  maxInFlight: z.number(),
  waiting: z.number(),
  rolloutsPerSecond: z.number(),
  /** Spent on problems that are not finished, by job. */
  live: z.record(z.string(), spent),
});
export type WorkerFacts = z.infer<typeof workerFacts>;

/** All workers that gave a sign of life lately. What can't be read is of another version. */
export async function liveWorkers(redis: Redis, queueName: string): Promise<WorkerFacts[]> {
  const ids = await redis.zrange(workersKey(queueName), '0', '-1');
  if (ids.length === 0) return [];
  const texts = await redis.mget(ids.map((id) => workerKey(queueName, id)));
  return texts.flatMap((text) => {
    if (text === null) return [];
    const parsed = workerFacts.safeParse(JSON.parse(text));
    return parsed.success ? [parsed.data] : [];
  });
}

/** A worker leaves. */
export async function deregister(redis: Redis, queueName: string, id: string): Promise<void> {
  await redis.zrem(workersKey(queueName), id);
  await redis.del(workerKey(queueName, id));
}
