import type { SearchContext } from '../context.js';
import { extendPath, ROOT_PATH } from '../expand.js';
import type { Rollout } from '../types.js';
import type { Draft } from './result.js';

/** Solutions drawn from the question. */
export interface Pool {
  readonly drafts: Draft[];
  /** A spent limit by its option's name, `earlyStop`, or null if all were drawn. */
  readonly stopped: string | null;
}

/** Draws `n` whole solutions. All strategies that need some draw these same samples: number i has
 *  the same seed whatever n is. The calls are cut at 1, 2, 4, … and then every `samplesPerRound`,
 *  so with one store the pool of a greater n answers every call of a smaller power of two.
 *  Side by side where nothing can end the drawing early, else in rounds.
 *  @param isEnough asked between rounds, with the number of samples still to come */
export async function drawSolutions(
  context: SearchContext,
  n: number,
  samplesPerRound: number,
  isEnough?: (drafts: readonly Draft[], left: number) => Promise<boolean>,
): Promise<Pool> {
  const draw = (count: number) =>
    context.sample([], { n: count, until: 'end', purpose: 'solution' });
  if (!isEnough && !context.limited) {
    const replies = await Promise.all(roundSizes(n, samplesPerRound).map(draw));
    return { drafts: replies.flat().map(sampledDraft), stopped: null };
  }
  const drafts: Draft[] = [];
  while (drafts.length < n) {
    const stopped = context.exhausted();
    if (stopped) return { drafts, stopped };
    const planned = roundSize(drafts.length, n, samplesPerRound);
    drafts.push(...(await draw(context.affordable(planned))).map(sampledDraft));
    const left = n - drafts.length;
    if (left > 0 && (await isEnough?.(drafts, left))) return { drafts, stopped: 'earlyStop' };
  }
  return { drafts, stopped: null };
}

/** A rollout to the end as a draft; an empty one is an incomplete candidate, not a missing one. */
export function sampledDraft(rollout: Rollout): Draft {
  const path = extendPath(ROOT_PATH, rollout);
  if (path) return { ...path, origin: 'sampled' };
  return {
    steps: [],
    finish: rollout.finish,
    policyTokens: rollout.policyTokens,
    origin: 'sampled',
  };
}

function roundSizes(n: number, samplesPerRound: number): number[] {
  const sizes: number[] = [];
  for (let drawn = 0; drawn < n; drawn += sizes.at(-1) ?? n) {
    sizes.push(roundSize(drawn, n, samplesPerRound));
  }
  return sizes;
}

function roundSize(drawn: number, n: number, samplesPerRound: number): number {
  return Math.min(Math.max(1, drawn), samplesPerRound, n - drawn);
}
