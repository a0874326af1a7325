import { z } from 'zod';
import { unitScore } from '../aggregate.js';
import type { SearchContext } from '../context.js';
import { extendPath, isComplete } from '../expand.js';
import type { PathScores, Rollout, Step } from '../types.js';
import { aggregationShape, count, nField, selectionField } from './options.js';
import { Arm, DEFAULT_PRIOR } from './posterior.js';
import { conclude, type Draft, type Strategy } from './result.js';

export const abMctsOptions = z.strictObject({
  n: nField,
  trialBatch: count.default(4).describe('solutions sampled side by side'),
  ...aggregationShape('mean'),
  ...selectionField('vanilla'),
});

type AbMctsOptions = z.infer<typeof abMctsOptions>;

/** A solution, and what may be tried from it. The root has no solution. */
export interface Trial {
  readonly parent: Trial | null;
  /** Index of its candidate; -1 at the root. */
  readonly draft: number;
  /** What a deeper trial keeps of the solution; null if there is nothing to go deeper into. */
  prefix: readonly Step[] | null;
  readonly children: Trial[];
  /** Rewards of new solutions made here, of going on from one of the children, and of this one
   *  with all below it. */
  readonly wider: Arm;
  readonly deeper: Arm;
  readonly own: Arm;
}

/** Adaptive branching tree search (AB-MCTS-A, arXiv 2503.04412): at each solution Thompson
 *  sampling decides between going wider, one more solution from the same prefix, and deeper, to
 *  one of the solutions made from it. Each new solution is scored as a whole.
 *
 *  In the paper going deeper lets the policy rewrite an answer after feedback. Without feedback,
 *  ours keeps a solution's steps before its lowest score and samples the rest anew; a child keeps
 *  at least one step more than its parent, so deeper never means the same as wider. Trials under
 *  way count as rewards of 0, so that a batch spreads; treequest's batches do not. */
export const abMcts: Strategy<AbMctsOptions> = async (_problem, context, options) => {
  const random = context.random('ab-mcts');
  const root = newTrial(null, -1, []);
  const drafts: Draft[] = [];
  let stopped: string | null = null;
  while (drafts.length < options.n) {
    stopped = context.exhausted();
    if (stopped) break;
    const wanted = Math.min(options.trialBatch, options.n - drafts.length);
    const parents = Array.from({ length: context.affordable(wanted) }, () => {
      const parent = descend(root, random);
      record(parent, (arm) => arm.observe(0));
      return parent;
    });
    const rollouts = await Promise.all(parents.map((parent) => drawFrom(context, parent)));
    const made = rollouts.map((rollout, i) => draftOf(rollout, parents[i] ?? root));
    const complete = made.filter(isComplete);
    const scores = await context.score(complete.map(({ steps }) => steps));
    const scoresOf = new Map(complete.map((draft, i) => [draft, scores[i]]));
    made.forEach((draft, i) => {
      enter(parents[i] ?? root, drafts.push(draft) - 1, draft, scoresOf.get(draft), options);
    });
  }
  return conclude(context, {
    strategy: 'ab-mcts',
    drafts,
    selection: options.selection,
    scoring: options,
    stopped: stopped ?? 'done',
  });
};

/** A trial without children or rewards.
 *  @param draft index of its candidate; -1 at the root
 *  @param prefix that deeper trials keep; [] at the root, null where nothing is to be kept */
export function newTrial(
  parent: Trial | null,
  draft: number,
  prefix: readonly Step[] | null,
): Trial {
  const arm = () => new Arm(DEFAULT_PRIOR);
  return { parent, draft, prefix, children: [], wider: arm(), deeper: arm(), own: arm() };
}

/** The solution from whose prefix the next one is sampled. */
export function descend(root: Trial, random: () => number): Trial {
  let at = root;
  for (;;) {
    const ways = at.children.filter(({ prefix }) => prefix !== null);
    if (ways.length === 0 || at.wider.sample(random) >= at.deeper.sample(random)) return at;
    const draws = ways.map(({ own }) => own.sample(random));
    at = ways[draws.indexOf(Math.max(...draws))] ?? at;
  }
}

/** Applies a reward to all arms that led to a solution made at `parent`. */
export function record(parent: Trial, apply: (arm: Arm) => void): void {
  apply(parent.wider);
  for (let at: Trial | null = parent; at?.parent; at = at.parent) {
    apply(at.own);
    apply(at.parent.deeper);
  }
}

async function drawFrom(context: SearchContext, parent: Trial): Promise<Rollout | undefined> {
  const prefix = parent.prefix ?? [];
  const purpose = prefix.length === 0 ? 'solution' : 'branch';
  const [rollout] = await context.sample(prefix, { n: 1, until: 'end', purpose });
  return rollout;
}

function draftOf(rollout: Rollout | undefined, parent: Trial): Draft {
  const steps = parent.prefix ?? [];
  const from = { steps, finish: 'step', policyTokens: 0 } as const;
  const path = rollout && extendPath(from, rollout);
  const made = path ?? { steps, finish: 'stuck', policyTokens: rollout?.policyTokens ?? 0 };
  if (parent.draft < 0) return { ...made, origin: 'sampled' };
  return { ...made, origin: 'branched', parent: parent.draft };
}

/** Enters a new solution into the tree. One without a score counts as reward 0 and is no way on. */
function enter(
  parent: Trial,
  index: number,
  draft: Draft,
  scores: PathScores | undefined,
  options: AbMctsOptions,
): void {
  const reward = (scores && unitScore(scores, options)) ?? 0;
  record(parent, (arm) => {
    arm.forget(0);
    arm.observe(reward);
  });
  const kept = parent.prefix?.length ?? 0;
  const trial = newTrial(parent, index, scores ? prefixToKeep(draft.steps, scores, kept) : null);
  trial.own.observe(reward);
  parent.children.push(trial);
}

/** Steps before the lowest score, at least one more than the `kept` ones that the solution was
 *  made from; null if the solution is not long enough. Without step scores, half of the rest. */
export function prefixToKeep(
  steps: readonly Step[],
  { steps: scores }: PathScores,
  kept: number,
): readonly Step[] | null {
  const first = kept + 1;
  if (first >= steps.length) return null;
  if (scores.length === 0) return steps.slice(0, Math.max(first, (kept + steps.length) >> 1));
  let weakest = first;
  for (let i = first; i < steps.length; i++) {
    if ((scores[i] ?? 0) < (scores[weakest] ?? 0)) weakest = i;
  }
  return steps.slice(0, weakest);
}
