import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Usage } from '../../search/index.js';
import type { ReplicaStats } from '../policy/openai/index.js';
import type { WatchedReply } from './watched-models.js';

/** Numbers that are read when somebody scrapes. */
export interface MetricSources {
  admission(): { readonly running: number; readonly waiting: number };
  /** Sequences at the policy, and before it. */
  policyQueue(): { readonly inFlight: number; readonly waiting: number };
  /** Of the policy's host; `meanBatch` where it decodes itself. */
  policyStats(): Promise<Readonly<Record<string, unknown>>>;
  /** Of the reward model; `replicas` where servers have it. */
  scorerStats(): Readonly<Record<string, unknown>>;
  traces(): number;
}

const LATENCIES = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];
const SEQUENCES = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/** Prometheus metrics with vLLM's names under our prefix, one registry per service. */
export class Metrics {
  readonly registry = new Registry();
  private readonly success = this.counter(
    'steptree:request_success_total',
    'requests answered, by strategy and why the answer ended',
    ['strategy', 'finished_reason'],
  );
  private readonly failures = this.counter(
    'steptree:request_failure_total',
    'requests that got an error, by its code',
    ['code'],
  );
  private readonly promptTokens = this.counter(
    'steptree:prompt_tokens_total',
    'tokens of the policy’s prompts',
  );
  private readonly generatedTokens = this.counter(
    'steptree:generation_tokens_total',
    'tokens that the policy generated',
  );
  private readonly prmTokens = this.counter(
    'steptree:prm_tokens_total',
    'tokens that reward models computed',
  );
  private readonly criticTokens = this.counter(
    'steptree:critic_tokens_total',
    'tokens that critics read and wrote',
  );
  private readonly cacheQueries = this.counter(
    'steptree:prefix_cache_queries_total',
    'prompt tokens looked up in the policy’s prefix cache',
  );
  private readonly cacheHits = this.counter(
    'steptree:prefix_cache_hits_total',
    'prompt tokens that the policy’s prefix cache had',
  );
  private readonly latency = this.histogram(
    'steptree:e2e_request_latency_seconds',
    'from a request’s arrival to the end of its search',
    LATENCIES,
  );
  private readonly queueTime = this.histogram(
    'steptree:request_queue_time_seconds',
    'time that requests waited for a place',
    LATENCIES,
  );
  private readonly stepLatency = this.histogram(
    'steptree:step_latency_seconds',
    'calls to the policy, by what they ask for',
    LATENCIES,
    ['until'],
  );
  private readonly callSequences = this.histogram(
    'steptree:policy_call_sequences',
    'sequences asked for in one call to the policy',
    SEQUENCES,
  );

  constructor(sources: MetricSources) {
    const gauge = (name: string, help: string, read: () => number | Promise<number>) =>
      new Gauge({
        name,
        help,
        registers: [this.registry],
        async collect() {
          this.set(await read());
        },
      });
    gauge('steptree:num_requests_running', 'requests that are worked on', () => {
      return sources.admission().running;
    });
    gauge('steptree:num_requests_waiting', 'requests that wait for a place', () => {
      return sources.admission().waiting;
    });
    gauge('steptree:num_sequences_running', 'sequences at the policy', () => {
      return sources.policyQueue().inFlight;
    });
    gauge('steptree:num_sequences_waiting', 'sequences that wait for the policy', () => {
      return sources.policyQueue().waiting;
    });
    gauge(
      'steptree:batch_size',
      'sequences of a decode pass in the mean, where we decode',
      async () => {
        const { meanBatch } = await sources.policyStats();
        return typeof meanBatch === 'number' ? meanBatch : 0;
      },
    );
    this.addReplicas(sources);
    gauge('steptree:num_traces', 'traces in memory', () => sources.traces());
    gauge('steptree:process_resident_memory_bytes', 'memory of the process', () => {
      return process.memoryUsage.rss();
    });
  }

  /** One line a replica, where policy or reward model are servers, or one. */
  private addReplicas(sources: MetricSources): void {
    const perReplica = (name: string, help: string, read: (replica: ReplicaStats) => number) =>
      new Gauge({
        name,
        help,
        labelNames: ['model', 'replica'],
        registers: [this.registry],
        async collect() {
          this.reset();
          const stats = { policy: await sources.policyStats(), prm: sources.scorerStats() };
          for (const [model, { replicas }] of Object.entries(stats)) {
            for (const replica of (replicas ?? []) as readonly ReplicaStats[]) {
              this.set({ model, replica: replica.url }, read(replica));
            }
          }
        },
      });
    perReplica('steptree:replica_up', 'whether calls are sent to it: 1, or 0', (replica) =>
      replica.down ? 0 : 1,
    );
    perReplica('steptree:replica_sequences', 'sequences that it has now', (replica) => {
      return replica.inFlight;
    });
    perReplica('steptree:replica_calls', 'calls that it took', (replica) => replica.calls);
    perReplica('steptree:replica_stray_calls', 'calls that belonged to another one', (replica) => {
      return replica.strayCalls;
    });
    perReplica('steptree:replica_failures', 'calls that failed there', (replica) => {
      return replica.failures;
    });
    perReplica('steptree:replica_ejections', 'times that it was left out', (replica) => {
      return replica.ejections;
    });
  }

  queued(seconds: number): void {
    this.queueTime.observe(seconds);
  }

  sampled({ reply, until, seconds }: WatchedReply): void {
    this.stepLatency.observe({ until }, seconds);
    this.callSequences.observe(reply.rollouts.length);
    this.promptTokens.inc(reply.promptTokens);
    this.cacheQueries.inc(reply.promptTokens);
    this.cacheHits.inc(reply.cachedTokens);
    let tokens = 0;
    for (const rollout of reply.rollouts) tokens += rollout.policyTokens;
    this.generatedTokens.inc(tokens);
  }

  /** Tokens of reward models and critics, counted when a search has ended, well or not. */
  judged({ prmTokens, criticTokens }: Readonly<Pick<Usage, 'prmTokens' | 'criticTokens'>>): void {
    this.prmTokens.inc(prmTokens);
    this.criticTokens.inc(criticTokens);
  }

  succeeded(strategy: string, finishedReason: string, seconds: number): void {
    this.success.inc({ strategy, finished_reason: finishedReason });
    this.latency.observe(seconds);
  }

  failed(code: string): void {
    this.failures.inc({ code });
  }

  private counter(name: string, help: string, labelNames: string[] = []): Counter {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  private histogram(
    name: string,
    help: string,
    buckets: number[],
    labelNames: string[] = [],
  ): Histogram {
    return new Histogram({ name, help, buckets, labelNames, registers: [this.registry] });
  }
}
