import type { Budget } from './budget.js';
import { SteptreeError } from './errors.js';
import { contentHash, type ListHash } from './hash.js';
import { Ledger } from './ledger.js';
import { createRandom } from './rng.js';
import { Sampler, type SampleWish, type StateWish } from './sampling.js';
import { ScorerCache } from './scoring.js';
import type {
  AnswerGrouper,
  AnswerGroups,
  Critic,
  Critique,
  PathScores,
  PolicyModel,
  Problem,
  ReplyStore,
  Rollout,
  SamplingOptions,
  Step,
  StepScorer,
  Usage,
  Verdict,
  Verifier,
} from './types.js';
import { checkCritique, checkGroups } from './validate.js';

export type { SampleWish, StateWish } from './sampling.js';

export interface SearchContextOptions {
  readonly problem: Problem;
  /** Seed of the run; seeds of all samples derive from it. */
  readonly seed: number;
  readonly policy: PolicyModel;
  readonly sampling: SamplingOptions;
  readonly verifier: Verifier;
  readonly critic?: Critic;
  readonly scorer?: StepScorer;
  readonly grouper?: AnswerGrouper;
  /** Where replies are kept; without one they are gone with the search, and cost less. */
  readonly store?: ReplyStore;
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
  readonly usage: Usage;
  /** Things that a user should know about this result. */
  readonly warnings: string[] = [];
  private readonly options: SearchContextOptions;
  private readonly ledger: Ledger;
  private readonly sampler: Sampler;
  private readonly scores: ScorerCache | null;
  /** What is remembered where there is no store. */
  private readonly remembered: ReplyStore;
  /** Keys of critiques whose cost is in `usage`: each counts once per search. */
  private readonly accounted = new Set<string>();
  /** Computations whose value is not stored yet, so that nobody asks twice at once. */
  private readonly underWay = new Map<string, Promise<unknown>>();

  constructor(options: SearchContextOptions) {
    const { problem, seed, policy, sampling, scorer, store, signal, onReplay } = options;
    this.options = options;
    this.problem = problem;
    this.ledger = new Ledger(options.budget, options.now);
    this.usage = this.ledger.usage;
    const shared = {
      problem,
      ledger: this.ledger,
      ...(store ? { store } : {}),
      ...(signal ? { signal } : {}),
    };
    const replayed = onReplay ? { onReplay } : {};
    this.sampler = new Sampler({ ...shared, seed, policy, sampling, ...replayed });
    this.scores = scorer ? new ScorerCache({ ...shared, scorer }) : null;
    this.remembered = store ?? new Memory();
  }

  /** Draws `n` continuations of `prefix`; resolves once they are stored.
   *  Sample i of a state has the same seed however the samples are split into calls. */
  async sample(prefix: readonly Step[], request: SampleWish): Promise<readonly Rollout[]> {
    return (await this.sampler.draw({ ...request, prefix })).reply.rollouts;
  }

  /** The same from several states side by side; the samples of each. */
  async sampleEach(wishes: readonly StateWish[]): Promise<(readonly Rollout[])[]> {
    const drawn = await this.sampler.drawEach(wishes);
    return drawn.map(({ reply }) => reply.rollouts);
  }

  /** Draws `n` rollouts to the end of the solution and grades each against the gold answer.
   *  A truncated or empty rollout is `ungraded`: it reached no answer, right or wrong. */
  async gradedRollouts(
    prefix: readonly Step[],
    request: { n: number; purpose?: string },
  ): Promise<GradedRollouts> {
    const { key, reply } = await this.sampler.draw({ ...request, prefix, until: 'end' });
    const verdicts = await this.verdictsOf(`verdict ${key}`, prefix, reply.rollouts);
    this.usage.ungraded += verdicts.filter((v) => v.verdict === 'ungraded').length;
    return { rollouts: reply.rollouts, verdicts };
  }

  /** Step scores of each path, raw. A path's scores are stored under its content; what is stored, or
   *  stands twice in the call, is not asked again. A `setwise` scorer is given the whole list, equal
   *  paths included, and its reply is stored for that list. A path without steps has no scores.
   *  @param hashes content hashes of the paths, where the search has them already
   *  @throws SteptreeError SCORE_INVALID for a reply that can't be trusted, OPTION_INVALID without
   *  a reward model */
  async score(
    paths: readonly (readonly Step[])[],
    hashes?: readonly (ListHash | undefined)[],
  ): Promise<readonly PathScores[]> {
    if (!this.scores) throw missingPort('a reward model', '--prm');
    return this.scores.score(paths, hashes);
  }

  /** Whether a path's scores depend on the others that it is scored with. */
  get scoresSetwise(): boolean {
    return this.options.scorer?.setwise === true;
  }

