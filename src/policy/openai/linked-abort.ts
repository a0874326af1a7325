import { setMaxListeners } from 'node:events';

/** `unlink` must be called in the end, or a long-lived outer signal collects listeners. */
export interface LinkedAbort {
  readonly signal: AbortSignal;
  abort(reason: unknown): void;
  unlink(): void;
}

/** An AbortController that also follows an outer signal until it is unlinked. */
export function linkedAbort(outer: AbortSignal | undefined): LinkedAbort {
  const controller = new AbortController();
  // Hundreds of calls share a run's signal, and dozens of requests a call's: that is no leak.
  setMaxListeners(0, controller.signal, ...(outer ? [outer] : []));
  const onAbort = () => controller.abort(outer?.reason);
  outer?.addEventListener('abort', onAbort, { once: true });
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    unlink: () => outer?.removeEventListener('abort', onAbort),
  };
}
