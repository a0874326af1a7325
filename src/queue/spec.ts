import { createHash } from 'node:crypto';
import type { Budget } from '../../search/budget.js';
import { SteptreeError } from '../../search/errors.js';
import type { SamplingOptions } from '../../search/types.js';
import { packageVersion } from '../config/version.js';
import type { PolicySettings } from '../policy/create.js';
import type { LabelMethod, LabelOptions } from '../runtime/label-problem.js';
import type { JudgeOptions, VerifyOptions } from '../verify/options.js';

/** What a worker must know of a run, once a run and not once a problem. */
export interface RunSpec {
  readonly method: LabelMethod;
  readonly seed: number;
  readonly options: LabelOptions;
  readonly sampling: SamplingOptions;
  readonly budget: Budget;
  /** As the run's own command has it; a worker may have the model elsewhere. */
  readonly policy: PolicySettings;
  /** What decides the policy's replies. */
  readonly identity: Readonly<Record<string, unknown>>;
  readonly verify: Partial<VerifyOptions>;
  readonly judge: JudgeOptions;
  readonly judgeUrl: string;
  /** A problem has failed whose worker was lost more often, without a new reply. */
  readonly maxLosses: number;
}

/** A run as its coordinator publishes it. */
export interface PublishedSpec {
  readonly version: string;
  readonly spec: string;
  readonly specHash: string;
}

export function publishedSpec(spec: RunSpec): PublishedSpec {
  const text = JSON.stringify(spec);
  const specHash = createHash('sha256').update(text).digest('hex').slice(0, 32);
  return { version: packageVersion(), spec: text, specHash };
}

/** @throws SteptreeError QUEUE_VERSION_DIFFERS: trees of two versions may differ */
export function readSpec({ version, spec }: PublishedSpec, runId: string): RunSpec {
  const own = packageVersion();
  if (version !== own) {
    throw new SteptreeError(
      'QUEUE_VERSION_DIFFERS',
      `this worker is Steptree ${own}, and the coordinator of run ${runId} is ${version}; install the same version on both, or give them queues of their own with --queue-name`,
      { worker: own, coordinator: version, runId },
    );
  }
  return JSON.parse(spec) as RunSpec;
}

/** Whether a worker's policy gives the replies that the run is made of. Where a model folder lies is its
 *  address, no part of what it says.
 *  @throws SteptreeError QUEUE_POLICY_DIFFERS naming every difference */
export function checkIdentity(
  run: Readonly<Record<string, unknown>>,
  worker: Readonly<Record<string, unknown>>,
  runId: string,
): void {
  // Of another host, nothing else can be compared.
  const all = [...new Set([...Object.keys(run), ...Object.keys(worker)])];
  const names = run.host === worker.host ? all : ['host'];
  const isFolder = run.host === 'onnx' && worker.host === 'onnx';
  const differences = names.flatMap((name) => {
    if (isFolder && name === 'model') return [];
    const [wanted, has] = [JSON.stringify(run[name]), JSON.stringify(worker[name])];
    return wanted === has ? [] : [`${name} is ${has} here and ${wanted} in the run`];
  });
  if (differences.length === 0) return;
  throw new SteptreeError(
    'QUEUE_POLICY_DIFFERS',
    `this worker's policy is not that of run ${runId}: ${differences.join('; ')}; start the worker with a --policy that serves the same model in the same way`,
    { runId, differences },
  );
}
