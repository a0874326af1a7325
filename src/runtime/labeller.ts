import { SearchContext, type SearchContextOptions } from '../../search/context.js';
import type { TreeJson } from '../../search/labels/tree-json.js';
import type { Critic, Problem, Usage, Verifier } from '../../search/types.js';
import type { PolicyHandle } from '../policy/create.js';
import { Gate } from './gate.js';
import { type LabelMethod, type LabelOptions, labelProblem } from './label-problem.js';
import type { RunStore } from './run-store.js';
import { ScheduledPolicy } from './scheduler.js';

/** Where the trees of a run grow: in this process, or at workers that a queue feeds. Everything else
 *  of a run (what is left to do, settling, files, failures) is the run's own and the same for both. */
export interface Labeller {
  /** Called once, before the first problem. */
  open?(store: RunStore): Promise<void>;
  /** Resolves once there is room for another problem, which then is taken. */
  enter(): Promise<void>;
  /** Gives a problem's room back. */
  leave(): void;
  /** Begins to grow a problem's tree. */
  start(task: LabelTask): Growth;
  /** What became of a problem stands in the run's store: nothing of it needs to be kept elsewhere. */
  settled?(ordinal: number): void;
  snapshot(): LabellerSnapshot;
  /** For run.json. */
  stats(): Promise<Record<string, unknown>>;
}

export interface LabelTask {
  readonly ordinal: number;
  readonly problem: Problem;
  /** The same problem with pictures as the tree is to name them. */
  readonly named: Problem;
  readonly store: RunStore;
  readonly signal: AbortSignal;
}

export interface Growth {
  /** Grows while the tree does, where that can be seen. */
  readonly usage: Readonly<Usage>;
  /** Rejects with what the policy or a store threw. */
  readonly tree: Promise<TreeJson>;
}

export interface LabellerSnapshot {
  /** Problems whose trees grow now; absent if all do that were started. */
  readonly active?: number;
  /** Sequences now at policies, of how many at most; sequences that wait. */
  readonly inFlight: number;
  readonly maxInFlight: number;
  readonly waiting: number;
  /** Spent on unfinished problems and not in their `usage`. */
  readonly unseenRollouts: number;
  readonly unseenTokens: number;
  /** Time of this session in which there was nobody to grow trees. */
  readonly idleSeconds?: number;
  readonly queue?: QueueSnapshot;
}

/** What is known of the workers of a queue. */
export interface QueueSnapshot {
  readonly workers: number;
  /** Problems of this run that are in the queue or at workers. */
  readonly handedOut: number;
  /** Why nothing goes on, in a few words. */
  readonly trouble: string | null;
}

export interface LocalLabellerOptions {
  readonly method: LabelMethod;
  readonly seed: number;
  readonly options: LabelOptions;
  readonly sampling: SearchContextOptions['sampling'];
  readonly budget: SearchContextOptions['budget'];
  readonly concurrency: number;
  readonly maxInFlight: number;
}

export interface LocalLabellerPorts {
  readonly policy: PolicyHandle;
  readonly verifier: Verifier;
  readonly critic?: Critic;
  /** For run.json, beside the policy's. */
  readonly judgeReplicas?: () => object;
  readonly now: () => number;
}

/** Grows trees in this process, all over one queue to one policy. */
export class LocalLabeller implements Labeller {
  private readonly scheduler: ScheduledPolicy;
  private readonly gate: Gate;

  constructor(
    private readonly options: LocalLabellerOptions,
    private readonly ports: LocalLabellerPorts,
  ) {
    this.scheduler = new ScheduledPolicy(ports.policy, options.maxInFlight);
    this.gate = new Gate(options.concurrency);
  }

  enter(): Promise<void> {
    return this.gate.enter();
  }

  leave(): void {
    this.gate.leave();
  }

  start({ ordinal, problem, named, store, signal }: LabelTask): Growth {
    const { policy, verifier, critic, now } = this.ports;
    const { method, seed, options, sampling, budget } = this.options;
    const context = new SearchContext({
      problem,
      seed,
      policy: this.scheduler,
      sampling,
      verifier,
      ...(critic ? { critic } : {}),
      store: store.repliesOf(ordinal),
      budget,
      now,
      signal,
      onReplay: (prefix, count) => policy.skip?.(problem.id, prefix, count),
    });
    const tree = labelProblem(named, context, method, options).finally(() =>
      this.scheduler.release(problem.id),
    );
    return { usage: context.usage, tree };
  }

  snapshot(): LabellerSnapshot {
    return { ...this.scheduler.stats(), unseenRollouts: 0, unseenTokens: 0 };
  }

  async stats(): Promise<Record<string, unknown>> {
    const { policy, judgeReplicas } = this.ports;
    const stats = await policy.stats();
    return judgeReplicas ? { ...stats, judgeReplicas: judgeReplicas() } : stats;
  }
}
