import type { Budget, Problem, SamplingOptions, SolveResult, Usage } from '../../search/index.js';
import { LiveTree, type TreeEvent } from './live-tree.js';
import type { StrategyPlan } from './models.js';
import type { WatchedReply } from './watched-models.js';

export type TraceStatus = 'waiting' | 'running' | 'done' | 'failed';

export interface TraceError {
  readonly code: string;
  readonly message: string;
}

export type TraceEvent =
  | TreeEvent
  | { readonly type: 'status'; readonly status: TraceStatus }
  | { readonly type: 'usage'; readonly usage: Readonly<Usage>; readonly elapsedMs: number }
  | {
      readonly type: 'end';
      readonly status: 'done' | 'failed';
      readonly answer: string | null;
      readonly error: TraceError | null;
    };

export interface TraceFacts {
  readonly id: string;
  /** Whose it is; nobody else is shown it. */
  readonly owner: string;
  readonly plan: StrategyPlan;
  readonly problem: Problem;
  readonly seed: number;
  readonly sampling: SamplingOptions;
  readonly budget: Budget;
  readonly user?: string;
}

const MAX_NODES = 20_000;

/** One solve as it is seen from outside, while it runs and after. */
export class Trace {
  readonly tree = new LiveTree(MAX_NODES);
  readonly createdMs = Date.now();
  status: TraceStatus = 'waiting';
  usage: Readonly<Usage> | null = null;
  result: SolveResult | null = null;
  error: TraceError | null = null;
  private readonly listeners = new Set<(event: TraceEvent) => void>();
  private startedMs = 0;
  private bytes = 0;

  constructor(readonly facts: TraceFacts) {
    const { problem } = facts;
    const pictures = [problem, ...(problem.turns ?? [])].flatMap(({ images }) => images);
    this.bytes = 2000 + 2 * pictures.reduce((sum, { location }) => sum + location.length, 0);
  }

  /** Memory that it takes, about. */
  get size(): number {
    return this.bytes;
  }

  /** @returns a function that ends it */
  listen(listener: (event: TraceEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  start(): void {
    this.status = 'running';
    this.startedMs = performance.now();
    this.tell({ type: 'status', status: this.status });
  }

  sampled(watched: WatchedReply): void {
    for (const { steps } of watched.reply.rollouts) {
      for (const step of steps) this.bytes += 2 * step.length + 200;
    }
    this.tell(this.tree.addSamples(watched));
    this.tellUsage();
  }

  scored(...given: Parameters<LiveTree['addScores']>): void {
    this.tell(this.tree.addScores(...given));
    this.tellUsage();
  }

  finish(result: SolveResult): void {
    this.result = result;
    // Their steps are the nodes' texts.
    this.bytes += 200 * (result.states?.length ?? 0);
    this.usage = result.usage;
    this.end('done', result.answer);
  }

  fail(error: TraceError): void {
    this.error = error;
    this.end('failed', null);
  }

  /** As GET /v1/traces/:id gives it. */
  toJson() {
    const { id, plan, problem, seed, sampling, budget, user } = this.facts;
    const { result } = this;
    return {
      id,
      status: this.status,
      created: Math.floor(this.createdMs / 1000),
      model: plan.model,
      strategy: plan.strategy,
      options: plan.options,
      seed,
      sampling,
      budget,
      ...(user === undefined ? {} : { user }),
      problem: {
        id: problem.id,
        question: problem.question,
        images: problem.images.map(({ location }) => location),
        turns: (problem.turns ?? []).map(({ role, text, images }) => {
          return { role, text, images: images.map(({ location }) => location) };
        }),
      },
      tree: { nodes: this.tree.nodes, dropped: this.tree.dropped },
      usage: this.usage,
      elapsedMs: this.elapsedMs(),
      error: this.error,
      result: result && withoutUsage(result),
    };
  }

  /** Without tree and pictures, for lists. */
  summary() {
    const { id, status, created, model, strategy, problem, elapsedMs } = this.toJson();
    const { question } = problem;
    const answer = this.result?.answer ?? null;
    const nodes = this.tree.nodes.length;
    return { id, status, created, model, strategy, question, answer, nodes, elapsedMs };
  }

  private elapsedMs(): number {
    if (this.result) return Math.round(this.result.elapsedMs);
    return this.startedMs === 0 ? 0 : Math.round(performance.now() - this.startedMs);
  }

  private end(status: 'done' | 'failed', answer: string | null): void {
    this.status = status;
    this.tell({ type: 'end', status, answer, error: this.error });
    this.listeners.clear();
  }

  private tellUsage(): void {
    if (this.usage === null) return;
    this.tell({ type: 'usage', usage: { ...this.usage }, elapsedMs: this.elapsedMs() });
  }

  private tell(event: TraceEvent | null): void {
    if (event === null) return;
    for (const listener of this.listeners) listener(event);
  }
}

function withoutUsage({ usage: _, ...rest }: SolveResult): Omit<SolveResult, 'usage'> {
  return rest;
}

/** The latest solves, bounded in number and memory; those that run are kept in any case. */
export class TraceStore {
  /** In order of arrival. */
  private readonly traces = new Map<string, Trace>();
  /** Of those that have ended, in order of their ends, with their sizes then. */
  private readonly ended = new Map<string, number>();
  private endedBytes = 0;

  constructor(private readonly limits: { readonly traces: number; readonly traceMb: number }) {}

  get count(): number {
    return this.traces.size;
  }

  add(trace: Trace): void {
    if (this.limits.traces > 0) this.traces.set(trace.facts.id, trace);
  }

  /** Its size is known now, and it may make room for others. */
  hasEnded({ facts, size }: Trace): void {
    if (!this.traces.has(facts.id)) return;
    this.ended.set(facts.id, size);
    this.endedBytes += size;
    for (const [id, bytes] of this.ended) {
      const isTooMuch =
        this.traces.size > this.limits.traces || this.endedBytes > this.limits.traceMb * 1e6;
      if (!isTooMuch) return;
      this.endedBytes -= bytes;
      this.ended.delete(id);
      this.traces.delete(id);
    }
  }

  /** Another owner's is not there. */
  get(id: string, owner: string): Trace | null {
    const trace = this.traces.get(id);
    return trace?.facts.owner === owner ? trace : null;
  }

  /** Newest first. */
  list(owner: string): Trace[] {
    return [...this.traces.values()].filter((trace) => trace.facts.owner === owner).reverse();
  }
}
