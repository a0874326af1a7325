import type { z } from 'zod';
import type { SearchContext } from '../context.js';
import { SteptreeError } from '../errors.js';
import type { Problem } from '../types.js';
import { abMcts, abMctsOptions } from './ab-mcts.js';
import { annealedBeam, annealedBeamOptions } from './annealed-beam.js';
import { beam, beamOptions } from './beam.js';
import { bestOfN, bestOfNOptions } from './best-of-n.js';
import { dvts, dvtsOptions } from './dvts.js';
import { greedy, greedyOptions } from './greedy.js';
import { guided, guidedOptions } from './guided.js';
import { majority, majorityOptions } from './majority.js';
import { mcts, mctsOptions } from './mcts.js';
import { oneShot, oneShotOptions } from './one-shot.js';
import { particleFilter, particleFilterOptions } from './particle-filter.js';
import { rebase, rebaseOptions } from './rebase.js';
import { refinedBestOfN, refinedBestOfNOptions } from './refined-best-of-n.js';
import type { SolveResult, Strategy } from './result.js';

/** What a strategy asks of the context beside a policy and an answer grouper. */
export type StrategyNeed = 'scorer' | 'critic';

export interface StrategyEntry {
  /** Strict schema of its options: types, defaults, help. */
  readonly options: z.ZodObject;
  readonly needs: readonly StrategyNeed[];
  /** One line of help. */
  readonly summary: string;
  /** @throws SteptreeError OPTION_INVALID for options that the schema refuses */
  solve(
    problem: Problem,
    context: SearchContext,
    options?: Readonly<Record<string, unknown>>,
  ): Promise<SolveResult>;
}

/** All strategies by name. */
export const STRATEGIES = {
  greedy: entry(greedy, greedyOptions, [], 'one solution at temperature 0'),
  majority: entry(majority, majorityOptions, [], 'the most frequent answer (self-consistency)'),
  'best-of-n': entry(bestOfN, bestOfNOptions, ['scorer'], 'the best of n scored solutions'),
  'one-shot': entry(
    oneShot,
    oneShotOptions,
    ['scorer'],
    'the best of n solutions, each scored once as a whole',
  ),
  guided: entry(guided, guidedOptions, ['scorer'], 'the best of n next steps, again and again'),
  beam: entry(beam, beamOptions, ['scorer'], 'beam search over steps'),
  dvts: entry(dvts, dvtsOptions, ['scorer'], 'independent greedy walks (diverse verifier search)'),
  rebase: entry(rebase, rebaseOptions, ['scorer'], 'samples shared among paths by reward'),
  'annealed-beam': entry(
    annealedBeam,
    annealedBeamOptions,
    ['scorer'],
    'a beam that narrows with each step (PRM-BAS)',
  ),
  'particle-filter': entry(
    particleFilter,
    particleFilterOptions,
    ['scorer'],
    'paths resampled in proportion to their reward',
  ),
  mcts: entry(mcts, mctsOptions, ['scorer'], 'Monte Carlo tree search with PUCT'),
  'ab-mcts': entry(abMcts, abMctsOptions, ['scorer'], 'wider or deeper by Thompson sampling'),
  'refined-best-of-n': entry(
    refinedBestOfN,
    refinedBestOfNOptions,
    ['critic'],
    'half of the solutions continue from steps that a critic corrected (GM-PRM)',
  ),
} as const satisfies Record<string, StrategyEntry>;

export type StrategyName = keyof typeof STRATEGIES;

export const STRATEGY_NAMES = Object.keys(STRATEGIES) as StrategyName[];

/** @throws SteptreeError STRATEGY_UNKNOWN */
export function strategyNamed(name: string): StrategyEntry {
  if (Object.hasOwn(STRATEGIES, name)) return STRATEGIES[name as StrategyName];
  throw new SteptreeError(
    'STRATEGY_UNKNOWN',
    `unknown strategy "${name}"; choose one of ${STRATEGY_NAMES.join(', ')}`,
    { name, known: STRATEGY_NAMES },
  );
}

function entry<S extends z.ZodObject>(
  run: Strategy<z.infer<S>>,
  options: S,
  needs: readonly StrategyNeed[],
  summary: string,
): StrategyEntry {
  return {
    options,
    needs,
    summary,
    solve: async (problem, context, given = {}) => {
      const parsed = options.safeParse(given);
      if (parsed.success) return run(problem, context, parsed.data);
      const issue = parsed.error.issues[0];
      const name = String(issue?.path[0] ?? '');
      throw new SteptreeError(
        'OPTION_INVALID',
        `${name === '' ? 'options' : name}: ${issue?.message ?? 'invalid value'}; known options: ${Object.keys(options.shape).join(', ')}`,
        { option: name },
      );
    },
  };
}
