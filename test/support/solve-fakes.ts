import type { SolveResult } from '../../search/index.js';

/** A result without what depends on the clock. */
export function withoutTimes<T extends Pick<SolveResult, 'elapsedMs'>>(result: T) {
  const { elapsedMs: _, ...rest } = result;
  return rest;
}
