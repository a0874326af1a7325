import { createJsonEndpoint, type JsonEndpointOptions } from './http.js';
import { type RetryOptions, systemTiming, type Timing, withRetries } from './retry.js';

/** A JSON client of one OpenAI-compatible server that retries what can heal; for callers that
 *  need neither replicas nor continuation, such as a judge. */
export interface JsonClient {
  readonly url: string;
  /** @param path below the base URL, such as `/chat/completions`
   *  @throws SteptreeError POLICY_CALL_REFUSED, POLICY_CALL_FAILED, POLICY_CLOSED */
  post(path: string, body: unknown, signal?: AbortSignal): Promise<unknown>;
  get(path: string, signal?: AbortSignal): Promise<unknown>;
  /** Idempotent; ends calls in flight. */
  close(): Promise<void>;
}

/** @throws SteptreeError POLICY_URL_INVALID */
export function createJsonClient(
  url: string,
  options: JsonEndpointOptions & RetryOptions,
  timing: Timing = systemTiming,
): JsonClient {
  const endpoint = createJsonEndpoint(url, { ...options, now: timing.now, after: timing.after });
  const retried = <T>(attempt: () => Promise<T>, signal?: AbortSignal) =>
    withRetries(attempt, endpoint.url, options, timing, { signal });
  return {
    url: endpoint.url,
    post: (path, body, signal) => retried(() => endpoint.post(path, body, signal), signal),
    get: (path, signal) => retried(() => endpoint.get(path, signal), signal),
    close: () => endpoint.close(),
  };
}
