import { basename, resolve } from 'node:path';
import type { MarkedPath, MarkedReply, MarkerModel } from '../../../prm/index.js';
import { Homes } from '../../policy/onnx/homes.js';
import { type HostThread, startHostThreads } from '../../policy/onnx/threads.js';
import type { PrmThreadData } from './host-thread.js';
import { type OnnxPrmHostOptions, onnxPrmHostOptions } from './options.js';
import type { PathReaderStats } from './path-reader.js';

export interface OnnxMarkerStats extends PathReaderStats {
  readonly threads: number;
  /** Mean number of blocks in a pass; 0 before the first one. */
  readonly meanBatch: number;
  /** computedTokens of pathTokens; 1 before the first path. */
  readonly computedShare: number;
}

/** A reward model that runs a model folder on threads of this process. */
export interface OnnxMarkerModel extends MarkerModel {
  /** Sums over all threads. */
  stats(): Promise<OnnxMarkerStats>;
}

type PrmThread = HostThread<MarkedPath, MarkedReply, PathReaderStats>;
type AskedPath = Parameters<MarkerModel['read']>[0][number];

const THREAD_FILE = 'scorer/onnx/host-thread.js';

/** Loads a folder that training/export_prm.py made on `options.threads` model-host threads. A problem
 *  stays with one thread, where the keys and values of its paths are cached, while the threads are
 *  evenly busy. A path's scores depend on the path alone, not on its neighbours, `maxBatch`, the cache
 *  or the threads. `close` rejects what is under way with ONNX_HOST_CLOSED, finishes the running pass,
 *  frees the sessions and ends the threads; call it before the process exits.
 *  @throws SteptreeError ONNX_FOLDER, ONNX_CONFIG or ONNX_GRAPH for a folder that can't be used */
export async function createOnnxMarkerModel(
  folder: string,
  options: Partial<OnnxPrmHostOptions> = {},
): Promise<OnnxMarkerModel> {
  const settings = onnxPrmHostOptions.parse(options);
  const data: PrmThreadData = { folder: resolve(folder), options: settings };
  const threads: PrmThread[] = await startHostThreads(settings.threads, THREAD_FILE, data);
  const homes = new Homes(threads.length, settings.maxBatch);
  return {
    name: `onnx:${basename(resolve(folder))}`,
    batchSize: settings.maxBatch,
    read: (paths) => readOn(threads, homes, paths),
    stats: () => sumStats(threads),
    async close() {
      await Promise.all(threads.map((thread) => thread.close()));
    },
  };
}

/** Asks each thread once for all its paths, so that they share its passes from the first on. */
function readOn(
  threads: readonly PrmThread[],
  homes: Homes,
  paths: readonly AskedPath[],
): Promise<MarkedReply>[] {
  const chosen = paths.map(({ problem }) => homes.enter(problem.id, 1));
  const replies = new Map<AskedPath, Promise<MarkedReply>>();
  for (const [index, thread] of threads.entries()) {
    const own = paths.filter((_, place) => chosen[place] === index);
    const asked = thread.ask(own.map(({ signal, ...request }) => ({ request, signal })));
    for (const [place, path] of own.entries()) {
      const reply = asked[place];
      if (reply) replies.set(path, reply);
    }
  }
  return paths.map(async (path, place) => {
    try {
      return await (replies.get(path) as Promise<MarkedReply>);
    } finally {
      homes.leave(chosen[place] ?? 0, 1);
    }
  });
}

async function sumStats(threads: readonly PrmThread[]): Promise<OnnxMarkerStats> {
  const sum: PathReaderStats = {
    paths: 0,
    pathTokens: 0,
    computedTokens: 0,
    passes: 0,
    blocks: 0,
  };
  for (const stats of await Promise.all(threads.map((thread) => thread.stats()))) {
    for (const key of Object.keys(sum) as (keyof PathReaderStats)[]) sum[key] += stats[key];
  }
  return {
    ...sum,
    threads: threads.length,
    meanBatch: sum.passes === 0 ? 0 : sum.blocks / sum.passes,
    computedShare: sum.pathTokens === 0 ? 1 : sum.computedTokens / sum.pathTokens,
  };
}
