/** A benchmark run's grading by a set's official rules. */
import { setMaxListeners } from 'node:events';
import type { Problem, Verifier } from '../../search/index.js';
import { pickOptions } from '../config/shapes.js';
import { createSetVerifier, promptedPolicy } from '../evaluate/set-ports.js';
import type { SkippingPolicy } from '../runtime/scheduler.js';
import { createExtractor } from '../sets/extractor.js';
import type { AnswerSet, SetProblem } from '../sets/index.js';
import type { Groups } from '../sets/types.js';
import { createComparer } from '../verify/index.js';
import { createAnswerJudge } from '../verify/judge.js';
import { judgeOptions, verifyOptions } from '../verify/options.js';
import type { AllBenchOptions } from './bench-options.js';

/** What a run asks and grades with in place of what it would without a set. */
export interface SetPorts {
  readonly policy: SkippingPolicy;
  readonly verifier: Verifier;
  readonly groupsOf: (problem: Problem) => Groups;
  /** What decides verdicts, for the folder's identity. */
  readonly rules: Readonly<Record<string, unknown>>;
}

export interface SetGrading {
  ports(policy: SkippingPolicy): SetPorts;
  close(): Promise<void>;
}

/** @throws SteptreeError POLICY_URL_INVALID, POLICY_API_KEY_MISSING of an extractor or judge */
export function openSetGrading(
  { set, problems }: { readonly set: AnswerSet; readonly problems: readonly SetProblem[] },
  all: AllBenchOptions,
  signal: AbortSignal,
): SetGrading {
  // Hundreds of calls of an extractor or judge share it: that is no leak.
  setMaxListeners(0, signal);
  const servers = pickOptions(judgeOptions, all);
  const { judgeMode } = servers;
  const checks = createComparer(pickOptions(verifyOptions, all));
  const judge = judgeMode === 'off' ? null : createAnswerJudge(all.judge, servers);
  const extractor = all.extractor === '' ? null : createExtractor(all.extractor, servers);
  const verifier = createSetVerifier(set, problems, {
    checks,
    ...(extractor ? { extractor, extractorMode: all.extractorMode } : {}),
    ...(judge && judgeMode !== 'off'
      ? {
          judge: (problem: SetProblem, answer: string) => judge.judge(problem, answer, signal),
          judgeMode,
        }
      : {}),
  });
  return {
    ports: (policy) => ({
      policy: promptedPolicy(policy, set, problems),
      verifier,
      groupsOf: (problem) => set.groups(problem as SetProblem),
      rules: {
        set: set.name,
        extraction: extractor ? { by: extractor.name, mode: all.extractorMode } : 'rules',
        judge: judgeMode,
      },
    }),
    close: async () => {
      await Promise.all([checks.close(), judge?.close(), extractor?.close()]);
    },
  };
}
