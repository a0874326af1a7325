/** Everything that grades, made from a run's options and closed together. */

import { SteptreeError } from '../../search/errors.js';
import type { AnswerGrouper, Critic } from '../../search/types.js';
import { type AnswerVerifier, createVerifier } from './checker.js';
import { createComparer } from './comparer.js';
import { createAnswerGrouper } from './grouper.js';
import { createAnswerJudge, type JudgeContext } from './judge.js';
import { createJudgeCritic } from './judge-critic.js';
import type { JudgeOptions, VerifyOptions } from './options.js';

export interface AnswerChecks {
  readonly verifier: AnswerVerifier;
  /** By rules alone; shares the verifier's processes. */
  readonly grouper: AnswerGrouper;
  /** Judges steps; there if a judge's URL was given. */
  readonly critic?: Critic;
  /** Counts of each replica of the judge, of answers and of steps; absent without a judge. */
  judgeReplicas?(): { readonly answers: readonly object[]; readonly steps: readonly object[] };
  /** Idempotent. */
  close(): Promise<void>;
}

/** @param settings.judgeUrl empty for none
 *  @throws SteptreeError OPTION_INVALID if the judge is to grade answers but has no URL;
 *  POLICY_URL_INVALID, POLICY_API_KEY_MISSING */
export function createAnswerChecks(settings: {
  readonly verify: Partial<VerifyOptions>;
  readonly judge: JudgeOptions;
  readonly judgeUrl: string;
  readonly context?: JudgeContext;
}): AnswerChecks {
  const { verify, judge: options, judgeUrl, context = {} } = settings;
  if (judgeUrl === '' && options.judgeMode !== 'off') {
    throw new SteptreeError(
      'OPTION_INVALID',
      `--judge-mode ${options.judgeMode} needs a judge; give its URL with --judge, or leave --judge-mode away`,
      { option: 'judgeMode' },
    );
  }
  const comparer = createComparer(verify);
  const grouper = createAnswerGrouper(verify, comparer);
  if (judgeUrl === '') {
    const verifier = createVerifier(verify, comparer);
    return { verifier, grouper, close: () => comparer.close() };
  }
  const judge = createAnswerJudge(judgeUrl, options, context);
  const critic = createJudgeCritic(judgeUrl, options, context);
  return {
    verifier: createVerifier({ ...verify, judge, judgeMode: options.judgeMode }, comparer),
    grouper,
    critic,
    judgeReplicas: () => ({ answers: judge.replicas(), steps: critic.replicas() }),
    close: async () => {
      await Promise.all([comparer.close(), judge.close(), critic.close()]);
    },
  };
}
