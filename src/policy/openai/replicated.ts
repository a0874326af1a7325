import { linkedAbort } from '../linked-abort.js';
import { HttpFailure } from './http.js';
import type { Replica, ReplicaSet } from './replicas.js';
import { type RetryOptions, type Timing, withRetries } from './retry.js';

export interface ReplicatedCall {
  /** Calls with the same affinity go to the same replica while it is well and has room. */
  readonly affinity: string;
  /** Rollouts that it asks for, 1 if it asks for something else. */
  readonly rollouts: number;
  /** What is called, for messages: a URL or model name, never a key. */
  readonly subject: string;
  readonly retry: RetryOptions;
  readonly timing: Timing;
  readonly signal?: AbortSignal | undefined;
  readonly onRetry?: (failure: HttpFailure) => void;
}

/** Runs a call on the affinity's replica, and after a failure that can heal on another one: also
 *  when the replica is given up while the call is under way.
 *  @param attempt its signal also aborts when the replica is given up
 *  @throws SteptreeError POLICY_CALL_REFUSED, POLICY_CALL_FAILED, POLICY_REPLICAS_DOWN, and what
 *  `attempt` throws */
export async function withReplicas<T>(
  replicas: ReplicaSet,
  call: ReplicatedCall,
  attempt: (replica: Replica, signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  const { affinity: key, rollouts, subject, retry, timing, signal, onRetry } = call;
  let failedOn: Replica | undefined;
  const once = async (): Promise<T> => {
    const lease = await replicas.acquire({ key, rollouts, avoid: failedOn }, signal);
    const { replica } = lease;
    const either = replicas.all.length > 1 ? linkedAbort(signal) : undefined;
    if (either) lease.whenLost((failure) => either.abort(failure));
    try {
      const reply = await attempt(replica, either ? either.signal : signal);
      lease.succeeded();
      return reply;
    } catch (error) {
      if (error instanceof HttpFailure && error.facts.retryable) {
        lease.failed(error);
        failedOn = replica;
      } else {
        lease.released();
      }
      throw error;
    } finally {
      either?.unlink();
    }
  };
  return withRetries(once, subject, retry, timing, {
    signal,
    goesElsewhere: () => replicas.peek({ key, rollouts, avoid: failedOn }) !== failedOn,
    ...(onRetry ? { onRetry } : {}),
  });
}
