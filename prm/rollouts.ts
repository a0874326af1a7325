/** The Monte Carlo value itself as step score, where the gold answer is known. */
import { SteptreeError } from '../search/errors.js';
import { contentHash, deriveSeed } from '../search/rng.js';
import type {
  PolicyModel,
  Problem,
  Rollout,
  SamplingOptions,
  Step,
  Verdict,
  Verifier,
} from '../search/types.js';
import { pathKey } from './content-key.js';
import { LruMap } from './lru.js';
import type { RolloutsOptions } from './options.js';
import type { PathHost, PathJob, ScoredPath } from './ports.js';

export interface RolloutPorts {
  readonly policy: PolicyModel;
  readonly verifier: Verifier;
  readonly sampling: SamplingOptions;
  /** Whether the steps say which value is their final answer. A verifier also takes the last number of
   *  a solution that marks none; in an unfinished path that is only where it stands. */
  announces(problem: Problem, steps: readonly Step[]): boolean;
}

/** Share of `count` continuations of each step's prefix that reach the gold answer: the label that
 *  PRMs are trained on (Math-Shepherd, arXiv 2312.08935; OmegaPRM, 2406.06592) and so their upper
 *  bound, for measurements. A last step that announces an answer is checked, not continued; where the
 *  policy adds nothing and ends, the path itself is the solution.
 *  Truncated and ungradable rollouts count neither way; `prmTokens` are the policy's.
 *  Jobs fail with SCORE_NO_ANSWER, SCORE_UNGRADED and what policy and verifier throw. */
export function createRolloutsHost(ports: RolloutPorts, options: RolloutsOptions): PathHost {
  const known = new LruMap<number>(options.knownStates);
  const name = `rollouts of ${ports.policy.name}`;

  const scoreOne = async ({ problem, steps, signal }: PathJob): Promise<ScoredPath> => {
    if (problem.answer === undefined) throw noAnswer(name, problem.id);
    let tokens = 0;
    const stateValue = async (prefix: readonly Step[]) => {
      const key = pathKey(problem, prefix);
      const earlier = known.get(key);
      if (earlier !== undefined) return earlier;
      const drawn = await draw(ports, options, problem, prefix, signal);
      tokens += drawn.tokens;
      if (drawn.value === null) throw ungraded(name, problem.id, prefix.length, options.count);
      known.set(key, drawn.value);
      return drawn.value;
    };
    const stated = ports.announces(problem, steps)
      ? await statedValue(ports.verifier, problem, steps, signal)
      : null;
    const scores = await Promise.all(
      steps.map((_, index) =>
        index === steps.length - 1 && stated !== null
          ? stated
          : stateValue(steps.slice(0, index + 1)),
      ),
    );
    return { scores: { steps: scores }, prmTokens: tokens };
  };

  return {
    name,
    scores: 'steps',
    batchSize: 1,
    scorePaths: (jobs) => jobs.map(scoreOne),
    // Policy and verifier belong to whoever opened them.
    close: async () => {},
  };
}

/** 1 or 0 by the answer that the steps state, null if nobody can say. */
async function statedValue(
  verifier: Verifier,
  problem: Problem,
  steps: readonly Step[],
  signal: AbortSignal,
): Promise<number | null> {
  const [verdict] = await verifier.verify(problem, [steps], signal);
  if (verdict?.verdict === 'equal') return 1;
  return verdict?.verdict === 'different' && verdict.reason !== 'no-answer' ? 0 : null;
}

async function draw(
  { policy, verifier, sampling }: RolloutPorts,
  options: RolloutsOptions,
  problem: Problem,
  prefix: readonly Step[],
  signal: AbortSignal,
): Promise<{ value: number | null; tokens: number }> {
  const place = `value ${contentHash(prefix)}`;
  const seeds = Array.from({ length: options.count }, (_, index) =>
    deriveSeed(options.seed, problem.id, place, index),
  );
  const request = { problem, prefix, until: 'end', seeds, sampling } as const;
  const { rollouts } = await policy.sample(request, signal);
  const whole = rollouts.filter(isGradable);
  const verdicts = await verifier.verify(
    problem,
    whole.map((rollout) => [...prefix, ...rollout.steps]),
    signal,
  );
  return {
    value: shareEqual(verdicts),
    tokens: rollouts.reduce((sum, rollout) => sum + rollout.policyTokens, 0),
  };
}

function isGradable({ finish, steps }: Rollout): boolean {
  return finish === 'end' || (finish === 'step' && steps.length > 0);
}

function shareEqual(verdicts: readonly Verdict[]): number | null {
  const graded = verdicts.filter((verdict) => verdict.verdict !== 'ungraded');
  if (graded.length === 0) return null;
  return graded.filter((verdict) => verdict.verdict === 'equal').length / graded.length;
}

function noAnswer(name: string, problemId: string): SteptreeError {
  return new SteptreeError(
    'SCORE_NO_ANSWER',
    `${name} needs the gold answer of problem ${problemId}; give it, or take a reward model that needs none`,
    { host: name, problemId },
  );
}

function ungraded(name: string, problemId: string, step: number, count: number): SteptreeError {
  return new SteptreeError(
    'SCORE_UNGRADED',
    `none of ${count} rollouts after step ${step} of problem ${problemId} could be graded, so ${name} has no value for it; raise --max-tokens or --rollouts-count`,
    { host: name, problemId, step, rollouts: count },
  );
}
