import type { Aggregation } from '../aggregate.js';
import type { SearchContext } from '../context.js';
import {
  distinctPaths,
  isComplete,
  isOpen,
  nextSteps,
  type PartialPath,
  ROOT_PATH,
  ranked,
  type ScoredPath,
  scorePaths,
} from '../expand.js';

export interface SubtreeRules extends Aggregation {
  readonly subtrees: number;
  /** Next steps sampled per subtree and round. */
  readonly width: number;
  readonly maxSteps: number;
  readonly lookahead: number;
}

/** A greedy walk: at each step the best of `width` samples is taken. */
export interface Subtree {
  /** Where the walk stands. */
  readonly at: PartialPath;
  /** Complete solutions of its last step, best first; empty while it goes on or if it failed. */
  readonly finished: readonly ScoredPath[];
  /** The best complete solution that the walk passed over for an open path. */
  readonly spare: ScoredPath | null;
}

/** Walks several subtrees side by side, each greedily by its own scores, until each has finished.
 *  Subtrees differ because each draws samples of its own. One that can't go on (empty, truncated
 *  or stuck samples only, or a spent budget) falls back on its `spare`, or ends unfinished. */
export async function walkSubtrees(
  context: SearchContext,
  rules: SubtreeRules,
): Promise<{ subtrees: Subtree[]; stopped: string }> {
  let stopped: string | null = null;
  const subtrees: Subtree[] = Array.from({ length: rules.subtrees }, () => {
    return { at: ROOT_PATH, finished: [], spare: null };
  });
  for (;;) {
    const live = subtrees.flatMap(({ at }, i) => (isOpen(at) ? [i] : []));
    stopped = live.length > 0 ? context.exhausted() : null;
    if (live.length === 0 || stopped) break;
    const wishes = live.map((i) => ({ path: subtrees[i]?.at ?? ROOT_PATH, n: rules.width }));
    const children = (await nextSteps(context, wishes, rules.maxSteps)).map(distinctPaths);
    const scored = await scorePaths(context, children.flat(), rules);
    let at = 0;
    live.forEach((subtree, i) => {
      const first = at;
      at += children[i]?.length ?? 0;
      subtrees[subtree] = step(subtrees[subtree] as Subtree, scored.slice(first, at));
    });
  }
  return { subtrees: subtrees.map(settle), stopped: stopped ?? 'done' };
}

function step(subtree: Subtree, children: readonly ScoredPath[]): Subtree {
  const inOrder = ranked(children);
  const best = inOrder[0];
  const complete = inOrder.filter(isComplete);
  if (!best) return { ...subtree, at: { ...subtree.at, finish: 'stuck' } };
  if (isComplete(best)) return { at: best, finished: complete, spare: subtree.spare };
  const passed = complete[0];
  const better = passed && passed.rank > (subtree.spare?.rank ?? Number.NEGATIVE_INFINITY);
  return { at: best, finished: [], spare: better ? passed : subtree.spare };
}

function settle(subtree: Subtree): Subtree {
  if (subtree.finished.length > 0 || !subtree.spare) return subtree;
  return { ...subtree, finished: [subtree.spare] };
}
