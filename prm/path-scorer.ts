/** The `StepScorer` of a host that scores paths one by one. */
import { SteptreeError } from '../search/errors.js';
import type { PathScores, Problem, ScoreRequest, Step, StepScorer } from '../search/types.js';
import { type After, type BatchLimits, PathBatcher, systemAfter } from './batching.js';
import { checkPathScores, checkPaths } from './check.js';
import { pathKey } from './content-key.js';
import { LruMap } from './lru.js';
import type { PathHost, ScoredPath } from './ports.js';

/** A reward model as a program holds it. */
export interface Scorer extends StepScorer {
  /** For logs and reports. */
  stats(): Readonly<Record<string, unknown>>;
  /** Calls under way fail with SCORE_HOST_CLOSED. Idempotent. */
  close(): Promise<void>;
}

export interface PathScorerOptions extends BatchLimits {
  /** Paths whose scores are remembered by content; 0 remembers none. */
  readonly cachedPaths: number;
  /** A request that takes longer fails, whatever its host does, ms. */
  readonly deadlineMs: number;
}

/** Batches the paths of all requests, checks every score, and remembers it by content. A request
 *  fails as soon as one of its paths does, and takes no other request with it.
 *  @throws from `score`: SteptreeError SCORE_PATH_EMPTY, SCORE_COUNT, SCORE_RANGE, SCORE_DEADLINE,
 *  SCORE_HOST_FAILED, SCORE_HOST_CLOSED, what the host throws, and the signal's reason */
export function createPathScorer(
  host: PathHost,
  options: PathScorerOptions,
  after: After = systemAfter,
): Scorer {
  return new BatchedScorer(host, options, after);
}

class BatchedScorer implements Scorer {
  readonly name: string;
  private readonly batcher: PathBatcher;
  private readonly known: LruMap<PathScores>;
  private readonly counts = { requests: 0, paths: 0, cached: 0, prmTokens: 0 };

  constructor(
    private readonly host: PathHost,
    private readonly options: PathScorerOptions,
    private readonly after: After,
  ) {
    this.name = host.name;
    this.batcher = new PathBatcher(host, options, after);
    this.known = new LruMap(options.cachedPaths);
  }

  async score(request: ScoreRequest, signal?: AbortSignal) {
    signal?.throwIfAborted();
    checkPaths(request, this.name);
    this.counts.requests++;
    const keys = request.paths.map((steps) => pathKey(request.problem, steps));
    const wanted = new Map(keys.map((key, index) => [key, request.paths[index] ?? []]));
    const scored = await this.scoreAll(request.problem, wanted, signal);
    const prmTokens = [...scored.values()].reduce((sum, one) => sum + one.prmTokens, 0);
    this.counts.paths += request.paths.length;
    this.counts.prmTokens += prmTokens;
    const paths = keys.map((key) => scored.get(key)?.scores ?? { steps: [] });
    return { paths, prmTokens };
  }

  stats() {
    return { ...this.counts, ...this.batcher.stats(), ...hostStats(this.host) };
  }

  close(): Promise<void> {
    return this.batcher.close();
  }

  /** Every different path once. @param wanted steps by the path's key */
  private async scoreAll(
    problem: Problem,
    wanted: ReadonlyMap<string, readonly Step[]>,
    signal: AbortSignal | undefined,
  ): Promise<Map<string, ScoredPath>> {
    const scored = new Map<string, ScoredPath>();
    const submitted = [...wanted].flatMap(([key, steps]) => {
      const scores = this.batcher.closed ? undefined : this.known.get(key);
      if (scores === undefined) return [{ key, steps, ...this.batcher.submit(problem, steps) }];
      this.counts.cached++;
      scored.set(key, { scores, prmTokens: 0 });
      return [];
    });
    const cancel = (reason: unknown) => {
      for (const one of submitted) one.cancel(reason);
    };
    const onAbort = () => cancel(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    const stopTimer = this.after(this.options.deadlineMs, () => cancel(this.deadlineError()));
    try {
      await Promise.all(
        submitted.map(async ({ key, steps, done }) => {
          const { scores, prmTokens } = await done;
          const checked = checkPathScores(scores, steps, this.name, problem.id);
          if (this.options.cachedPaths > 0) this.known.set(key, checked);
          scored.set(key, { scores: checked, prmTokens });
        }),
      );
      return scored;
    } catch (error) {
      cancel(error);
      throw error;
    } finally {
      stopTimer();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  private deadlineError(): SteptreeError {
    const { deadlineMs } = this.options;
    return new SteptreeError(
      'SCORE_DEADLINE',
      `${this.name} gave no scores within ${deadlineMs} ms; check the host, or raise --prm-deadline-ms`,
      { host: this.name, deadlineMs },
    );
  }
}

function hostStats(host: PathHost): Readonly<Record<string, unknown>> {
  return 'stats' in host && typeof host.stats === 'function' ? host.stats() : {};
}
