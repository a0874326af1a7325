import { z } from 'zod';

/** Where the queue is; the same for a run and its workers. */
export const queueLinkOptions = z.strictObject({
  queue: z
    .string()
    .default('')
    .describe('redis:// or rediss:// URL of the queue that feeds `steptree worker` processes'),
  queueName: z
    .string()
    .regex(/^[\w.-]{1,60}$/, 'letters, digits, ".", "_" and "-" only')
    .default('label')
    .describe('name of the queue in that Redis; workers serve the queue of their name'),
  queuePasswordEnv: z
    .string()
    .min(1)
    .optional()
    .describe("name of the environment variable that holds the Redis password, in the URL's place"),
});

/** A run that hands its problems to workers. */
export const queueOptions = z.strictObject({
  ...queueLinkOptions.shape,
  queueWindow: z
    .int()
    .min(0)
    .default(0)
    .describe('problems in the queue or at workers at most; 0 is four times what the workers take'),
  queueMaxLosses: z
    .int()
    .min(1)
    .default(10)
    .describe('a problem whose worker was lost so often, without a new reply, has failed'),
});

export const workerOptions = z.strictObject({
  ...queueLinkOptions.shape,
  name: z
    .string()
    .regex(/^[\w.:@-]{0,100}$/, 'letters, digits and ". : @ _ -" only')
    .default('')
    .describe('name of this worker in logs and on the run; default: host and process'),
  concurrency: z
    .int()
    .min(1)
    .default(16)
    .describe('problems whose trees grow here at the same time, over one queue to the policy'),
  lockMs: z
    .int()
    .min(200)
    .default(30_000)
    .describe('a worker that is silent for so long is taken for lost, and others go on, ms'),
  drainMs: z
    .int()
    .min(0)
    .default(20_000)
    .describe('how long a stopped worker may finish problems before it hands them back, ms'),
  maxFailuresInARow: z
    .int()
    .min(1)
    .default(10)
    .describe(
      'stop this worker when so many problems fail one after the other: its policy is gone',
    ),
});

export type QueueOptions = z.infer<typeof queueOptions>;
export type WorkerOptions = z.infer<typeof workerOptions>;
