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
  /** By number: where there is no store, the scores themselves. */
  private readonly known: (StoredScores | undefined)[] = [];

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
    const numbers = new Array<number>(paths.length);
    const records = new Map<number, StoredScores | null>();
    /** First place of each path that has to be asked for. */
    const missing: number[] = [];
    const keys: string[] = [];
    for (let i = 0; i < paths.length; i++) {
      const hash = hashes[i] ?? ListHash.EMPTY;
      const number = paths[i]?.length === 0 ? EMPTY : this.asked.numberOf(hash);
      numbers[i] = number;
      if (number === EMPTY || records.has(number)) continue;
      const key = this.keyOf(hash);
      const record = this.find(key, number) ?? null;
      records.set(number, record);
      if (record) continue;
      missing.push(i);
      keys.push(key);
    }
    if (missing.length > 0) {
      const reply = await this.ask(missing.map((i) => paths[i] ?? []));
      const fresh = splitReply(reply, Math.round(this.options.ledger.elapsedMs()));
      await this.keep(keys, fresh);
      for (let at = 0; at < missing.length; at++) {
        records.set(numbers[missing[at] ?? 0] ?? EMPTY, fresh[at] ?? null);
      }
    }
    this.account(records, missing.length === 0);
    return numbers.map((number) => records.get(number)?.paths[0] ?? NO_SCORES);
  }

  private async scoreSet(
    paths: readonly (readonly Step[])[],
    hashes: readonly ListHash[],
  ): Promise<PathScores[]> {
    const places = new Map<string, number>();
    const distinct: (readonly Step[])[] = [];
    const names = hashes.map((hash) => hash.hex());
    names.forEach((name, i) => {
      const path = paths[i] ?? [];
      if (path.length === 0 || places.has(name)) return;
      places.set(name, distinct.push(path) - 1);
    });
    if (distinct.length === 0) return paths.map(() => NO_SCORES);
    const set = contentHash([...places.keys()]);
    const key = `score ${this.options.scorer.name} set ${set}`;
    const number = this.asked.numberOf(ListHash.of([key]));
    const stored = this.find(key, number);
    let record = stored;
    if (!record) {
      const reply = await this.ask(distinct);
      record = {
        paths: reply.paths,
        prmTokens: Math.round(reply.prmTokens),
        elapsedMs: Math.round(this.options.ledger.elapsedMs()),
      };
      await this.keep([key], [record]);
    }
    this.account(new Map([[number, record]]), stored !== undefined);
    return names.map((name) => record.paths[places.get(name) ?? -1] ?? NO_SCORES);
  }

  private keyOf(hash: ListHash): string {
    const { store, scorer } = this.options;
    return store ? `score ${scorer.name} ${hash.hex()}` : '';
  }

  private find(key: string, number: number): StoredScores | undefined {
    const { store, ledger } = this.options;
    if (!store) return this.known[number];
    const stored = store.get(key) as StoredScores | undefined;
    if (stored) ledger.noteEarlier(stored.elapsedMs);
    return stored;
  }

  private async ask(paths: readonly (readonly Step[])[]): Promise<ScoreReply> {
    const { scorer, problem, signal } = this.options;
    signal?.throwIfAborted();
    const reply = await scorer.score({ problem, paths }, signal);
    checkScores(scorer.name, paths, reply);
    return reply;
  }

  /** Resolves once all are stored. */
  private async keep(keys: readonly string[], records: readonly StoredScores[]): Promise<void> {
    const { store } = this.options;
    if (store) await Promise.all(keys.map((key, i) => store.put(key, records[i])));
  }

  /** Counts what this search has not counted yet, as if nothing had been stored before it. */
  private account(records: ReadonlyMap<number, StoredScores | null>, allStored: boolean): void {
    const { usage } = this.options.ledger;
    let isFirst = false;
    for (const [number, record] of records) {
      if (!record || this.accounted[number]) continue;
      isFirst = true;
      this.accounted[number] = true;
      if (!this.options.store) this.known[number] = record;
      usage.prmTokens += record.prmTokens;
    }
    if (!isFirst) return;
    usage.calls++;
    usage.prmCalls++;
    if (allStored) usage.replayed++;
  }
}

/** A reply cut into records, one per path. A host counts tokens per request, so paths share them
 *  evenly. */
function splitReply(reply: ScoreReply, elapsedMs: number): StoredScores[] {
  const count = Math.max(1, reply.paths.length);
  let before = 0;
  return reply.paths.map((path, i) => {
    const until = Math.round((reply.prmTokens * (i + 1)) / count);
    const prmTokens = until - before;
    before = until;
    return { paths: [path], prmTokens, elapsedMs };
  });
}

const NO_SCORES: PathScores = { steps: [] };

/** The number of a path without steps. */
const EMPTY = 0;
