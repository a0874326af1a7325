import type { Critic, Verifier } from '../../search/types.js';
import { statedOptions } from '../config/shapes.js';
import { createPolicy, type PolicyHandle, type PolicySettings } from '../policy/create.js';
import { onnxOptions } from '../policy/onnx/options.js';
import { openaiOptions } from '../policy/openai/options.js';
import { simulatedOptions } from '../policy/simulated.js';
import { ScheduledPolicy } from '../runtime/scheduler.js';
import { createAnswerChecks } from '../verify/create.js';
import { judgeOptions, verifyOptions } from '../verify/options.js';
import { checkIdentity, type RunSpec } from './spec.js';

/** A run's models and checks, open at this worker for all of its problems here. */
export interface OpenRun {
  readonly spec: RunSpec;
  readonly policy: PolicyHandle;
  /** The one queue of all trees here to that policy. */
  readonly scheduler: ScheduledPolicy;
  readonly verifier: Verifier;
  readonly critic?: Critic;
  close(): Promise<void>;
}

/** What a worker's command line says in the place of the run's options; absent where it says nothing.
 *  The simulated policy's options come without their prefix. */
export interface WorkerOverrides {
  readonly policy?: string;
  readonly judge?: string;
  readonly maxInFlight?: number;
  readonly simulated: Readonly<Record<string, unknown>>;
  /** Options of the hosts, the judge and the answer checks. */
  readonly others: Readonly<Record<string, unknown>>;
}

/** @throws SteptreeError QUEUE_POLICY_DIFFERS; what opening the policy throws; nothing stays open then */
export async function openRun(
  spec: RunSpec,
  runId: string,
  overrides: WorkerOverrides,
  io: { readonly signal: AbortSignal; readonly log: (line: string) => void },
): Promise<OpenRun> {
  const policy = await createPolicy(settingsOf(spec, overrides), io.signal, io.log);
  try {
    checkIdentity(spec.identity, policy.identity, runId);
    const { others, judge = spec.judgeUrl } = overrides;
    const checks = createAnswerChecks({
      verify: { ...spec.verify, ...statedOptions(verifyOptions.shape, others) },
      judge: judgeOptions.parse({ ...spec.judge, ...statedOptions(judgeOptions.shape, others) }),
      judgeUrl: judge,
    });
    return {
      spec,
      policy,
      scheduler: new ScheduledPolicy(policy, policy.maxInFlight),
      verifier: checks.verifier,
      ...(checks.critic ? { critic: checks.critic } : {}),
      close: async () => {
        await checks.close();
        await policy.close();
      },
    };
  } catch (error) {
    await policy.close();
    throw error;
  }
}

function settingsOf({ policy }: RunSpec, overrides: WorkerOverrides): PolicySettings {
  const { others, maxInFlight = policy.maxInFlight } = overrides;
  return {
    spec: overrides.policy ?? policy.spec,
    splitter: policy.splitter,
    maxInFlight,
    openai: openaiOptions.parse({
      ...policy.openai,
      ...statedOptions(openaiOptions.shape, others),
      maxInFlight,
    }),
    onnx: onnxOptions.parse({ ...policy.onnx, ...statedOptions(onnxOptions.shape, others) }),
    simulated: simulatedOptions.parse({ ...policy.simulated, ...overrides.simulated }),
  };
}

interface Opened {
  readonly opening: Promise<OpenRun>;
  run?: OpenRun;
  users: number;
}

/** The runs that a worker has open. A run that nobody works on is closed when another one comes. */
export class OpenRuns {
  private readonly runs = new Map<string, Opened>();

  constructor(private readonly open: (specHash: string, runId: string) => Promise<OpenRun>) {}

  /** Works with a run that stays open meanwhile. */
  async use<T>(specHash: string, runId: string, work: (run: OpenRun) => Promise<T>): Promise<T> {
    const key = `${runId} ${specHash}`;
    const entry = this.runs.get(key) ?? this.make(key, specHash, runId);
    entry.users++;
    try {
      entry.run = await entry.opening;
      return await work(entry.run);
    } finally {
      entry.users--;
    }
  }

  opened(): OpenRun[] {
    return [...this.runs.values()].flatMap(({ run }) => (run ? [run] : []));
  }

  async close(): Promise<void> {
    const entries = [...this.runs.values()];
    this.runs.clear();
    await Promise.all(
      entries.map(({ opening }) =>
        opening.then(
          (run) => run.close(),
          () => {},
        ),
      ),
    );
  }

  private make(key: string, specHash: string, runId: string): Opened {
    for (const [other, { opening, users }] of this.runs) {
      if (users > 0) continue;
      this.runs.delete(other);
      void opening.then((run) => run.close()).catch(() => {});
    }
    const entry: Opened = { opening: this.open(specHash, runId), users: 0 };
    this.runs.set(key, entry);
    // One that could not be opened may be opened later.
    entry.opening.catch(() => this.runs.delete(key));
    return entry;
  }
}
