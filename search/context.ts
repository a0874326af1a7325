import { type Budget, emptyUsage, spentLimit } from './budget.js';
import { SteptreeError } from './errors.js';
import { contentHash, deriveSeed } from './rng.js';
import type {
  Critic,
  Critique,
  PolicyModel,
  Problem,
  ReplyStore,
  Rollout,
  SampleReply,
  SamplingOptions,
  Step,
  Usage,
  Verdict,
  Verifier,
} from './types.js';

export interface SearchContextOptions {
  readonly problem: Problem;
  /** Seed of the run; seeds of all samples derive from it. */
  readonly seed: number;
  readonly policy: PolicyModel;
  readonly sampling: SamplingOptions;
  readonly verifier: Verifier;
  readonly critic?: Critic;
  readonly store: ReplyStore;
  readonly budget: Budget;
  /** Milliseconds from any fixed point; never the source of a random number. */
  readonly now: () => number;
  readonly signal?: AbortSignal;
  /** Told of calls that a stored reply answered, so that a recorded policy can move on. */
  readonly onReplay?: (prefix: readonly Step[], count: number) => void;
}

/** Rollouts of one call with their verdicts, index by index. */
export interface GradedRollouts {
  readonly rollouts: readonly Rollout[];
  readonly verdicts: readonly Verdict[];
}

/** Everything that a strategy or labeller does to the world goes through here.
 *
 *  Every call has a stable key: what is asked (purpose), of which state (hash of the prefix),
 *  and from which sample index on. The reply is stored under that key before it is returned.
 *  A resumed search simply runs again and its stored replies come back at once, which is why
 *  resumption, replay and recording are one mechanism. */
export class SearchContext {
  readonly problem: Problem;
  readonly usage: Usage = emptyUsage();
  /** Things that a user should know about this result. */
  readonly warnings: string[] = [];
  private readonly options: SearchContextOptions;
  /** Samples drawn so far at each (purpose, state): the next sample's index. */
  private readonly drawn = new Map<string, number>();
  private sequence = 0;
  /** Verdicts on their way to the store. */
  private verdictPuts: Promise<unknown> | undefined;
  private readonly startedMs: number;
  /** Time that an interrupted run had already spent on this problem. */
  private earlierMs = 0;

  constructor(options: SearchContextOptions) {
    this.options = options;
    this.problem = options.problem;
    this.startedMs = options.now();
  }

  /** Draws `n` continuations of `prefix`; resolves once they are stored.
   *  Sample i of a state has the same seed however the samples are split into calls. */
  async sample(
    prefix: readonly Step[],
    request: { n: number; until?: 'step' | 'end'; purpose?: string },
  ): Promise<readonly Rollout[]> {
    return (await this.draw(prefix, request)).reply.rollouts;
  }

  /** Draws `n` rollouts to the end of the solution and grades each against the gold answer.
   *  A truncated or empty rollout is `ungraded`: it reached no answer, right or wrong. */
  async gradedRollouts(
    prefix: readonly Step[],
    request: { n: number; purpose?: string },
  ): Promise<GradedRollouts> {
    const { key, reply } = await this.draw(prefix, { ...request, until: 'end' });
    const verdicts = await this.verdictsOf(`verdict ${key}`, prefix, reply.rollouts);
    this.usage.ungraded += verdicts.filter((v) => v.verdict === 'ungraded').length;
    return { rollouts: reply.rollouts, verdicts };
  }

  /** Asks the judge for the first wrong step of a whole solution. */
  async critique(steps: readonly Step[]): Promise<Critique> {
    const { critic, signal } = this.options;
    if (!critic) {
      throw new SteptreeError(
        'OPTION_INVALID',
        'this method needs a judge, and none is configured; name one with --judge URL',
      );
    }
    return this.remember(`critique ${contentHash(steps)}`, () => {
      this.usage.calls++;
      return critic.critique(this.problem, steps, signal);
    });
  }

  /** The spent limit's option name, or null while the search may go on. */
  exhausted(): keyof Budget | null {
    return spentLimit(this.options.budget, this.usage, this.elapsedMs());
  }

  elapsedMs(): number {
    return this.earlierMs + this.options.now() - this.startedMs;
  }

  private async draw(
    prefix: readonly Step[],
    request: { n: number; until?: 'step' | 'end'; purpose?: string },
  ): Promise<{ key: string; reply: StoredReply }> {
    const { n, until = 'end', purpose = 'rollout' } = request;
    this.options.signal?.throwIfAborted();
    const place = `${purpose} ${until} ${contentHash(prefix)}`;
    const sequence = this.sequence++;
    const first = this.drawn.get(place) ?? 0;
    this.drawn.set(place, first + n);
    const key = `sample ${place} ${first} ${n}`;
    const stored = this.options.store.get(key) as StoredReply | undefined;
    if (stored) {
      this.usage.replayed++;
      this.options.onReplay?.(prefix, n);
      this.earlierMs = Math.max(this.earlierMs, stored.elapsedMs - this.sinceStartMs());
    }
    const reply = stored ?? (await this.ask({ key, prefix, until, place, first, n, sequence }));
    this.account(reply);
    return { key, reply };
  }

