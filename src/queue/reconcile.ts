/** What is handed out against what Redis has: each look mends what got lost on the way. */
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { RunStore } from '../runtime/run-store.js';
import type { HandedOut, HandOut, Insist } from './hand-out.js';
import { ordinalOf } from './job.js';
import type { RunKeys } from './keys.js';

export interface ReconcilePlace {
  readonly redis: Redis;
  readonly queue: Queue;
  readonly keys: RunKeys;
  readonly store: RunStore;
  readonly handOut: HandOut;
  readonly insist: Insist;
  readonly log: (line: string) => void;
}

export async function reconcile(
  entries: ReadonlyMap<string, HandedOut>,
  place: ReconcilePlace,
): Promise<void> {
  const { redis, keys, handOut, insist } = place;
  if ((await insist(() => redis.exists(keys.meta))) === 0) await restore(entries, place);
  else await handMissing(entries, place);
  await forgetSettled(entries, place);
  await handOut.removeLeftovers();
}

/** Redis was started again without its data. */
async function restore(
  entries: ReadonlyMap<string, HandedOut>,
  { handOut, log }: ReconcilePlace,
): Promise<void> {
  log(`Redis has lost its data; ${entries.size} problems are handed out again`);
  await handOut.publish();
  await Promise.all([...entries.values()].map((entry) => handAgain(entry, handOut)));
}

/** A job that is neither in the queue nor has a result fell out of Redis some other way. */
async function handMissing(
  entries: ReadonlyMap<string, HandedOut>,
  { redis, queue, keys, handOut, insist }: ReconcilePlace,
): Promise<void> {
  for (const entry of [...entries.values()]) {
    if (entry.state !== 'handed') continue;
    const there = await insist(() => redis.exists(queue.toKey(entry.jobId)));
    const ready = await insist(() => redis.hexists(keys.results, entry.jobId));
    entry.missing = there + ready > 0 ? 0 : entry.missing + 1;
    // Once is nothing: a worker may have given its result between the two looks.
    if (entry.missing >= 2) await handAgain(entry, handOut);
  }
}

async function handAgain(entry: HandedOut, handOut: HandOut): Promise<void> {
  if (entry.state !== 'handed') return;
  entry.missing = 0;
  await handOut.hand(entry, true);
}

/** A coordinator that was killed between settling and taking away, or a Redis that lost its last second,
 *  left something behind. Replies of failed problems are in the run's store. */
async function forgetSettled(
  entries: ReadonlyMap<string, HandedOut>,
  { redis, keys, store, handOut, insist }: ReconcilePlace,
): Promise<void> {
  for (const jobId of await insist(() => redis.smembers(keys.wanted))) {
    // A failed problem that is tried again has an entry.
    if (entries.has(jobId) || !store.problem(ordinalOf(jobId))) continue;
    await handOut.forget(jobId);
  }
}
