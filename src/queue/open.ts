/** The two ends of a queue, opened. */
import type { Labeller } from '../runtime/labeller.js';
import { QueueLabeller } from './coordinator.js';
import type { WorkerOverrides } from './models.js';
import type { QueueOptions, WorkerOptions } from './options.js';
import { connectRedis } from './redis.js';
import type { RunSpec } from './spec.js';
import { QueueWorker } from './worker.js';

export interface QueueIo {
  readonly quiet?: boolean;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}

export interface OpenCoordinator {
  readonly labeller: Labeller;
  /** The queue's address without secrets. */
  readonly shown: string;
  close(): Promise<void>;
}

/** @throws SteptreeError QUEUE_URL_INVALID, QUEUE_PASSWORD_MISSING, QUEUE_REFUSED */
export async function openCoordinator(
  options: QueueOptions,
  spec: RunSpec,
  { quiet = false, signal, log, keepReplies }: QueueIo & { readonly keepReplies: boolean },
): Promise<OpenCoordinator> {
  const { queue: url, queueName, queueWindow: window, queuePasswordEnv: passwordEnv } = options;
  const link = await connectRedis({ url, passwordEnv, log, signal });
  const labeller = new QueueLabeller({
    ...{ link, queueName, window, spec, keepReplies, quiet, signal, log },
  });
  return { labeller, shown: link.shown, close: () => labeller.close() };
}

export interface OpenWorker {
  readonly worker: QueueWorker;
  close(): Promise<void>;
}

/** @throws as `openCoordinator` */
export async function openWorker(
  options: WorkerOptions,
  overrides: WorkerOverrides,
  { signal, log }: QueueIo,
): Promise<OpenWorker> {
  const { queue: url, queuePasswordEnv: passwordEnv, ...settings } = options;
  // A connection that is cut must be noticed before the locks run out.
  const silenceMs = Math.max(1_000, Math.min(15_000, settings.lockMs / 2));
  const link = await connectRedis({ url, passwordEnv, silenceMs, log, signal });
  const worker = new QueueWorker({ ...settings, link, overrides, signal, log });
  return { worker, close: () => link.close() };
}
