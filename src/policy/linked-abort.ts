import { whenAborted } from './when-aborted.js';

/** `unlink` must be called in the end, or a long-lived outer signal collects listeners. */
export interface LinkedAbort {
  readonly signal: AbortSignal;
  abort(reason: unknown): void;
  unlink(): void;
}

/** Runs what belongs together side by side, in order: when one fails, the signal of the others aborts,
 *  for they are of no use any more. What is alone needs no signal of its own. */
export async function together<A, B>(
  items: readonly A[],
  outer: AbortSignal | undefined,
  run: (item: A, signal: AbortSignal | undefined) => Promise<B>,
): Promise<B[]> {
  const [first] = items;
  if (first === undefined) return [];
  if (items.length === 1) return [await run(first, outer)];
  const shared = linkedAbort(outer);
  try {
    return await Promise.all(items.map((item) => run(item, shared.signal)));
  } catch (error) {
    shared.abort(error);
    throw error;
  } finally {
    shared.unlink();
  }
}

/** An AbortController that also follows an outer signal until it is unlinked. Who listens to its signal
 *  does so by `whenAborted`. */
export function linkedAbort(outer: AbortSignal | undefined): LinkedAbort {
  const controller = new AbortController();
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    unlink: whenAborted(outer, () => controller.abort(outer?.reason)),
  };
}
