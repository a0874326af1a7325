/** The models of one request: what a client asked of its answers is kept here, whatever the host, and
 *  whoever shows the search listens here. */
import {
  type Critic,
  contentHash,
  type PathScores,
  type Rollout,
  type SampleReply,
  type SampleRequest,
  type Step,
  type StepScorer,
} from '../../search/index.js';
import type { SkippingPolicy } from '../runtime/scheduler.js';
import { asOneQuestion } from './messages.js';
import { inSpan } from './telemetry.js';

/** What stands between the steps of an answer. */
export const STEP_SEPARATOR = '\n\n';

export interface WatchedReply {
  readonly prefix: readonly Step[];
  readonly until: 'step' | 'end';
  readonly reply: SampleReply;
  /** Of the call, waiting in the queue to the policy included. */
  readonly seconds: number;
}

export interface AnswerLimits {
  /** Strings that end an answer and are no part of it. */
  readonly stop: readonly string[];
  /** Tokens of one answer, over all its steps. */
  readonly maxTokens: number;
}

/** The policy within the limits of one request. A stop string ends a solution where it would
 *  stand, also across two steps; steps of one path share `maxTokens`. */
export function watchedPolicy(
  policy: SkippingPolicy,
  limits: AnswerLimits,
  onReply: (watched: WatchedReply) => void,
): SkippingPolicy {
  const spent = new Map<string, number>();
  return {
    name: policy.name,
    skip: (problemId, prefix, count) => policy.skip?.(problemId, prefix, count),
    sample: async (request, signal) => {
      const { prefix, until, seeds } = request;
      const before = prefix.length === 0 ? 0 : tokensOf(prefix, spent);
      const left = limits.maxTokens - before;
      if (left <= 0) return nothingMore(seeds.length);
      const startedMs = performance.now();
      const given = await inSpan('steptree.policy', { 'steptree.sequences': seeds.length }, () =>
        policy.sample(withMaxTokens(request, left), signal),
      );
      const reply =
        limits.stop.length === 0
          ? given
          : { ...given, rollouts: given.rollouts.map((one) => stopped(one, prefix, limits.stop)) };
      if (until === 'step') {
        for (const { steps, policyTokens } of reply.rollouts) {
          spent.set(contentHash([...prefix, ...steps]), before + policyTokens);
        }
      }
      onReply({ prefix, until, reply, seconds: (performance.now() - startedMs) / 1000 });
      return reply;
    },
  };
}

/** Reward models read a conversation as one question. */
export function watchedScorer(
  scorer: StepScorer,
  onScores: (paths: readonly (readonly Step[])[], scores: readonly PathScores[]) => void,
): StepScorer {
  return {
    name: scorer.name,
    ...(scorer.setwise === undefined ? {} : { setwise: scorer.setwise }),
    score: async (request, signal) => {
      const problem = asOneQuestion(request.problem);
      const reply = await inSpan('steptree.prm', { 'steptree.paths': request.paths.length }, () =>
        scorer.score({ ...request, problem }, signal),
      );
      onScores(request.paths, reply.paths);
      return reply;
    },
  };
}

export function watchedCritic(critic: Critic): Critic {
  return {
    name: critic.name,
    critique: (problem, steps, signal) =>
      inSpan('steptree.critic', {}, () => critic.critique(asOneQuestion(problem), steps, signal)),
  };
}

function withMaxTokens(request: SampleRequest, left: number): SampleRequest {
  const { sampling } = request;
  if (left >= sampling.maxTokens) return request;
  return { ...request, sampling: { ...sampling, maxTokens: left } };
}

/** Steps that nobody sampled, a critic's, are taken as a token for four characters. */
function tokensOf(prefix: readonly Step[], spent: ReadonlyMap<string, number>): number {
  let unknown = 0;
  for (let length = prefix.length; length > 0; length--) {
    const known = spent.get(contentHash(prefix.slice(0, length)));
    if (known !== undefined) return known + unknown;
    unknown += Math.ceil((prefix[length - 1]?.length ?? 0) / 4);
  }
  return unknown;
}

function nothingMore(count: number): SampleReply {
  const cut: Rollout = { steps: [], finish: 'length', policyTokens: 0 };
  return { rollouts: Array.from({ length: count }, () => cut), promptTokens: 0, cachedTokens: 0 };
}

/** The rollout up to the first stop string of the whole text. */
function stopped(rollout: Rollout, prefix: readonly Step[], stop: readonly string[]): Rollout {
  const before = prefix.map((step) => step + STEP_SEPARATOR).join('');
  const text = before + rollout.steps.join(STEP_SEPARATOR);
  // The prefix holds none, or it would not have been continued; one may begin in it, or end with what
  // stands between its last step and the next.
  const longest = Math.max(...stop.map(({ length }) => length));
  const from = Math.max(0, before.length - STEP_SEPARATOR.length - longest + 1);
  const places = stop.map((one) => text.indexOf(one, from)).filter((place) => place >= 0);
  if (places.length === 0) return rollout;
  const kept = text.slice(before.length, Math.max(before.length, Math.min(...places)));
  const steps = kept
    .split(STEP_SEPARATOR)
    .map((step) => step.trim())
    .filter((step) => step !== '');
  return { ...rollout, steps, finish: 'end' };
}
