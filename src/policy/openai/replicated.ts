import { HttpFailure } from './http.js';
import type { Replica, ReplicaSet } from './replicas.js';
import { type RetryOptions, type Timing, withRetries } from './retry.js';

export interface ReplicatedCall {
  /** Calls with the same affinity go to the same replica while it is well. */
  readonly affinity: string;
  /** What is called, for messages: a URL or model name, never a key. */
  readonly subject: string;
  readonly retry: RetryOptions;
  readonly timing: Timing;
  readonly signal?: AbortSignal | undefined;
  readonly onRetry?: (failure: HttpFailure) => void;
}

/** Runs a call on the affinity's replica, and after a failure that can heal on the next one.
 *  @throws SteptreeError POLICY_CALL_REFUSED, POLICY_CALL_FAILED, and what `attempt` throws */
export async function withReplicas<T>(
  replicas: ReplicaSet,
  call: ReplicatedCall,
  attempt: (replica: Replica) => Promise<T>,
): Promise<T> {
  const { affinity, subject, retry, timing, signal, onRetry } = call;
  let failedOn: Replica | undefined;
  const once = async (): Promise<T> => {
    const replica = replicas.pick(affinity, failedOn);
    try {
      const reply = await attempt(replica);
      replicas.succeeded(replica);
      return reply;
    } catch (error) {
      if (error instanceof HttpFailure && error.facts.retryable) {
        replicas.failed(replica, error);
        failedOn = replica;
      } else {
        replicas.released(replica);
      }
      throw error;
    }
  };
  return withRetries(once, subject, retry, timing, {
    signal,
    goesElsewhere: () => replicas.peek(affinity, failedOn) !== failedOn,
    ...(onRetry ? { onRetry } : {}),
  });
}
