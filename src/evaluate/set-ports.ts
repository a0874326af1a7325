/** What makes a run ask and grade as a set's authors do. */
import type { Problem, Verdict, Verifier } from '../../search/types.js';
import type { SkippingPolicy } from '../runtime/scheduler.js';
import { type AnswerSet, type SetProblem, VERDICT_KIND } from '../sets/types.js';
import { type ScoreSettings, scoreOneResponse } from './score-responses.js';

/** The policy sees the authors' prompt in place of question and choices; all others see the problem. */
export function promptedPolicy(
  policy: SkippingPolicy,
  set: AnswerSet,
  problems: readonly SetProblem[],
): SkippingPolicy {
  const asked = new Map<string, Problem>();
  for (const problem of problems) {
    const { choices: _, ...rest } = problem;
    asked.set(problem.id, { ...rest, question: set.prompt(problem) });
  }
  return {
    name: policy.name,
    sample: (request, signal) =>
      policy.sample(
        { ...request, problem: asked.get(request.problem.id) ?? request.problem },
        signal,
      ),
    skip: (id, prefix, count) => policy.skip?.(id, prefix, count),
  };
}

export type SetVerifierSettings = Omit<ScoreSettings, 'extraction' | 'signal'>;

/** Grades solutions by the set's extraction and scoring. */
export function createSetVerifier(
  set: AnswerSet,
  problems: readonly SetProblem[],
  settings: SetVerifierSettings,
): Verifier {
  const byId = new Map(problems.map((problem) => [problem.id, problem]));
  return {
    verify: (problem, solutions, signal) => {
      const own = byId.get(problem.id);
      const graded = solutions.map(async (steps): Promise<Verdict> => {
        if (!own) return { verdict: 'ungraded', reason: 'no-gold' };
        const score = await scoreOneResponse(
          set,
          own,
          { id: own.id, response: steps.join('\n\n') },
          { ...settings, extraction: 'none', ...(signal ? { signal } : {}) },
        );
        const { verdict, extraction, reason } = score;
        return {
          verdict: VERDICT_KIND[verdict],
          ...(extraction === null ? { reason: 'no-answer' } : reason ? { reason } : {}),
          ...(typeof extraction === 'string' ? { extracted: extraction } : {}),
        };
      });
      return Promise.all(graded);
    },
  };
}
