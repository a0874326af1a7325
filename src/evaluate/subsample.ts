/** What smaller N would have reached, from the pool of the largest: votes and best-of-N choose among
 *  samples that are drawn alike, so every subset of a pool is a run of its own size. */

import type { Aggregation } from '../../search/aggregate.js';
import { isComplete } from '../../search/expand.js';
import { createRandom } from '../../search/rng.js';
import { type SelectionName, selectWinner, type Votable } from '../../search/select.js';
import { bestOfNOptions } from '../../search/strategies/best-of-n.js';
import { type Candidate, votable } from '../../search/strategies/result.js';
import type { Verdict } from '../../search/types.js';
import type { Cell } from './cells.js';

/** Subsets drawn per problem and N. The standard error of a problem's share is 0.035 at most, and that of
 *  the mean over 100 problems 0.0035. */
const SUBSETS = 200;

/** Strategies whose candidates are whole solutions, drawn alike and independently of each other. */
const POOLED: Readonly<Record<string, boolean>> = { majority: true, 'best-of-n': true };

/** Whether smaller N of the cell's strategy can be read from its own pool.
 *  @param isSetwise of the reward model: scores that depend on the other candidates know the whole pool */
export function isPooled({ strategy, options }: Cell, isSetwise = false): boolean {
  const scores = strategy !== 'majority';
  return POOLED[strategy] === true && options.earlyStop !== true && !(scores && isSetwise);
}

/** Chance that the strategy of `cell`, at N = `n`, answers right, over subsets of a larger pool.
 *  @param verdicts one per candidate
 *  @param seed of the subsets
 *  @returns null where the pool is too small */
export function expectedCorrect(
  cell: Cell,
  n: number,
  candidates: readonly Candidate[],
  verdicts: readonly Verdict[],
  seed: string,
): number | null {
  if (candidates.length < n) return null;
  const items = poolOf(cell, candidates, verdicts);
  const { selection } = choiceOf(cell);
  if (n === candidates.length) return isRight(items, selection) ? 1 : 0;
  const random = createRandom(`subsample ${seed} ${n}`);
  let right = 0;
  for (let draw = 0; draw < SUBSETS; draw++) {
    const chosen = subset(items.length, n, random).map((at) => items[at] as PoolItem);
    if (isRight(chosen, selection)) right++;
  }
  return right / SUBSETS;
}

interface PoolItem {
  readonly votable: Votable;
  readonly complete: boolean;
  readonly right: boolean;
}

function poolOf(
  cell: Cell,
  candidates: readonly Candidate[],
  verdicts: readonly Verdict[],
): PoolItem[] {
  const { scoring } = choiceOf(cell);
  return candidates.map((candidate, index) => ({
    votable: votable(candidate, scoring),
    complete: isComplete(candidate),
    right: verdicts[index]?.verdict === 'equal',
  }));
}

function isRight(items: readonly PoolItem[], selection: SelectionName): boolean {
  const complete = items.filter((one) => one.complete);
  const winner = selectWinner(
    complete.map((one) => one.votable),
    selection,
  );
  return winner !== null && complete[winner]?.right === true;
}

function choiceOf({ strategy, options }: Cell): {
  selection: SelectionName;
  scoring: Aggregation | null;
} {
  if (strategy === 'majority') return { selection: 'majority', scoring: null };
  const parsed = bestOfNOptions.parse(options);
  return { selection: parsed.selection, scoring: parsed };
}

/** `n` different places of `total`, in ascending order: earlier ones win ties, as when they were drawn. */
function subset(total: number, n: number, random: () => number): number[] {
  const places = Array.from({ length: total }, (_, i) => i);
  for (let i = 0; i < n; i++) {
    const j = i + Math.floor(random() * (total - i));
    [places[i], places[j]] = [places[j] as number, places[i] as number];
  }
  return places.slice(0, n).sort((a, b) => a - b);
}
