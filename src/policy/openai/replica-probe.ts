import { whenAborted } from '../when-aborted.js';
import { HttpFailure, type JsonEndpoint } from './http.js';
import type { Timing } from './retry.js';

/** No sign of life within this, and a probe has failed. */
export const PROBE_TIMEOUT_MS = 5_000;

/** Whether the server behind the endpoint is up: `/health` (vLLM, SGLang, llama.cpp), or any answer
 *  to `/v1/models` where there is no such route. */
export async function probeReplica(
  endpoint: JsonEndpoint,
  timing: Pick<Timing, 'after'>,
  signal?: AbortSignal,
): Promise<boolean> {
  const health = await ask(endpoint, '../health', timing, signal);
  if (health !== 'absent') return health === 'up';
  return (await ask(endpoint, '/models', timing, signal)) !== 'down';
}

async function ask(
  endpoint: JsonEndpoint,
  path: string,
  timing: Pick<Timing, 'after'>,
  outer?: AbortSignal,
): Promise<'up' | 'down' | 'absent'> {
  const abort = new AbortController();
  const stopTimer = timing.after(PROBE_TIMEOUT_MS, () => abort.abort());
  const forget = whenAborted(outer, () => abort.abort());
  try {
    await endpoint.get(path, abort.signal);
    return 'up';
  } catch (error) {
    if (!(error instanceof HttpFailure)) return 'down';
    // vLLM's /health has an empty body: an answer is an answer, though no JSON.
    if (error.kind === 'body') return 'up';
    const status = error.facts.status ?? 0;
    return status >= 400 && status < 500 && status !== 429 ? 'absent' : 'down';
  } finally {
    stopTimer();
    forget();
  }
}
