import { SteptreeError } from './errors.js';
import { ListHash } from './hash.js';
import { HashTable } from './hash-table.js';
import type { Ledger } from './ledger.js';
import { seedAt } from './rng.js';
import type {
  PolicyModel,
  Problem,
  ReplyStore,
  SampleReply,
  SamplingOptions,
  Step,
} from './types.js';

/** What to sample. */
export interface SampleWish {
  readonly n: number;
  readonly until?: 'step' | 'end';
  /** Part of the key: samples of two purposes are never the same. */
  readonly purpose?: string;
  /** In place of the run's temperature; 0 is greedy. */
  readonly temperature?: number;
}

/** What to sample from which state. */
export interface StateWish extends SampleWish {
  readonly prefix: readonly Step[];
  /** Hash of the prefix, where the search has it already. */
  readonly hash?: ListHash;
}

/** A reply as it is stored. */
export interface StoredReply extends SampleReply {
  readonly prefix: readonly Step[];
  /** Place among the problem's calls; the order of a recording. */
  readonly sequence: number;
  /** The problem's elapsed time when the reply came in. */
  readonly elapsedMs: number;
}

/** A call and its reply. */
export interface Drawn {
  /** The call's key; '' where nothing is stored. */
  readonly key: string;
  readonly reply: SampleReply;
}

export interface SamplerOptions {
  readonly problem: Problem;
  readonly seed: number;
  readonly policy: PolicyModel;
  readonly sampling: SamplingOptions;
  readonly store?: ReplyStore;
  readonly ledger: Ledger;
  readonly signal?: AbortSignal;
  readonly onReplay?: (prefix: readonly Step[], count: number) => void;
}

/** Draws samples for one problem. A call's key is its purpose, its state and its first sample's
 *  index; a sample's seed depends on purpose, state and index, never on how samples are split into
 *  calls. */
export class Sampler {
  private readonly states = new HashTable();
  /** By purpose: samples drawn so far at each state, by the state's number. */
  private readonly drawn = new Map<string, number[]>();
  /** What all seeds begin with. */
  private readonly seedBase: ListHash;
  private sequence = 0;
  /** Writes that the next reply waits for: what is asked next rests on them. */
  private pending: Promise<unknown> | undefined;

  constructor(private readonly options: SamplerOptions) {
    this.seedBase = ListHash.of([String(options.seed), options.problem.id]);
  }

  /** Side by side; each resolves once its reply is stored. */
  drawEach(wishes: readonly StateWish[]): Promise<Drawn[]> {
    return Promise.all(wishes.map((wish) => this.draw(wish)));
  }

  /** Begins to store something without waiting for it: the next reply will. */
  putBeforeNext(key: string, value: unknown): void {
    if (!this.options.store) return;
    this.pending = Promise.all([this.pending, this.options.store.put(key, value)]);
    // A failure is met by the next reply, or by whoever settles the problem.
    this.pending.catch(() => {});
  }

  /** No async function: thousands of calls a second are made here where the policy is instant, and
   *  each would add promises of its own. */
  draw(wish: StateWish): Promise<Drawn> | Drawn {
    try {
      return this.begin(wish);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  private begin(wish: StateWish): Promise<Drawn> | Drawn {
    const { store, ledger, signal } = this.options;
    const { prefix, n, until = 'end', purpose = 'rollout', temperature } = wish;
    signal?.throwIfAborted();
    const what = temperature === undefined ? purpose : `${purpose}@${temperature}`;
    const hash = wish.hash ?? ListHash.of(prefix);
    const kind = `${what} ${until}`;
    const first = this.take(kind, hash, n);
    const key = store ? `sample ${kind} ${hash.hex()} ${first} ${n}` : '';
    const sequence = this.sequence++;
    const stored = store?.get(key) as StoredReply | undefined;
    if (stored) {
      ledger.usage.replayed++;
      this.options.onReplay?.(prefix, n);
      ledger.noteEarlier(stored.elapsedMs);
      return this.account({ key, reply: stored });
    }
    const call = { key, prefix, n, sequence };
    const asked = this.ask(wish, until, this.seedsOf(kind, hash, first, n));
    return asked.then((reply) => this.keep(call, reply));
  }

  /** @returns index of the first of `n` samples that are taken now */
  private take(kind: string, hash: ListHash, n: number): number {
    const counts = this.drawn.get(kind) ?? [];
    if (counts.length === 0) this.drawn.set(kind, counts);
    const state = this.states.numberOf(hash);
    while (counts.length <= state) counts.push(0);
    const first = counts[state] ?? 0;
    counts[state] = first + n;
    return first;
  }

  /** deriveSeed of run, problem and place, the place being kind and state. */
  private seedsOf(kind: string, state: ListHash, first: number, n: number): number[] {
    const base = this.seedBase.withPlace(kind, state);
    const seeds = new Array<number>(n);
    for (let i = 0; i < n; i++) seeds[i] = seedAt(base, first + i);
    return seeds;
  }

  private ask(
    { prefix, temperature }: StateWish,
    until: 'step' | 'end',
    seeds: readonly number[],
  ): Promise<SampleReply> {
    const { problem, policy, signal } = this.options;
    const sampling =
      temperature === undefined ? this.options.sampling : { ...this.options.sampling, temperature };
    return policy.sample({ problem, prefix, until, seeds, sampling }, signal);
  }

  private keep(
    call: { key: string; prefix: readonly Step[]; n: number; sequence: number },
    reply: SampleReply,
  ): Promise<Drawn> | Drawn {
    const { store, ledger, policy, problem } = this.options;
    const { key, prefix, n, sequence } = call;
    if (reply.rollouts.length !== n) {
      throw new SteptreeError(
        'REPLY_COUNT',
        `policy ${policy.name} returned ${reply.rollouts.length} rollouts for ${n} seeds; this is a fault of the policy host`,
        { problemId: problem.id, expected: n, got: reply.rollouts.length },
      );
    }
    const elapsedMs = Math.round(ledger.elapsedMs());
    if (!store) return this.account({ key, reply });
    const stored: StoredReply = { ...reply, prefix, sequence, elapsedMs };
    const { pending } = this;
    this.pending = undefined;
    const put = store.put(key, stored);
    const done = pending ? Promise.all([pending, put]) : put;
    return done.then(() => this.account({ key, reply: stored }));
  }

  private account(drawn: Drawn): Drawn {
    const { usage } = this.options.ledger;
    const { rollouts, promptTokens, cachedTokens } = drawn.reply;
    usage.calls++;
    usage.rollouts += rollouts.length;
    for (const rollout of rollouts) usage.policyTokens += rollout.policyTokens;
    usage.promptTokens += promptTokens;
    usage.cachedTokens += cachedTokens;
    return drawn;
  }
}
