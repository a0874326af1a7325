import { contentHash, ListHash } from './hash.js';
import { HashTable } from './hash-table.js';
import type { Ledger } from './ledger.js';
import type { PathScores, Problem, ReplyStore, ScoreReply, Step, StepScorer } from './types.js';
import { checkScores } from './validate.js';

/** Scores as they are stored: of one path, or of a whole set. */
export interface StoredScores {
  readonly paths: readonly PathScores[];
  readonly prmTokens: number;
  readonly elapsedMs: number;
}

export interface ScorerCacheOptions {
  readonly problem: Problem;
  readonly scorer: StepScorer;
  readonly store?: ReplyStore;
  readonly ledger: Ledger;
  readonly signal?: AbortSignal;
}

/** Asks a reward model for scores, each once. A path's scores are stored under its content, those
 *  of a `setwise` scorer under the set's. */
export class ScorerCache {
  /** Paths, or sets of them, that this search has asked for. */
  private readonly asked = new HashTable();
  /** By number: whether its cost is in `usage`. Each counts once per search. */
  private readonly accounted: boolean[] = [];
  private timesAccounted = 0;
  /** By number: scores of paths, where there is no store. */
  private readonly known: (PathScores | undefined)[] = [];
  /** By number: scores of sets, where there is no store. */
  private readonly knownSets = new Map<number, StoredScores>();

  constructor(private readonly options: ScorerCacheOptions) {}

  /** Scores of each path, in their order; none for a path without steps.
   *  @param hashes of the paths, where the search has them already */
  async score(
    paths: readonly (readonly Step[])[],
    hashes?: readonly (ListHash | undefined)[],
  ): Promise<PathScores[]> {
    const all = paths.map((path, i) => hashes?.[i] ?? ListHash.of(path));
    return this.options.scorer.setwise ? this.scoreSet(paths, all) : this.scoreEach(paths, all);
  }

  private async scoreEach(
    paths: readonly (readonly Step[])[],
    hashes: readonly ListHash[],
  ): Promise<PathScores[]> {
    const scores = new Array<PathScores>(paths.length).fill(NO_SCORES);
    const numbers = new Array<number>(paths.length);
    const firstPlace = new Map<number, number>();
    const missing: number[] = [];
    const before = this.timesAccounted;
    for (let i = 0; i < paths.length; i++) {
      if (paths[i]?.length === 0) continue;
      const hash = hashes[i] ?? ListHash.EMPTY;
      const number = this.asked.numberOf(hash);
      numbers[i] = number;
      if (firstPlace.has(number)) continue;
      firstPlace.set(number, i);
      const known = this.find(hash, number);
      if (known) scores[i] = known;
      else missing.push(i);
    }
    let isNew = this.timesAccounted > before;
    if (missing.length > 0) {
      const reply = await this.ask(missing.map((i) => paths[i] ?? []));
      await this.keep(missing, hashes, reply);
      isNew = this.accountEach(missing, numbers, reply) || isNew;
      for (let at = 0; at < missing.length; at++) {
        scores[missing[at] ?? 0] = reply.paths[at] ?? NO_SCORES;
      }
    }
    if (isNew) this.countCall(missing.length === 0);
    for (let i = 0; i < numbers.length; i++) {
      const first = firstPlace.get(numbers[i] ?? 0);
      if (first !== undefined) scores[i] = scores[first] ?? NO_SCORES;
    }
    return scores;
  }

  private async scoreSet(
    paths: readonly (readonly Step[])[],
    hashes: readonly ListHash[],
  ): Promise<PathScores[]> {
    // Equal paths stay: how often a policy says a thing may be what such a scorer measures.
    const scored = paths.flatMap((path, i) => (path.length > 0 ? [i] : []));
    if (scored.length === 0) return paths.map(() => NO_SCORES);
    const set = contentHash(scored.map((i) => (hashes[i] ?? ListHash.EMPTY).hex()));
    const key = `score ${this.options.scorer.name} set ${set}`;
    const number = this.asked.numberOf(ListHash.of([key]));
    const stored = this.findSet(key, number);
    const wanted = scored.map((i) => paths[i] ?? []);
    const record = stored ?? (await this.askSet(key, number, wanted));
    if (this.account(number, record.prmTokens)) this.countCall(stored !== undefined);
    const scores = paths.map(() => NO_SCORES);
    scored.forEach((i, at) => {
      scores[i] = record.paths[at] ?? NO_SCORES;
    });
    return scores;
  }

