import { basename, resolve } from 'node:path';
import type { PolicyModel, SampleReply, SampleRequest } from '../../../search/types.js';
import type { BatcherStats } from './batcher.js';
import { Homes } from './homes.js';
import { type OnnxOptions, onnxOptions } from './options.js';
import { type CallCommand, type HostThread, startHostThreads } from './threads.js';

export interface OnnxPolicyStats extends BatcherStats {
  readonly threads: number;
  /** Mean number of sequences in a decode pass; 0 before the first one. */
  readonly meanBatch: number;
  /** Which graph decodes: `append` or `merged`. */
  readonly decoder: string;
}

/** A policy that runs a model folder on threads of this process. */
export interface OnnxPolicy extends PolicyModel {
  /** Sums over all threads. */
  stats(): Promise<OnnxPolicyStats>;
  /** Rejects what is under way with ONNX_HOST_CLOSED, finishes the running pass, frees the sessions
   *  and ends the threads. Call it before the process exits; calling it again does nothing. */
  close(): Promise<void>;
}

/** Loads a folder in the transformers.js layout on `options.threads` model-host threads. A problem
 *  stays with one thread, where its prefixes are cached, while the threads are evenly busy. The text of a sequence depends on
 *  the request and its seed alone, not on its neighbours, `maxBatch`, the cache or the threads.
 *  @param folder with config.json, tokenizer.json, …, onnx/
 *  @throws SteptreeError ONNX_FOLDER, ONNX_CONFIG or ONNX_GRAPH for a folder that can't be used */
export async function createOnnxPolicy(
  folder: string,
  options: Partial<OnnxOptions> = {},
): Promise<OnnxPolicy> {
  const settings = onnxOptions.parse(options);
  const threads = await startHostThreads(settings.threads, {
    folder: resolve(folder),
    options: settings,
  });
  const homes = new Homes(threads.length, settings.maxBatch);
  return {
    name: `onnx:${basename(resolve(folder))}`,
    async sample(request, signal) {
      const sequences = request.seeds.length;
      const thread = homes.enter(request.problem.id, sequences);
      try {
        return await sample(threads[thread], request, signal);
      } finally {
        homes.leave(thread, sequences);
      }
    },
    stats: () => sumStats(threads),
    async close() {
      await Promise.all(threads.map((thread) => thread.close()));
    },
  };
}

async function sample(
  thread: HostThread | undefined,
  request: SampleRequest,
  signal: AbortSignal | undefined,
): Promise<SampleReply> {
  signal?.throwIfAborted();
  if (thread === undefined || request.seeds.length === 0) {
    return { rollouts: [], promptTokens: 0, cachedTokens: 0 };
  }
  const { id, reply } = thread.call({ kind: 'sample', request } satisfies CallCommand);
  const message = await raced(reply, signal, () => thread.cancel(id));
  return message.kind === 'reply'
    ? message.reply
    : { rollouts: [], promptTokens: 0, cachedTokens: 0 };
}

/** The promise's value, or the signal's reason as soon as it aborts. */
function raced<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  onAbort: () => void,
): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => {
      onAbort();
      reject(signal.reason);
    };
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

async function sumStats(threads: readonly HostThread[]): Promise<OnnxPolicyStats> {
  const sum: BatcherStats = {
    decodedTokens: 0,
    promptTokens: 0,
    computedPromptTokens: 0,
    decodePasses: 0,
    prefillPasses: 0,
    decodedRows: 0,
  };
  const messages = await Promise.all(threads.map((thread) => thread.call({ kind: 'stats' }).reply));
  for (const message of messages) {
    if (message.kind !== 'stats') continue;
    for (const key of Object.keys(sum) as (keyof BatcherStats)[]) sum[key] += message.stats[key];
  }
  return {
    ...sum,
    threads: threads.length,
    meanBatch: sum.decodePasses === 0 ? 0 : sum.decodedRows / sum.decodePasses,
    decoder: threads[0]?.decoder ?? 'none',
  };
}
