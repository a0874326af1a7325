import type { Candidate, SolveResult, Usage } from '../../search/index.js';
import type { StrategyPlan } from './models.js';
import { STEP_SEPARATOR } from './watched-models.js';

/** Candidates that are returned, best first: the chosen one, then the best of every other answer in
 *  the order in which the strategy would choose them, then further solutions, unfinished ones last.
 *  @returns indices into `candidates`, at most `n` */
export function chooseAnswers(
  { candidates, chosen, votes }: SolveResult,
  selection: unknown,
  n: number,
): number[] {
  const all = candidates.map((_, index) => index);
  const best = (group: number) =>
    all
      .filter((index) => candidates[index]?.group === group)
      .sort((a, b) => scoreOf(candidates[b]) - scoreOf(candidates[a]) || a - b)[0];
  const groups = votes.map(({ group, votes: count, weight }) => {
    const index = best(group) ?? -1;
    const score = scoreOf(candidates[index]);
    const strength =
      selection === 'majority'
        ? [count, weight]
        : selection === 'weighted'
          ? [weight, count]
          : [score, count];
    return { index, group, strength };
  });
  groups.sort(
    (a, b) =>
      compare(b.strength[0], a.strength[0]) ||
      compare(b.strength[1], a.strength[1]) ||
      a.index - b.index,
  );
  const chosenGroup = chosen === null ? -1 : (candidates[chosen]?.group ?? -1);
  const others = groups.filter(({ group }) => group !== chosenGroup).map(({ index }) => index);
  const byScore = [...all].sort(
    (a, b) =>
      Number(candidates[b]?.finish === 'end') - Number(candidates[a]?.finish === 'end') ||
      compare(scoreOf(candidates[b]), scoreOf(candidates[a])) ||
      a - b,
  );
  const ranked = [...(chosen === null ? [] : [chosen]), ...others, ...byScore];
  return [...new Set(ranked)].slice(0, n);
}

/** -Infinity minus itself is no number. */
function compare(a = 0, b = 0): number {
  return a === b ? 0 : a - b;
}

function scoreOf(candidate: Candidate | undefined): number {
  return candidate?.score ?? Number.NEGATIVE_INFINITY;
}

/** The text of an answer. */
export function answerText(candidate: Candidate | undefined): string {
  return candidate?.steps.join(STEP_SEPARATOR) ?? '';
}

/** Only a solution that the policy finished, or a stop string, has stopped. */
export function finishReason(candidate: Candidate | undefined): 'stop' | 'length' {
  return candidate?.finish === 'end' ? 'stop' : 'length';
}

/** What is said beside each answer. */
export function choiceFacts(
  result: SolveResult,
  index: number | null,
  about: {
    readonly plan: StrategyPlan;
    readonly trace: string | null;
    readonly warnings: readonly string[];
  },
) {
  const candidate = index === null ? undefined : result.candidates[index];
  return {
    strategy: result.strategy,
    options: about.plan.options,
    answer: candidate?.answer ?? null,
    candidate: index,
    chosen: index !== null && index === result.chosen,
    steps: candidate?.steps ?? [],
    step_scores: candidate?.stepScores ?? null,
    outcome: candidate?.outcome ?? null,
    score: candidate?.score ?? null,
    candidates: result.candidates.map((one) => {
      const { answer, group, score, finish, origin, policyTokens } = one;
      return { answer, group, score, finish, origin, tokens: policyTokens };
    }),
    votes: result.votes,
    usage: spentOn(result.usage),
    elapsed_ms: Math.round(result.elapsedMs),
    stopped: result.stopped,
    warnings: [...result.warnings, ...about.warnings],
    trace: about.trace,
  };
}

/** All that the search spent, in OpenAI's words: what models read (prompts of the policy, and all
 *  that reward models computed) and what they wrote (the policy, and critics, whose reading and
 *  writing is one number). */
export function usageOf(usage: Readonly<Usage>) {
  const prompt = usage.promptTokens + usage.prmTokens;
  const completion = usage.policyTokens + usage.criticTokens;
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
  };
}

function spentOn(usage: Readonly<Usage>) {
  return {
    calls: usage.calls,
    rollouts: usage.rollouts,
    policy_tokens: usage.policyTokens,
    prompt_tokens: usage.promptTokens,
    cached_tokens: usage.cachedTokens,
    prm_calls: usage.prmCalls,
    prm_tokens: usage.prmTokens,
    critic_calls: usage.criticCalls,
    critic_tokens: usage.criticTokens,
  };
}
