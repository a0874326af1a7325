/** Names of everything that Steptree keeps in Redis beside BullMQ's own keys. */

/** Prefix of BullMQ's keys. */
export const JOBS_PREFIX = 'steptree:jobs';

/** Nothing stays for good: what nobody has touched for a week is gone, results of a run whose
 *  coordinator never came back among it. */
export const KEPT_SECONDS = 7 * 24 * 3600;

export interface RunKeys {
  /** Hash: `version`, `spec` (JSON), `specHash`. That it is there says that the run's keys are. */
  readonly meta: string;
  /** Set of job ids that the run still wants a result of. */
  readonly wanted: string;
  /** Hash: job id to the lock token of the worker that has it; nobody else may write for it. */
  readonly owner: string;
  /** Hash: job id to its tries since the last start that found new replies (scripts.ts). */
  readonly tries: string;
  /** Hash: job id to its packed result. */
  readonly results: string;
  /** Hash: call key to packed reply, of one unfinished problem. */
  replies(jobId: string): string;
  /** Bytes of a picture, by content. */
  picture(hash: string): string;
}

export function runKeys(queueName: string, runId: string): RunKeys {
  const base = `steptree:run:${queueName}:${runId}`;
  return {
    meta: `${base}:meta`,
    wanted: `${base}:wanted`,
    owner: `${base}:owner`,
    tries: `${base}:tries`,
    results: `${base}:results`,
    replies: (jobId) => `${base}:replies:${jobId}`,
    picture: (hash) => `${base}:picture:${hash}`,
  };
}

/** Sorted set: worker id by the time of its last heartbeat, on Redis's clock. */
export function workersKey(queueName: string): string {
  return `steptree:workers:${queueName}`;
}

export function workerKey(queueName: string, id: string): string {
  return `${workersKey(queueName)}:${id}`;
}
