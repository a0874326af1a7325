import { setMaxListeners } from 'node:events';
import { isComplete } from '../../search/expand.js';
import {
  type AnswerGrouper,
  type Budget,
  type Critic,
  NO_BUDGET,
  type Problem,
  type ReplyStore,
  type SamplingOptions,
  SearchContext,
  type SolveResult,
  STRATEGY_NAMES,
  type StepScorer,
  SteptreeError,
  type StrategyEntry,
  type StrategyNeed,
  strategyNamed,
  type Usage,
  type Verdict,
  type Verifier,
} from '../../search/index.js';
import { nearestName } from '../config/nearest.js';
import { samplingOptions } from '../config/options.js';
import type { SkippingPolicy } from './scheduler.js';

/** What solving one problem takes. Everything but the problem may be shared by hundreds of calls
 *  at once: put a `ScheduledPolicy` before the host, so that they wait in one queue. */
export interface SolveSettings {
  /** A name of `STRATEGIES`. */
  readonly strategy: string;
  /** The strategy's options as its schema takes them; absent ones have their defaults. */
  readonly options?: Readonly<Record<string, unknown>>;
  readonly policy: SkippingPolicy;
  /** Says which answers mean the same. */
  readonly grouper: AnswerGrouper;
  /** For strategies that score. */
  readonly scorer?: StepScorer;
  /** For strategies that let a critic correct steps. */
  readonly critic?: Critic;
  /** Where replies are kept before they are used; default: in memory. It must belong to this problem,
   *  policy, seed and sampling (`SolveStore.replies`). */
  readonly store?: ReplyStore;
  /** Default 0. */
  readonly seed?: number;
  /** Default: temperature 1, 1,024 tokens a rollout. */
  readonly sampling?: Partial<SamplingOptions>;
  /** Default: no limit. */
  readonly budget?: Partial<Budget>;
  readonly signal?: AbortSignal;
  /** Milliseconds from any fixed point. */
  readonly now?: () => number;
  /** Given the counts of what is spent, which grow while the search goes on. */
  readonly onStart?: (usage: Readonly<Usage>) => void;
}

/** Spends test-time compute on one problem: runs a strategy and gives its answer, all candidates with
 *  raw step scores, votes, warnings, and what was spent.
 *
 *  The gold answer is not looked at (but by the `rollouts` scorer); `gradeCandidates` does that.
 *
 *  @example
 *  const queue = new ScheduledPolicy(policy, policy.maxInFlight); // policy: of createPolicy
 *  const grouper = createAnswerGrouper();
 *  const results = await Promise.all(
 *    problems.map((problem) =>
 *      solveProblem(problem, {
 *        strategy: 'best-of-n',
 *        options: { n: 16, selection: 'weighted' },
 *        policy: queue,
 *        scorer, // of createScorer
 *        grouper,
 *      }),
 *    ),
 *  );
 *  results[0].answer; // '42', or null: see its warnings
 *  await grouper.close();
 *
 *  @throws SteptreeError STRATEGY_UNKNOWN; OPTION_INVALID for an option that the strategy refuses, or a
 *  reward model or critic that it lacks; what models and the store throw; the signal's reason */
export async function solveProblem(
  problem: Problem,
  settings: SolveSettings,
): Promise<SolveResult> {
  const { policy, grouper, scorer, critic, signal, options = {} } = settings;
  const strategy = requireStrategy(settings.strategy);
  for (const need of needsOf(strategy, options)) {
    if (!settings[need]) throw missingPort(settings.strategy, need);
  }
  // Hundreds of calls share a run's signal: that is no leak.
  if (signal) setMaxListeners(0, signal);
  const context = new SearchContext({
    problem,
    seed: settings.seed ?? 0,
    policy,
    sampling: samplingOptions.parse(settings.sampling ?? {}),
    verifier: NO_VERIFIER,
    grouper,
    ...(scorer ? { scorer } : {}),
    ...(critic ? { critic } : {}),
    ...(settings.store ? { store: settings.store } : {}),
    budget: { ...NO_BUDGET, ...settings.budget },
    now: settings.now ?? (() => performance.now()),
    ...(signal ? { signal } : {}),
    onReplay: (prefix, count) => policy.skip?.(problem.id, prefix, count),
  });
  settings.onStart?.(context.usage);
  return strategy.solve(problem, context, options);
}

/** The verdict on the answer that was given, and one per candidate. Candidates that were not completed
 *  are `ungraded`; where none was, the given answer is `different`: unsolved is not solved.
 *  @throws what the verifier throws */
export async function gradeCandidates(
  problem: Problem,
  { candidates, chosen }: SolveResult,
  verifier: Verifier,
  signal?: AbortSignal,
): Promise<{ readonly verdict: Verdict; readonly candidates: readonly Verdict[] }> {
  const complete = candidates.flatMap((candidate, index) => (isComplete(candidate) ? [index] : []));
  const solutions = complete.map((index) => candidates[index]?.steps ?? []);
  const graded = await verifier.verify(problem, solutions, signal);
  const verdicts = candidates.map((): Verdict => ({ verdict: 'ungraded', reason: 'incomplete' }));
  complete.forEach((index, place) => {
    verdicts[index] = graded[place] ?? { verdict: 'ungraded', reason: 'no-verdict' };
  });
  const verdict = chosen === null ? undefined : verdicts[chosen];
  return {
    verdict: verdict ?? { verdict: 'different', reason: 'no-answer' },
    candidates: verdicts,
  };
}

/** @throws SteptreeError STRATEGY_UNKNOWN, naming the nearest one */
export function requireStrategy(name: string): StrategyEntry {
  const near = nearestName(name, STRATEGY_NAMES);
  if (near === null || near === name) return strategyNamed(name);
  throw new SteptreeError(
    'STRATEGY_UNKNOWN',
    `unknown strategy "${name}"; did you mean "${near}"? There are ${STRATEGY_NAMES.join(', ')}`,
    { name, near, known: STRATEGY_NAMES },
  );
}

/** What a strategy needs with these options. */
export function needsOf(
  strategy: StrategyEntry,
  options: Readonly<Record<string, unknown>>,
): readonly StrategyNeed[] {
  const scoresByPrm = options.scoreBy === 'prm' && 'scoreBy' in strategy.options.shape;
  return scoresByPrm ? [...strategy.needs, 'scorer'] : strategy.needs;
}

function missingPort(strategy: string, need: StrategyNeed): SteptreeError {
  const [what, how] =
    need === 'scorer'
      ? ['a reward model', 'one with --prm or --prm-kind (option scorer of the library)']
      : ['a critic', 'its server with --critic URL (option critic of the library)'];
  return new SteptreeError('OPTION_INVALID', `${strategy} needs ${what}; name ${how}`, {
    strategy,
    need,
  });
}

/** Replies of one search in memory, gone with it. */
export function memoryReplies(): ReplyStore {
  const replies = new Map<string, unknown>();
  return {
    get: (key) => replies.get(key),
    put: async (key, value) => {
      replies.set(key, value);
    },
  };
}

/** Strategies never look at the gold answer. */
const NO_VERIFIER: Verifier = {
  verify: async (_problem, solutions) =>
    solutions.map(() => ({ verdict: 'ungraded', reason: 'no-gold' })),
};
