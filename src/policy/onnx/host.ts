import { basename, resolve } from 'node:path';
import type { PolicyModel, SampleReply, SampleRequest } from '../../../search/types.js';
import type { BatcherStats } from './batcher.js';
import { Homes } from './homes.js';
import type { PolicyThreadData } from './host-thread.js';
import { type OnnxOptions, onnxOptions } from './options.js';
import { type HostThread, startHostThreads } from './threads.js';

export interface OnnxPolicyStats extends BatcherStats {
  readonly threads: number;
  /** Mean number of sequences in a decode pass; 0 before the first one. */
  readonly meanBatch: number;
  /** computedTokens of naiveTokens; 1 before the first request. */
  readonly computedShare: number;
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

type PolicyThread = HostThread<SampleRequest, SampleReply, BatcherStats>;

const THREAD_FILE = 'policy/onnx/host-thread.js';

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
  const data: PolicyThreadData = { folder: resolve(folder), options: settings };
  const threads: PolicyThread[] = await startHostThreads(settings.threads, THREAD_FILE, data);
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
  thread: PolicyThread | undefined,
  request: SampleRequest,
  signal: AbortSignal | undefined,
): Promise<SampleReply> {
  signal?.throwIfAborted();
  const nothing = { rollouts: [], promptTokens: 0, cachedTokens: 0 };
  if (thread === undefined || request.seeds.length === 0) return nothing;
  return thread.ask([{ request, signal }])[0] ?? nothing;
}

async function sumStats(threads: readonly PolicyThread[]): Promise<OnnxPolicyStats> {
  const sum: BatcherStats = {
    decodedTokens: 0,
    promptTokens: 0,
    computedPromptTokens: 0,
    decodePasses: 0,
    prefillPasses: 0,
    decodedRows: 0,
    computedTokens: 0,
    naiveTokens: 0,
  };
  for (const stats of await Promise.all(threads.map((thread) => thread.stats()))) {
    for (const key of Object.keys(sum) as (keyof BatcherStats)[]) sum[key] += stats[key];
  }
  return {
    ...sum,
    threads: threads.length,
    meanBatch: sum.decodePasses === 0 ? 0 : sum.decodedRows / sum.decodePasses,
    computedShare: sum.naiveTokens === 0 ? 1 : sum.computedTokens / sum.naiveTokens,
    decoder: threads[0]?.about ?? 'none',
  };
}
