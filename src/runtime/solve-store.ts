import {
  contentHash,
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
 *  model. With anything else changed, other replies are looked up, so nothing stale is ever used.
 *  Several processes may share the folder. */
export class SolveStore {
  private readonly store: RunStore;

  /** @throws SteptreeError STORE_OPEN_FAILED */
  constructor(dir: string) {
    this.store = new RunStore(dir);
  }

  replies({ problem, seed, sampling, policy, prm, critic }: ReplyScope): ReplyStore {
    const scope = hashOf([problemHash(problem), seed, sampling, policy]);
    const replies = this.store.repliesUnder(scope);
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
