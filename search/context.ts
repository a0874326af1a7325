import { affordable, type Budget, emptyUsage, spentLimit } from './budget.js';
import { SteptreeError } from './errors.js';
import { contentHash, createRandom, deriveSeed } from './rng.js';
import { type ScoreBatch, type StoredScores, scoreBatches, splitReply } from './score-records.js';
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
  SampleReply,
  SamplingOptions,
  Step,
  StepScorer,
  Usage,
  Verdict,
  Verifier,
} from './types.js';
import { checkCritique, checkGroups, checkScores } from './validate.js';

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

/** What to sample. */
export interface SampleWish {
  readonly n: number;
  readonly until?: 'step' | 'end';
  /** Part of the key: samples of two purposes are never the same. */
  readonly purpose?: string;
  /** In place of the run's temperature; 0 is greedy. */
  readonly temperature?: number;
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
  /** Keys of scores and critiques whose cost is in `usage`: each counts once per search. */
  private readonly accounted = new Set<string>();
  /** Computations whose value is not stored yet, so that nobody asks twice at once. */
  private readonly underWay = new Map<string, Promise<unknown>>();
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
  async sample(prefix: readonly Step[], request: SampleWish): Promise<readonly Rollout[]> {
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

  /** Step scores of each path, raw. A path's scores are stored under its content, those of a
   *  `setwise` scorer under the set's; what is stored, or stands twice in the call, is not asked
   *  again. A path without steps has no scores.
   *  @throws SteptreeError SCORE_INVALID for a reply that can't be trusted, OPTION_INVALID without
   *  a reward model */
  async score(paths: readonly (readonly Step[])[]): Promise<readonly PathScores[]> {
    const { scorer } = this.options;
    if (!scorer) throw missingPort('a reward model', '--prm');
    const hashes = paths.map(contentHash);
    const distinct = new Map<string, readonly Step[]>();
    paths.forEach((path, i) => {
      if (path.length > 0) distinct.set(hashes[i] ?? '', path);
    });
    const batches = scoreBatches(scorer, distinct);
    const records = await this.scoreRecords(scorer, batches);
    const found = new Map<string, PathScores>();
    batches.forEach((batch, i) => {
      batch.hashes.forEach((hash, at) => {
        found.set(hash, records[i]?.paths[at] ?? NO_SCORES);
      });
    });
    return hashes.map((hash) => found.get(hash) ?? NO_SCORES);
  }

  /** Asks the critic for the first wrong step of a whole solution.
   *  @throws SteptreeError CRITIQUE_INVALID for findings that don't fit the steps, OPTION_INVALID
   *  without a critic */
  async critique(steps: readonly Step[]): Promise<Critique> {
    const { critic, signal } = this.options;
    if (!critic) throw missingPort('a judge', '--judge URL');
    const key = `critique ${contentHash(steps)}`;
    const critique = await this.remember(key, async () => {
      const fresh = await critic.critique(this.problem, steps, signal);
      checkCritique(critic.name, steps, fresh);
      return fresh;
    });
    if (!this.accounted.has(key)) {
      this.accounted.add(key);
      this.usage.calls++;
      this.usage.criticCalls++;
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
    return affordable(this.options.budget, this.usage, this.elapsedMs(), wanted);
  }

  /** Whether any limit is set, so that work must go in rounds that look at it. */
  get limited(): boolean {
    return Object.values(this.options.budget).some((limit) => limit > 0);
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
    request: SampleWish,
  ): Promise<{ key: string; reply: StoredReply }> {
    const { n, until = 'end', purpose = 'rollout', temperature } = request;
    this.options.signal?.throwIfAborted();
    const what = temperature === undefined ? purpose : `${purpose}@${temperature}`;
    const place = `${what} ${until} ${contentHash(prefix)}`;
    const sequence = this.sequence++;
    const first = this.drawn.get(place) ?? 0;
    this.drawn.set(place, first + n);
    const key = `sample ${place} ${first} ${n}`;
    const stored = this.options.store.get(key) as StoredReply | undefined;
    if (stored) {
      this.usage.replayed++;
      this.options.onReplay?.(prefix, n);
      this.noteEarlier(stored.elapsedMs);
    }
    const call = { key, prefix, until, place, first, n, sequence, temperature };
    const reply = stored ?? (await this.ask(call));
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
    temperature: number | undefined;
  }): Promise<StoredReply> {
    const { key, prefix, until, place, first, n, sequence, temperature } = call;
    const { problem, policy, seed, signal, store } = this.options;
    const sampling =
      temperature === undefined ? this.options.sampling : { ...this.options.sampling, temperature };
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

  /** Records of all batches, in their order; one request asks for all that are not stored. */
  private async scoreRecords(
    scorer: StepScorer,
    batches: readonly ScoreBatch[],
  ): Promise<readonly StoredScores[]> {
    const { signal, store } = this.options;
    const records = new Map<string, StoredScores>();
    for (const { key } of batches) {
      const stored = store.get(key) as StoredScores | undefined;
      if (!stored) continue;
      records.set(key, stored);
      this.noteEarlier(stored.elapsedMs);
    }
    const missing = batches.filter(({ key }) => !records.has(key));
    if (missing.length > 0) {
      signal?.throwIfAborted();
      const paths = missing.flatMap((batch) => batch.paths);
      const reply = await scorer.score({ problem: this.problem, paths }, signal);
      checkScores(scorer.name, paths, reply);
      const fresh = splitReply(missing, reply, Math.round(this.elapsedMs()));
      await Promise.all(missing.map(({ key }, i) => store.put(key, fresh[i])));
      missing.forEach(({ key }, i) => {
        records.set(key, fresh[i] as StoredScores);
      });
    }
    this.accountScores(records, missing.length === 0);
    return batches.map(({ key }) => records.get(key) as StoredScores);
  }

  /** Counts what this search has not counted yet, as if nothing had been stored before it. */
  private accountScores(records: ReadonlyMap<string, StoredScores>, allStored: boolean): void {
    const first = [...records].filter(([key]) => !this.accounted.has(key));
    if (first.length === 0) return;
    this.usage.calls++;
    this.usage.prmCalls++;
    if (allStored) this.usage.replayed++;
    for (const [key, { prmTokens }] of first) {
      this.accounted.add(key);
      this.usage.prmTokens += prmTokens;
    }
  }

  private async remember<T>(key: string, compute: () => Promise<T>): Promise<T> {
    const known = this.options.store.get(key) as T | undefined;
    if (known !== undefined) return known;
    const running = this.underWay.get(key) as Promise<T> | undefined;
    if (running) return running;
    const started = compute().then(async (value) => {
      await this.options.store.put(key, value);
      return value;
    });
    this.underWay.set(key, started);
    try {
      return await started;
    } finally {
      this.underWay.delete(key);
    }
  }

  private noteEarlier(elapsedMs: number): void {
    this.earlierMs = Math.max(this.earlierMs, elapsedMs - this.sinceStartMs());
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

const NO_SCORES: PathScores = { steps: [] };

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