  private async ask(call: {
    key: string;
    prefix: readonly Step[];
    until: 'step' | 'end';
    place: string;
    first: number;
    n: number;
    sequence: number;
  }): Promise<StoredReply> {
    const { key, prefix, until, place, first, n, sequence } = call;
    const { problem, policy, sampling, seed, signal, store } = this.options;
    const seeds = Array.from({ length: n }, (_, i) =>
      deriveSeed(seed, problem.id, place, first + i),
    );
    const reply = await policy.sample({ problem, prefix, until, seeds, sampling }, signal);
    if (reply.rollouts.length !== n) {
      throw new SteptreeError(
        'REPLY_COUNT',
        `policy ${policy.name} returned ${reply.rollouts.length} rollouts for ${n} seeds; this is a fault of the policy host`,
        { problemId: problem.id, expected: n, got: reply.rollouts.length },
      );
    }
    const elapsedMs = Math.round(this.elapsedMs());
    const stored: StoredReply = { ...reply, prefix, sequence, elapsedMs };
    // A verdict that could not be stored is an error now: the next steps rest on it.
    const verdictPuts = this.verdictPuts;
    this.verdictPuts = undefined;
    await Promise.all([verdictPuts, store.put(key, stored)]);
    return stored;
  }

  /** Verdicts are stored with the next reply, not awaited: what is put later is never committed
   *  earlier (ReplyStore), so no stored reply can rest on a verdict that is not stored. */
  private async verdictsOf(
    key: string,
    prefix: readonly Step[],
    rollouts: readonly Rollout[],
  ): Promise<readonly Verdict[]> {
    const known = this.options.store.get(key) as readonly Verdict[] | undefined;
    if (known !== undefined) return known;
    const verdicts = await this.grade(prefix, rollouts);
    this.verdictPuts = Promise.all([this.verdictPuts, this.options.store.put(key, verdicts)]);
    // A failure is met by the next reply, or by whoever settles the problem.
    this.verdictPuts.catch(() => {});
    return verdicts;
  }

  private async grade(
    prefix: readonly Step[],
    rollouts: readonly Rollout[],
  ): Promise<readonly Verdict[]> {
    const verdicts: Verdict[] = rollouts.map(ungradableVerdict);
    const gradable = rollouts.flatMap((rollout, index) =>
      verdicts[index] === TO_BE_GRADED ? [{ index, steps: [...prefix, ...rollout.steps] }] : [],
    );
    const graded = await this.options.verifier.verify(
      this.problem,
      gradable.map((solution) => solution.steps),
      this.options.signal,
    );
    gradable.forEach(({ index }, i) => {
      verdicts[index] = graded[i] ?? { verdict: 'ungraded', reason: 'no-verdict' };
    });
    return verdicts;
  }

  private async remember<T>(key: string, compute: () => Promise<T>): Promise<T> {
    const known = this.options.store.get(key) as T | undefined;
    if (known !== undefined) return known;
    const value = await compute();
    await this.options.store.put(key, value);
    return value;
  }

  private account(reply: StoredReply): void {
    this.usage.calls++;
    this.usage.rollouts += reply.rollouts.length;
    for (const rollout of reply.rollouts) this.usage.policyTokens += rollout.policyTokens;
    this.usage.promptTokens += reply.promptTokens;
    this.usage.cachedTokens += reply.cachedTokens;
  }

  private sinceStartMs(): number {
    return this.options.now() - this.startedMs;
  }
}

/** A reply as it is stored. */
interface StoredReply extends SampleReply {
  readonly prefix: readonly Step[];
  /** Place among the problem's calls; the order of a recording. */
  readonly sequence: number;
  /** The problem's elapsed time when the reply came in. */
  readonly elapsedMs: number;
}

const TO_BE_GRADED: Verdict = { verdict: 'ungraded', reason: 'to-be-graded' };
const TRUNCATED: Verdict = { verdict: 'ungraded', reason: 'truncated' };
const EMPTY: Verdict = { verdict: 'ungraded', reason: 'empty' };

function ungradableVerdict(rollout: Rollout): Verdict {
  if (rollout.finish === 'length') return TRUNCATED;
  if (rollout.steps.length === 0) return EMPTY;
  return TO_BE_GRADED;
}
