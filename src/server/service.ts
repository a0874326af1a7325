/** What the routes of the service share. */
import type { FastifyBaseLogger } from 'fastify';
import type {
  AnswerGrouper,
  Budget,
  Critic,
  SamplingOptions,
  StepScorer,
  StrategyNeed,
} from '../../search/index.js';
import type { PolicyHandle } from '../policy/create.js';
import type { SchedulerStats, SkippingPolicy } from '../runtime/scheduler.js';
import type { Admission } from './admission.js';
import type { ImageAdmitter } from './images.js';
import type { JobBoard } from './jobs.js';
import type { Metrics } from './metrics.js';
import type { StrategyCatalogue } from './models.js';
import type { ServerOptions } from './options.js';
import type { PendingBytes } from './pending-bytes.js';
import type { TraceStore } from './traces.js';

/** The models behind the service; `SolveModels` of the commands are some. */
export interface ServiceModels {
  readonly host: Pick<PolicyHandle, 'name' | 'takesTurns' | 'stats' | 'describe'>;
  /** The host behind one queue. */
  readonly policy: SkippingPolicy & { release?(problemId: string): void; stats?(): SchedulerStats };
  readonly grouper: AnswerGrouper;
  readonly scorer?: StepScorer & { stats?(): Readonly<Record<string, unknown>> };
  readonly critic?: Critic;
}

/** What the service was started with. */
export interface ServiceSettings {
  readonly server: ServerOptions;
  /** For what a request doesn't say. */
  readonly sampling: SamplingOptions;
  /** Limits that a request may lower and never raise; 0 is none. */
  readonly budget: Budget;
  readonly seed: number;
}

export interface Service {
  readonly models: ServiceModels;
  readonly settings: ServiceSettings;
  readonly catalogue: StrategyCatalogue;
  readonly admission: Admission;
  readonly pending: PendingBytes;
  readonly images: ImageAdmitter;
  readonly metrics: Metrics;
  readonly traces: TraceStore;
  readonly jobs: JobBoard | null;
  readonly log: FastifyBaseLogger;
  /** Work that ends when the service does. */
  readonly running: Set<AbortController>;
}

export function needsThere({ scorer, critic }: ServiceModels): ReadonlySet<StrategyNeed> {
  return new Set<StrategyNeed>([
    ...(scorer ? (['scorer'] as const) : []),
    ...(critic ? (['critic'] as const) : []),
  ]);
}
