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
  scorePaths,
  shareEvenly,
} from '../expand.js';
import type { Draft } from './result.js';

export interface BeamRules extends Aggregation {
  /** Complete solutions at most. */
  readonly n: number;
  readonly maxSteps: number;
  readonly lookahead: number;
  /** Paths that survive a round (0 is the first).
   *  @param room solutions that may still be completed */
  readonly survivors: (round: number, room: number) => number;
  /** Next steps sampled from a round's paths and shared among them, at most `room`. */
  readonly samples: (round: number, paths: number, room: number) => number;
}

/** Grows a beam step by step: sample next steps, score the paths, keep the best, again.
 *
 *  Where search-and-learn's loop goes wrong, this one does not: the score of a path includes its
 *  lookahead; a path cut by the token limit is not complete; a completed path takes its place
 *  out of the budget, so tokens are not spent on more than `n` solutions; and the caller chooses
 *  the best of them, not the first. */
export async function growBeam(
  context: SearchContext,
  rules: BeamRules,
): Promise<{ drafts: Draft[]; stopped: string }> {
  const closed: PartialPath[] = [];
  let live: PartialPath[] = [ROOT_PATH];
  let completed = 0;
  let stopped: string | null = null;
  for (let round = 0; live.length > 0 && completed < rules.n; round++) {
    stopped = context.exhausted();
    if (stopped) break;
    const children = await growRound(context, live, rules, round, rules.n - completed);
    closed.push(...children.filter((path) => !isOpen(path)));
    completed += children.filter(isComplete).length;
    const room = rules.n - completed;
    const open = await scorePaths(context, room > 0 ? children.filter(isOpen) : [], rules);
    live = ranked(open).slice(0, Math.min(room, Math.max(1, rules.survivors(round, room))));
  }
  return { drafts: [...closed, ...live].flatMap(toDraft), stopped: stopped ?? 'done' };
}

async function growRound(
  context: SearchContext,
  live: readonly PartialPath[],
  rules: BeamRules,
  round: number,
  room: number,
): Promise<PartialPath[]> {
  const shares = shareEvenly(Math.min(room, rules.samples(round, live.length, room)), live.length);
  const wishes = live.map((path, i) => ({ path, n: shares[i] ?? 0 }));
  return distinctPaths((await nextSteps(context, wishes, rules.maxSteps)).flat());
}

/** A grown path as a draft; nothing for one without steps. */
export function toDraft({ steps, finish, policyTokens }: PartialPath): Draft[] {
  return steps.length === 0 ? [] : [{ steps, finish, policyTokens, origin: 'searched' }];
}
