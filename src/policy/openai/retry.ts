import { SteptreeError } from '../../../search/errors.js';
import { after, sleep } from '../sleep.js';
import { HttpFailure } from './http.js';

export interface RetryOptions {
  /** Attempts after the first one. */
  readonly maxRetries: number;
  /** Upper bound of the first wait; it doubles with every further attempt. */
  readonly retryBaseMs: number;
  /** Upper bound of every wait that no `Retry-After` lengthens. */
  readonly retryCapMs: number;
  /** Start of the flags that the messages name: `judge` for `--judge-max-retries`. */
  readonly flagPrefix?: string;
}

/** Time and chance, given from outside so that tests need neither. */
export interface Timing {
  /** Milliseconds since 1970. */
  now(): number;
  /** Uniform in [0, 1); it decides waits only, never a result. */
  random(): number;
  /** Resolves after `ms`; rejects with the signal's reason once it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `fire` after `ms` unless the returned function is called before. */
  after(ms: number, fire: () => void): () => void;
}

export const systemTiming: Timing = { now: Date.now, random: Math.random, sleep, after };

// A server that asks for more than this is better treated as failed.
const MAX_RETRY_AFTER_MS = 120_000;

/** Runs `attempt` until it succeeds, waiting with full jitter between attempts (a uniform share
 *  of the capped exponential) and at least as long as a `Retry-After` asks for.
 *  @param subject what is called, for messages: a URL or model name, never a key
 *  @throws SteptreeError POLICY_CALL_REFUSED at once for what can't heal, POLICY_CALL_FAILED after
 *  the last retry; whatever else `attempt` throws, unchanged */
export async function withRetries<T>(
  attempt: (index: number) => Promise<T>,
  subject: string,
  options: RetryOptions,
  timing: Timing,
  hooks: {
    readonly signal?: AbortSignal | undefined;
    /** Told of every failed attempt that will be retried. */
    readonly onRetry?: (failure: HttpFailure) => void;
    /** True if the next attempt goes to another server, so that this one's wish to be left alone
     *  need not be waited out. */
    readonly goesElsewhere?: () => boolean;
  } = {},
): Promise<T> {
  for (let index = 0; ; index++) {
    try {
      return await attempt(index);
    } catch (error) {
      if (!(error instanceof HttpFailure)) throw error;
      if (!error.facts.retryable) throw refusedError(subject, error, options);
      if (index >= options.maxRetries) throw failedError(subject, error, index + 1, options);
      hooks.onRetry?.(error);
      const elsewhere = hooks.goesElsewhere?.() ?? false;
      const waitMs = retryWaitMs(index, elsewhere ? undefined : error, options, timing);
      await timing.sleep(waitMs, hooks.signal);
    }
  }
}

/** The wait before attempt `index + 1`: uniform in [0, min(cap, base·2^index)), plus what a
 *  `Retry-After` of the failure asks for. */
export function retryWaitMs(
  index: number,
  failure: HttpFailure | undefined,
  options: RetryOptions,
  timing: Pick<Timing, 'random'>,
): number {
  const bound = Math.min(options.retryCapMs, options.retryBaseMs * 2 ** Math.min(index, 30));
  const asked = Math.min(failure?.facts.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS);
  return asked + timing.random() * bound;
}

function refusedError(subject: string, failure: HttpFailure, options: RetryOptions): SteptreeError {
  const { status } = failure.facts;
  const hint =
    status === 401 || status === 403
      ? `check the key in the variable named by ${flag(options, 'api-key-env')}`
      : status === 404
        ? 'check the URL and the model name'
        : 'the same request would be refused again, so it was not retried';
  return new SteptreeError(
    'POLICY_CALL_REFUSED',
    `${subject} refused the call: ${failure.message}; ${hint}`,
    { subject, kind: failure.kind, ...(status === undefined ? {} : { status }) },
  );
}

function failedError(
  subject: string,
  failure: HttpFailure,
  attempts: number,
  options: RetryOptions,
): SteptreeError {
  const { status } = failure.facts;
  return new SteptreeError(
    'POLICY_CALL_FAILED',
    `${subject} failed ${attempts} ${attempts === 1 ? 'time' : 'times'}, last with: ${failure.message}; check the server, or raise ${flag(options, 'max-retries')}`,
    {
      subject,
      attempts,
      kind: failure.kind,
      reason: failure.message,
      ...(status === undefined ? {} : { status }),
    },
  );
}

function flag({ flagPrefix }: RetryOptions, name: string): string {
  return flagPrefix ? `--${flagPrefix}-${name}` : `--${name}`;
}