  /** Asks the critic for the first wrong step of a whole solution.
   *  @throws SteptreeError CRITIQUE_INVALID for findings that don't fit the steps, OPTION_INVALID
   *  without a critic */
  async critique(steps: readonly Step[]): Promise<Critique> {
    const { critic, signal } = this.options;
    if (!critic) throw missingPort('a judge', '--judge URL');
    const key = `critique ${contentHash(steps)}`;
    const isStored = this.remembered.get(key) !== undefined;
    const critique = await this.remember(key, async () => {
      const fresh = await critic.critique(this.problem, steps, signal);
      checkCritique(critic.name, steps, fresh);
      return fresh;
    });
    if (!this.accounted.has(key)) {
      this.accounted.add(key);
      this.usage.calls++;
      this.usage.criticCalls++;
      if (isStored) this.usage.replayed++;
      this.usage.criticTokens += critique.criticTokens ?? 0;
    }
    return critique;
  }

  /** Final answers of whole solutions, and which of them mean the same.
   *  @throws SteptreeError ANSWER_GROUPS_INVALID, OPTION_INVALID without a grouper */
  async groupAnswers(solutions: readonly (readonly Step[])[]): Promise<AnswerGroups> {
    const { grouper, signal } = this.options;
    if (!grouper) throw missingPort('an answer grouper', 'the grouper option');
    if (solutions.length === 0) return { answers: [], groups: [] };
    // Stored, as verdicts are: a comparison that timed out once must not change a vote later.
    return this.remember(`groups ${contentHash(solutions.map(contentHash))}`, async () => {
      const groups = await grouper.group(this.problem, solutions, signal);
      checkGroups(solutions.length, groups);
      return groups;
    });
  }

  /** Uniform numbers in [0, 1) that depend on the run's seed, the problem and the purpose. */
  random(purpose: string): () => number {
    return createRandom([String(this.options.seed), this.problem.id, purpose].join('\u0000'));
  }

  /** Says something that a user should know about this result, once. */
  warn(text: string): void {
    if (!this.warnings.includes(text)) this.warnings.push(text);
  }

  /** How many of `wanted` further rollouts the budget affords, at least 1. */
  affordable(wanted: number): number {
    return this.ledger.affordable(wanted);
  }

  /** Whether any limit is set, so that work must go in rounds that look at it. */
  get limited(): boolean {
    return this.ledger.limited;
  }

  /** The spent limit's option name, or null while the search may go on. */
  exhausted(): keyof Budget | null {
    return this.ledger.exhausted();
  }

  elapsedMs(): number {
    return this.ledger.elapsedMs();
  }

  /** Verdicts are stored with the next reply, not awaited: what is put later is never committed
   *  earlier (ReplyStore), so no stored reply can rest on a verdict that is not stored. */
  private async verdictsOf(
    key: string,
    prefix: readonly Step[],
    rollouts: readonly Rollout[],
  ): Promise<readonly Verdict[]> {
    const known = this.options.store?.get(key) as readonly Verdict[] | undefined;
    if (known !== undefined) return known;
    const verdicts = await this.grade(prefix, rollouts);
    this.sampler.putBeforeNext(key, verdicts);
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
    const known = this.remembered.get(key) as T | undefined;
    if (known !== undefined) return known;
    const running = this.underWay.get(key) as Promise<T> | undefined;
    if (running) return running;
    const started = compute().then(async (value) => {
      await this.remembered.put(key, value);
      return value;
    });
    this.underWay.set(key, started);
    try {
      return await started;
    } finally {
      this.underWay.delete(key);
    }
  }
}

/** Replies that nobody keeps beyond the search. */
class Memory implements ReplyStore {
  private readonly values = new Map<string, unknown>();

  get(key: string): unknown {
    return this.values.get(key);
  }

  async put(key: string, value: unknown): Promise<void> {
    this.values.set(key, value);
  }
}

function missingPort(what: string, option: string): SteptreeError {
  return new SteptreeError(
    'OPTION_INVALID',
    `this method needs ${what}, and none is configured; name one with ${option}`,
  );
}

const TO_BE_GRADED: Verdict = { verdict: 'ungraded', reason: 'to-be-graded' };
const TRUNCATED: Verdict = { verdict: 'ungraded', reason: 'truncated' };
const EMPTY: Verdict = { verdict: 'ungraded', reason: 'empty' };

function ungradableVerdict(rollout: Rollout): Verdict {
  if (rollout.finish === 'length') return TRUNCATED;
  if (rollout.steps.length === 0) return EMPTY;
  return TO_BE_GRADED;
}
