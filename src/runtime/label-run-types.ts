import type { TreeJson } from '../../search/labels/tree-json.js';
import type { ProblemItem } from '../data/problems.js';
import type { LabelOptions } from './label-problem.js';
import type { Labeller, QueueSnapshot } from './labeller.js';

export interface LabelRunConfig {
  readonly dir: string;
  readonly seed: number;
  /** What lines are made of a tree with. */
  readonly options: LabelOptions;
  readonly strict: boolean;
  readonly keepReplies: boolean;
  readonly maxFailuresInARow: number;
  /** 0 is all. */
  readonly limit: number;
  /** Everything that decides what the trees are; a folder made with another one is refused. */
  readonly identity: Readonly<Record<string, unknown>>;
  /** Defaults of the options in `identity`, for folders that are older than an option. */
  readonly identityDefaults?: Readonly<Record<string, unknown>>;
  /** Written into run.json as they are: versions, host descriptions. */
  readonly facts: Readonly<Record<string, unknown>>;
}

export interface LabelRunPorts {
  readonly problems: AsyncIterable<ProblemItem>;
  /** Grows the trees. */
  readonly labeller: Labeller;
  readonly signal: AbortSignal;
  readonly now: () => number;
  /** A finished tree, for whoever shows the run live. */
  readonly onTree?: (tree: TreeJson) => void;
}

export interface RunSummary {
  readonly status: 'running' | 'done' | 'interrupted' | 'stopped';
  readonly problems: { done: number; failed: number; total: number | null };
  readonly labels: number;
  readonly rollouts: number;
  readonly policyTokens: number;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  /** Tokens that the judge read and wrote; 0 where it does not say. */
  readonly criticTokens: number;
  readonly calls: number;
  readonly ungraded: number;
  /** Calls that this session answered from stored replies. */
  readonly replayed: number;
  /** Wall time of all sessions together. */
  readonly seconds: number;
}

/** What a progress display wants to know at any moment. */
export interface RunSnapshot extends RunSummary {
  readonly active: number;
  readonly inFlight: number;
  readonly maxInFlight: number;
  readonly waiting: number;
  /** Rollouts and tokens of this session, those of unfinished problems included. */
  readonly sessionRollouts: number;
  readonly sessionTokens: number;
  /** Without the time in which there was no worker. */
  readonly sessionSeconds: number;
  /** Problems that earlier sessions had settled. */
  readonly settledBefore: number;
  /** Where workers grow the trees. */
  readonly queue?: QueueSnapshot;
}
