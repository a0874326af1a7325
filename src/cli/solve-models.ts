import type { RolloutPorts } from '../../prm/index.js';
import { SteptreeError } from '../../search/errors.js';
import type { AnswerGrouper, Critic, StepScorer, Verifier } from '../../search/index.js';
import { samplingOptions } from '../config/options.js';
import { pickOptions } from '../config/shapes.js';
import { createPolicy, type PolicyHandle } from '../policy/create.js';
import type { ReplyRecorder } from '../runtime/recorder.js';
import { ScheduledPolicy, type SkippingPolicy } from '../runtime/scheduler.js';
import { createCritic, createScorer, scorerSettings } from '../scorer/index.js';
import { createAnswerChecks } from '../verify/create.js';
import { announcesAnswer } from '../verify/extract.js';
import { judgeOptions, verifyOptions } from '../verify/options.js';
import { policySettings } from './policy-flags.js';
import { type AllSolveOptions, criticOf } from './solve-options.js';

/** The part of a command's options that says which models there are. */
export interface ModelRequest {
  readonly all: Omit<AllSolveOptions, QuestionOption>;
  readonly needsScorer: boolean;
  readonly needsCritic: boolean;
}

type QuestionOption =
  | 'question'
  | 'image'
  | 'choices'
  | 'answer'
  | 'problem'
  | 'id'
  | 'format'
  | 'checkImages'
  | 'strategy'
  | 'seed'
  | 'store';

/** What a strategy asks, and what says which models these are. */
export interface SolveModels {
  readonly host: PolicyHandle;
  /** The host behind the one queue. */
  readonly policy: SkippingPolicy;
  readonly verifier: Verifier;
  readonly grouper: AnswerGrouper;
  /** There only if the strategy needs them. */
  readonly scorer?: StepScorer;
  readonly critic?: Critic;
  /** Without addresses; null for what is not needed. */
  readonly identities: {
    readonly policy: Readonly<Record<string, unknown>>;
    readonly prm: Readonly<Record<string, unknown>> | null;
    readonly critic: Readonly<Record<string, unknown>> | null;
  };
  close(): Promise<void>;
}

/** Opens what the request names; one strategy's models only, since loading them takes time.
 *  @param recorder listens to the policy where it is asked
 *  @throws what opening a policy, a reward model or a critic throws; nothing stays open then */
export async function openSolveModels(
  { all, needsScorer, needsCritic }: ModelRequest,
  recorder: ReplyRecorder | null,
  io: { readonly signal: AbortSignal; readonly log: (line: string) => void },
): Promise<SolveModels> {
  const open: { close(): Promise<void> }[] = [];
  const close = async () => {
    // Those that ask end before those that are asked.
    for (const handle of open.splice(0).reverse()) await handle.close();
  };
  const opened = <T extends { close(): Promise<void> }>(handle: T): T => {
    open.push(handle);
    return handle;
  };
  try {
    const host = opened(await createPolicy(policySettings(all), io.signal, io.log));
    const scheduled = new ScheduledPolicy(host, host.maxInFlight);
    const policy = recorder?.policy(scheduled) ?? scheduled;
    const checks = opened(
      createAnswerChecks({
        verify: pickOptions(verifyOptions, all),
        judge: pickOptions(judgeOptions, all),
        judgeUrl: all.judge,
      }),
    );
    const { verifier, grouper } = checks;
    const rollouts: RolloutPorts = {
      policy,
      verifier,
      sampling: pickOptions(samplingOptions, all),
      announces: ({ choices }, steps) => announcesAnswer(steps, choices),
    };
    const context = { signal: io.signal, grouper, rollouts };
    const settings = scorerSettings(all);
    // With --prm-kind critic and no --critic, one model does both.
    const criticSpec = criticOf(all);
    const sharesCritic = needsCritic && criticSpec === '';
    const scorer =
      needsScorer || sharesCritic ? opened(await createScorer(settings, context)) : null;
    const ownCritic =
      needsCritic && !sharesCritic
        ? opened(await createCritic(criticSpec, settings, context))
        : null;
    if (sharesCritic && !scorer?.critic) throw noCritic();
    const critic = ownCritic ?? (sharesCritic ? scorer?.critic : undefined);
    return {
      host,
      policy,
      verifier,
      grouper,
      ...(needsScorer && scorer ? { scorer } : {}),
      ...(critic ? { critic } : {}),
      identities: {
        policy: { ...host.identity, splitter: all.splitter },
        prm: needsScorer && scorer ? scorer.identity : null,
        critic: needsCritic ? ((ownCritic ?? scorer)?.identity ?? null) : null,
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function noCritic(): SteptreeError {
  return new SteptreeError(
    'OPTION_INVALID',
    'refined-best-of-n needs a critic; name its server or folder with --critic',
    { option: 'critic' },
  );
}
