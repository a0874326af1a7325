import { join } from 'node:path';
import { lockRun, RUN_FILES } from '../runtime/run-files.js';
import { SolveStore } from '../runtime/solve-store.js';
import { type ModelRequest, openSolveModels, type SolveModels } from './solve-models.js';

/** Models and a folder that keeps their replies, held by this process alone. */
export interface StoredModels {
  readonly models: SolveModels;
  readonly store: SolveStore;
  close(): Promise<void>;
}

/** @param dir the run's folder; its replies are in `store/`, found by all that decides them
 *  @throws SteptreeError RUN_LOCKED, RUN_DIR_UNUSABLE, STORE_OPEN_FAILED, what opening a model throws;
 *  nothing stays open then */
export async function openStoredModels(
  request: ModelRequest,
  dir: string,
  io: { readonly signal: AbortSignal; readonly log: (line: string) => void },
): Promise<StoredModels> {
  const unlock = lockRun(dir);
  try {
    const store = new SolveStore(join(dir, RUN_FILES.store));
    try {
      const models = await openSolveModels(request, null, io);
      const close = async () => {
        await models.close();
        await store.close();
        unlock();
      };
      return { models, store, close };
    } catch (error) {
      await store.close();
      throw error;
    }
  } catch (error) {
    unlock();
    throw error;
  }
}
