import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  contentHash,
  type ImageRef,
  type Problem,
  type ReplyStore,
  type SamplingOptions,
} from '../../search/index.js';
import { problemHash } from './problem-hash.js';
import { RunStore } from './run-store.js';

/** What decides the replies of a search. */
export interface ReplyScope {
  readonly problem: Problem;
  readonly seed: number;
  readonly sampling: SamplingOptions;
  /** Identities, as the handles give them, and whatever else decides replies; null for none. */
  readonly policy: Readonly<Record<string, unknown>>;
  readonly prm: Readonly<Record<string, unknown>> | null;
  readonly critic: Readonly<Record<string, unknown>> | null;
}

/** Replies of many problems, strategies and settings in one folder. Solutions that one strategy drew
 *  serve all others with the same policy, seed and sampling; scores serve all with the same reward
 *  model. With anything else changed, a picture's bytes included, other replies are looked up, so
 *  nothing stale is used.
 *  Several processes may share the folder. */
export class SolveStore {
  private readonly store: RunStore;

  /** @throws SteptreeError STORE_OPEN_FAILED */
  constructor(dir: string) {
    this.store = new RunStore(dir);
  }

  async replies(scope: ReplyScope): Promise<ReplyStore> {
    const { problem, seed, sampling, policy, prm, critic } = scope;
    const pictures = await Promise.all(problem.images.map(pictureHash));
    const name = hashOf([problemHash(problem), pictures, seed, sampling, policy]);
    const replies = this.store.repliesUnder(name);
    const identities = { score: hashOf(prm), critique: hashOf(critic) };
    const keyOf = (key: string) => {
      const kind = key.slice(0, key.indexOf(' '));
      return kind === 'score' || kind === 'critique' ? `${key} ${identities[kind]}` : key;
    };
    return {
      get: (key) => replies.get(keyOf(key)),
      put: (key, value) => replies.put(keyOf(key), value),
    };
  }

  close(): Promise<void> {
    return this.store.close();
  }
}

function hashOf(value: unknown): string {
  return contentHash([JSON.stringify(value)]);
}

/** A picture that can't be read has none: recorded replies need no pictures. */
async function pictureHash({ location }: ImageRef): Promise<string | null> {
  // The bytes of a data: URL are its name.
  if (location.startsWith('data:')) return null;
  const bytes = await readFile(location).catch(() => null);
  return bytes && createHash('sha256').update(bytes).digest('base64');
}