  private async askSet(
    key: string,
    number: number,
    paths: readonly (readonly Step[])[],
  ): Promise<StoredScores> {
    const { store, ledger } = this.options;
    const reply = await this.ask(paths);
    const record = {
      paths: reply.paths,
      prmTokens: Math.round(reply.prmTokens),
      elapsedMs: Math.round(ledger.elapsedMs()),
    };
    if (store) await store.put(key, record);
    else this.knownSets.set(number, record);
    return record;
  }

  private findSet(key: string, number: number): StoredScores | undefined {
    const { store, ledger } = this.options;
    if (!store) return this.knownSets.get(number);
    const stored = store.get(key) as StoredScores | undefined;
    if (stored) ledger.noteEarlier(stored.elapsedMs);
    return stored;
  }

  /** A path's scores, if they were asked for before; their cost is counted. */
  private find(hash: ListHash, number: number): PathScores | undefined {
    const { store, ledger } = this.options;
    if (!store) return this.known[number];
    const stored = store.get(this.keyOf(hash)) as StoredScores | undefined;
    if (!stored) return undefined;
    ledger.noteEarlier(stored.elapsedMs);
    this.account(number, stored.prmTokens);
    return stored.paths[0];
  }

  private keyOf(hash: ListHash): string {
    return `score ${this.options.scorer.name} ${hash.hex()}`;
  }

  private async ask(paths: readonly (readonly Step[])[]): Promise<ScoreReply> {
    const { scorer, problem, signal } = this.options;
    signal?.throwIfAborted();
    const reply = await scorer.score({ problem, paths }, signal);
    checkScores(scorer.name, paths, reply);
    return reply;
  }

  /** Resolves once all are stored, each path's scores as a record of its own.
   *  @param places of the reply's paths among the hashes */
  private async keep(
    places: readonly number[],
    hashes: readonly ListHash[],
    reply: ScoreReply,
  ): Promise<void> {
    const { store, ledger } = this.options;
    if (!store) return;
    const elapsedMs = Math.round(ledger.elapsedMs());
    await Promise.all(
      places.map((place, at) => {
        const paths = [reply.paths[at] ?? NO_SCORES];
        const record: StoredScores = { paths, prmTokens: tokenShare(reply, at), elapsedMs };
        return store.put(this.keyOf(hashes[place] ?? ListHash.EMPTY), record);
      }),
    );
  }

  private accountEach(
    places: readonly number[],
    numbers: readonly number[],
    reply: ScoreReply,
  ): boolean {
    const before = this.timesAccounted;
    for (let at = 0; at < places.length; at++) {
      const number = numbers[places[at] ?? 0] ?? 0;
      this.account(number, tokenShare(reply, at));
      if (!this.options.store) this.known[number] = reply.paths[at];
    }
    return this.timesAccounted > before;
  }

  /** Counts tokens that this search has not counted yet, as if nothing had been stored before it.
   *  @returns whether it had not */
  private account(number: number, prmTokens: number): boolean {
    if (this.accounted[number]) return false;
    this.accounted[number] = true;
    this.timesAccounted++;
    this.options.ledger.usage.prmTokens += prmTokens;
    return true;
  }

  private countCall(allStored: boolean): void {
    const { usage } = this.options.ledger;
    usage.calls++;
    usage.prmCalls++;
    if (allStored) usage.replayed++;
  }
}

/** Tokens of one path of a reply. A host counts them per request, so paths share them evenly. */
function tokenShare({ prmTokens, paths }: ScoreReply, at: number): number {
  const until = (count: number) => Math.round((prmTokens * count) / paths.length);
  return until(at + 1) - until(at);
}

const NO_SCORES: PathScores = { steps: [] };
