import { z } from 'zod';
import type { SearchContext } from '../context.js';
import { SteptreeError } from '../errors.js';
import { extendPath, isComplete, shareEvenly } from '../expand.js';
import type { Critique, Rollout, Step } from '../types.js';
import { aggregationShape, nField, samplesPerRoundField, selectionField } from './options.js';
import { drawSolutions, sampledDraft } from './pool.js';
import { conclude, type Draft, type Strategy } from './result.js';

export const refinedBestOfNOptions = z.strictObject({
  n: nField,
  withoutError: z
    .enum(['resample', 'skip', 'keep'])
    .default('resample')
    .describe(
      'place of the refinement of a solution in which the critic finds no error: resample draws a new solution, skip leaves it empty, keep counts the solution twice',
    ),
  refineRounds: z
    .int()
    .min(1)
    .default(1)
    .describe('rounds of refinement; n is shared evenly among the first solutions and the rounds'),
  scoreBy: z
    .enum(['critic', 'prm'])
    .default('critic')
    .describe("step scores: the critic's verdict probabilities, or the reward model's"),
  ...aggregationShape('mean'),
  ...selectionField('vanilla'),
  samplesPerRound: samplesPerRoundField,
});

type RefinedOptions = z.infer<typeof refinedBestOfNOptions>;

/** Refined-BoN (GM-PRM, arXiv 2508.04088): `n`/2 solutions; the critic finds each one's first
 *  wrong step and rewrites it; the policy continues from the corrected prefix, which makes the
 *  other `n`/2; the best mean verdict probability of all `n` wins.
 *
 *  What the paper leaves open, and what happens here: a solution without an error (or one that was
 *  cut) gives its place to a fresh sample, see `withoutError`; an error that the critic can't
 *  correct is branched before the wrong step, origin `branched`; if n is odd the first half is the
 *  greater one, and solutions with an error have the refinements first; refinements are judged but
 *  not refined again unless `refineRounds` says so. */
export const refinedBestOfN: Strategy<RefinedOptions> = async (_problem, context, options) => {
  const shares = shareEvenly(options.n, options.refineRounds + 1);
  const pool = await drawSolutions(context, shares[0] ?? 0, options.samplesPerRound);
  const drafts = pool.drafts;
  const critiques = await critiqueAll(context, drafts);
  let stopped = pool.stopped;
  let from = 0;
  for (const places of shares.slice(1)) {
    stopped ??= context.exhausted();
    if (stopped) break;
    const made = await refine(context, { drafts, critiques, from, places }, options);
    from = drafts.length;
    drafts.push(...made);
    critiques.push(...(await critiqueAll(context, made)));
  }
  return conclude(context, {
    strategy: 'refined-best-of-n',
    drafts:
      options.scoreBy === 'prm' ? drafts : drafts.map((draft, i) => graded(draft, critiques[i])),
    selection: options.selection,
    scoring: options,
    stopped: stopped ?? 'done',
  });
};

/** Critiques of the complete solutions; null for the others. */
function critiqueAll(
  context: SearchContext,
  drafts: readonly Draft[],
): Promise<(Critique | null)[]> {
  return Promise.all(
    drafts.map((draft) => (isComplete(draft) ? context.critique(draft.steps) : null)),
  );
}

/** One round: refines the drafts from index `from` on, `places` of them at most. */
async function refine(
  context: SearchContext,
  round: {
    readonly drafts: readonly Draft[];
    readonly critiques: readonly (Critique | null)[];
    readonly from: number;
    readonly places: number;
  },
  options: RefinedOptions,
): Promise<Draft[]> {
  const { drafts, critiques, from, places } = round;
  const all = drafts.map((_, i) => i).slice(from);
  const hasError = (i: number) => typeof critiques[i]?.firstError === 'number';
  const chosen = [...all.filter(hasError), ...all.filter((i) => !hasError(i))].slice(0, places);
  const made = await Promise.all(
    chosen.map((i): Promise<Draft | null> => {
      const draft = drafts[i] as Draft;
      const critique = critiques[i];
      if (critique && critique.firstError !== null) {
        return correct(context, draft, i, critique, critique.firstError);
      }
      return withoutError(context, draft, i, options);
    }),
  );
  return made.filter((draft) => draft !== null);
}

/** Continues from the corrected step; from before the wrong one if there is no correction. */
async function correct(
  context: SearchContext,
  draft: Draft,
  index: number,
  { correction }: Critique,
  firstError: number,
): Promise<Draft> {
  const usable = correction !== undefined && correction.trim() !== draft.steps[firstError]?.trim();
  const right = draft.steps.slice(0, firstError);
  const prefix: Step[] = usable ? [...right, correction.trim()] : right;
  const purpose = usable ? 'refine' : 'branch';
  const [rollout] = await context.sample(prefix, { n: 1, until: 'end', purpose });
  const origin = usable ? 'refined' : 'branched';
  return { ...continued(prefix, rollout as Rollout), origin, parent: index };
}

async function withoutError(
  context: SearchContext,
  draft: Draft,
  index: number,
  options: RefinedOptions,
): Promise<Draft | null> {
  if (options.withoutError === 'skip') return null;
  if (options.withoutError === 'keep') {
    return { ...draft, policyTokens: 0, origin: 'kept', parent: index };
  }
  const [rollout] = await context.sample([], { n: 1, until: 'end', purpose: 'solution' });
  return { ...sampledDraft(rollout as Rollout), origin: 'resampled', parent: index };
}

function continued(prefix: readonly Step[], rollout: Rollout): Omit<Draft, 'origin'> {
  const from = { steps: prefix, finish: 'step', policyTokens: 0 } as const;
  const path = extendPath(from, rollout);
  // An empty continuation that ended is the prefix as a solution; any other got nowhere.
  return path ?? { steps: prefix, finish: 'stuck', policyTokens: rollout.policyTokens };
}

function graded(draft: Draft, critique: Critique | null | undefined): Draft {
  if (!critique) return draft;
  if (!critique.findings) {
    throw new SteptreeError(
      'CRITIQUE_INVALID',
      'the critic gives no verdict probability per step, and refined-best-of-n selects by their mean; take a critic that does, or set scoreBy to prm',
    );
  }
  return { ...draft, scores: { steps: critique.findings.map(({ probability }) => probability) } };
}
