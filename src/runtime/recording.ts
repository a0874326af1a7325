import { join } from 'node:path';
import type { SampleReply, Step } from '../../search/types.js';
import { openAtomic } from '../data/files.js';
import { formatRecordedReply } from '../policy/recording.js';
import { RUN_FILES } from './run-files.js';
import { RunStore } from './run-store.js';

/** Writes all kept replies of a run as a file for `recorded:FILE`, problem by problem and in the
 *  order of the calls, so that the bytes don't depend on timing.
 *  @throws SteptreeError FILE_WRITE_FAILED, STORE_OPEN_FAILED */
export async function writeRecording(dir: string, path: string): Promise<void> {
  const store = new RunStore(join(dir, RUN_FILES.store));
  const file = await openAtomic(path);
  try {
    for (const { key: ordinal, value } of store.allProblems()) {
      for (const reply of callsInOrder(store, ordinal)) {
        await file.write(formatRecordedReply(value.id, reply.prefix, reply));
      }
    }
    await file.commit();
  } finally {
    await file.discard();
    await store.close();
  }
}

interface StoredCall extends SampleReply {
  readonly prefix: readonly Step[];
  readonly sequence: number;
}

function callsInOrder(store: RunStore, ordinal: number): StoredCall[] {
  const calls: StoredCall[] = [];
  for (const [key, value] of store.storedReplies(ordinal)) {
    if (key.startsWith('sample ')) calls.push(value as StoredCall);
  }
  return calls.sort((a, b) => a.sequence - b.sequence);
}
