import { type Aggregation, pathScore, unitScore } from './aggregate.js';
import type { SearchContext, StateWish } from './context.js';
import type { ListHash } from './hash.js';
import type { FinishReason, Rollout, Step } from './types.js';

/** How a path stands. `step`: open, it can be continued. `end`: the policy finished it.
 *  `length`: the token limit cut it. `stuck`: it repeats itself or has `maxSteps` steps.
 *  Only `end` is a completed solution. */
export type PathFinish = FinishReason | 'stuck';

/** A partial or finished solution in a search over steps. */
export interface PartialPath {
  readonly steps: readonly Step[];
  readonly finish: PathFinish;
  /** Tokens that the policy generated for these steps. */
  readonly policyTokens: number;
  /** Hash of the steps, in searches that extend it step by step. */
  readonly hash?: ListHash;
}

export interface ScoredPath extends PartialPath {
  /** Path score in [0, 1]; -Infinity where it can't be scored. */
  readonly score: number;
  /** The same in the scale of its aggregation. A sum of log-odds can be above 40 where every score in
   *  [0, 1] is 1, so paths are ranked by this one. */
  readonly rank: number;
}

export const ROOT_PATH: PartialPath = { steps: [], finish: 'step', policyTokens: 0 };

/** Samples next steps of several paths side by side.
 *  @param wishes paths, each with the number of samples wanted; one path may stand in several
 *  @returns children of each, in order of samples; empty steps are dropped with a warning */
export async function nextSteps(
  context: SearchContext,
  wishes: readonly { readonly path: PartialPath; readonly n: number }[],
  maxSteps: number,
): Promise<PartialPath[][]> {
  const asked: StateWish[] = [];
  for (const { path, n } of wishes) if (n > 0) asked.push(stepWish(path, n));
  const replies = await context.sampleEach(asked);
  let at = 0;
  return wishes.map(({ path, n }) => {
    const children: PartialPath[] = [];
    if (n === 0) return children;
    for (const rollout of replies[at++] ?? []) {
      const child = extendPath(path, rollout, maxSteps);
      if (child) children.push(child);
      else context.warn(EMPTY_STEPS);
    }
    return children;
  });
}

function stepWish({ steps: prefix, hash }: PartialPath, n: number): StateWish {
  if (!hash) return { prefix, n, until: 'step', purpose: 'step' };
  return { prefix, hash, n, until: 'step', purpose: 'step' };
}

/** The path with a rollout's steps at its end, or null if it got no further. A policy that has
 *  nothing to add and ends there has completed the path as it is. */
export function extendPath(
  path: PartialPath,
  rollout: Rollout,
  maxSteps = Number.POSITIVE_INFINITY,
): PartialPath | null {
  const added = rollout.steps.every(isSaid) ? rollout.steps : rollout.steps.filter(isSaid);
  const policyTokens = path.policyTokens + rollout.policyTokens;
  if (added.length === 0) {
    const completes = rollout.finish === 'end' && path.steps.length > 0;
    return completes ? newPath(path.steps, 'end', policyTokens, path.hash) : null;
  }
  const steps = path.steps.concat(added);
  const goesOn = rollout.finish === 'step';
  const stuck = goesOn && (steps.length >= maxSteps || repeatsItself(steps));
  const finish = stuck ? 'stuck' : rollout.finish;
  return newPath(steps, finish, policyTokens, path.hash?.extended(added));
}

/** Literals, not spreads: this is made for every sample of a search. */
function newPath(
  steps: readonly Step[],
  finish: PathFinish,
  policyTokens: number,
  hash: ListHash | undefined,
): PartialPath {
  return hash ? { steps, finish, policyTokens, hash } : { steps, finish, policyTokens };
}

function isSaid(step: Step): boolean {
  return step.trim() !== '';
}

/** Paths without those that say the same as an earlier one. */
export function distinctPaths<P extends PartialPath>(paths: readonly P[]): P[] {
  const seen = new Set<string>();
  return paths.filter(({ steps, finish }) => {
    const key = `${finish}\u0000${steps.join('\u0000')}`;
    return !seen.has(key) && seen.add(key);
  });
}

/** Scores paths with one request. Truncated and stuck ones are not asked for: they are no way to
 *  go on and no solution.
 *  @param lookahead greedy steps by which open paths are continued for their score only */
export async function scorePaths(
  context: SearchContext,
  paths: readonly PartialPath[],
  by: Aggregation & { readonly maxSteps?: number; readonly lookahead?: number },
): Promise<ScoredPath[]> {
  const alive = paths.filter(isAlive);
  const seen = await lookAhead(context, alive, by.lookahead ?? 0, by.maxSteps);
  const scores = await context.score(
    seen.map(({ steps }) => steps),
    seen.map(({ hash }) => hash),
  );
  let at = 0;
  return paths.map((path) => {
    const own = isAlive(path) ? scores[at++] : undefined;
    const score = (own && unitScore(own, by)) ?? Number.NEGATIVE_INFINITY;
    const rank = (own && pathScore(own, by)) ?? Number.NEGATIVE_INFINITY;
    const { steps, finish, policyTokens, hash } = path;
    return hash
      ? { steps, finish, policyTokens, hash, score, rank }
      : { steps, finish, policyTokens, score, rank };
  });
}

/** Best rank first; equal ones keep their order. */
export function ranked(paths: readonly ScoredPath[]): ScoredPath[] {
  // Not a difference: -Infinity minus itself is NaN.
  return [...paths].sort((a, b) => (a.rank === b.rank ? 0 : a.rank < b.rank ? 1 : -1));
}

/** `total` places shared among `count`, as evenly as can be, the first ones getting the rest. */
export function shareEvenly(total: number, count: number): number[] {
  return Array.from(
    { length: count },
    (_, i) => Math.floor(total / count) + (i < total % count ? 1 : 0),
  );
}

export function isOpen(path: PartialPath): boolean {
  return path.finish === 'step';
}

export function isComplete(path: PartialPath): boolean {
  return path.finish === 'end' && path.steps.length > 0;
}

function isAlive(path: PartialPath): boolean {
  return isOpen(path) || isComplete(path);
}

async function lookAhead(
  context: SearchContext,
  paths: readonly PartialPath[],
  lookahead: number,
  maxSteps = Number.POSITIVE_INFINITY,
): Promise<readonly PartialPath[]> {
  let seen = paths;
  for (let round = 0; round < lookahead; round++) {
    seen = await Promise.all(
      seen.map(async (path) => {
        if (!isOpen(path)) return path;
        const wish = { n: 1, until: 'step', purpose: 'lookahead', temperature: 0 } as const;
        const [rollout] = await context.sample(path.steps, wish);
        return (rollout && extendPath(path, rollout, maxSteps)) ?? path;
      }),
    );
  }
  return seen;
}

/** A step that stands three times in a row: the policy goes in a circle. */
function repeatsItself(steps: readonly Step[]): boolean {
  const last = steps.at(-1);
  return steps.length >= 3 && last === steps.at(-2) && last === steps.at(-3);
}

const EMPTY_STEPS = 'the policy returned empty steps; they were dropped';
