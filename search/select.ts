import { z } from 'zod';

export const SELECTIONS = ['vanilla', 'weighted', 'majority'] as const;

export type SelectionName = (typeof SELECTIONS)[number];

export const selectionShape = {
  selection: z
    .enum(SELECTIONS)
    .describe(
      'vanilla: the best path score wins; weighted: answers are voted on, each candidate with its score; majority: each with one vote',
    ),
};

/** What a vote knows of a candidate. */
export interface Votable {
  /** Index of its answer's group; -1 for no answer. */
  readonly group: number;
  /** Path score in the scale of its aggregation; null is unscored. */
  readonly score: number | null;
  /** The same in [0, 1]; null is unscored. */
  readonly weight: number | null;
}

/** Votes for one answer. */
export interface GroupVotes {
  readonly group: number;
  /** Candidates of the group, equal texts included: how often a policy says a thing is what
   *  self-consistency measures, so duplicates are not merged before a vote. */
  readonly votes: number;
  /** Sum of the group's weights. */
  readonly weight: number;
  /** Index of its best candidate: highest score, then earliest. */
  readonly best: number;
}

/** Votes per group, groups in order of first appearance; candidates without an answer have none. */
export function tallyVotes(candidates: readonly Votable[]): GroupVotes[] {
  const groups = new Map<number, { votes: number; weight: number; best: number }>();
  candidates.forEach((candidate, index) => {
    if (candidate.group < 0) return;
    const tally = groups.get(candidate.group) ?? { votes: 0, weight: 0, best: index };
    groups.set(candidate.group, {
      votes: tally.votes + 1,
      weight: tally.weight + (candidate.weight ?? 0),
      best: isBetter(candidate, candidates[tally.best]) ? index : tally.best,
    });
  });
  return [...groups].map(([group, tally]) => ({ group, ...tally }));
}

/** Index of the winner, or null if there are no candidates.
 *
 *  vanilla: highest score. weighted (Math-Shepherd, arXiv 2312.08935): most weight, then
 *  most votes. majority (self-consistency, arXiv 2203.11171): most votes, then most weight. A vote
 *  is won by the group's best candidate. All further ties go to the earlier candidate.
 *  An unscored candidate loses to every scored one, and one without an answer to every one that
 *  has an answer; only if there is no other it wins, in order of score, then place. */
export function selectWinner(
  candidates: readonly Votable[],
  selection: SelectionName,
): number | null {
  const votes = tallyVotes(candidates);
  if (selection === 'vanilla' || votes.length === 0) return argmax(candidates);
  const groups = votes.map(({ votes: count, weight }) =>
    selection === 'weighted' ? [weight, count] : [count, weight],
  );
  let winner = 0;
  for (let i = 1; i < groups.length; i++) {
    const [first = 0, second = 0] = groups[i] ?? [];
    const [bestFirst = 0, bestSecond = 0] = groups[winner] ?? [];
    if (first > bestFirst || (first === bestFirst && second > bestSecond)) winner = i;
  }
  return votes[winner]?.best ?? null;
}

/** Whether `left` further candidates can't change the winning answer any more: even if all voted
 *  for the runner-up, with weight 1 each where weights count, it would stay behind. */
export function isSettled(
  candidates: readonly Votable[],
  selection: Exclude<SelectionName, 'vanilla'>,
  left: number,
): boolean {
  const strengths = tallyVotes(candidates)
    .map(({ votes, weight }) => (selection === 'weighted' ? weight : votes))
    .sort((a, b) => b - a);
  // The margin is for sums of weights, whose last digits depend on the order of addition.
  return (strengths[0] ?? 0) - (strengths[1] ?? 0) > left + 1e-9;
}

function argmax(candidates: readonly Votable[]): number | null {
  let best: number | null = null;
  candidates.forEach((candidate, index) => {
    if (best === null || isBetter(candidate, candidates[best])) best = index;
  });
  return best;
}

function isBetter(a: Votable, b: Votable | undefined): boolean {
  if (b === undefined || a.group < 0 !== b.group < 0) return b === undefined || b.group < 0;
  return (a.score ?? -Infinity) > (b.score ?? -Infinity);
}
