/** Compares final answers in killable processes and remembers; shared by whoever compares. */
import { z } from 'zod';
import { CheckPool, closedError } from './check-pool.js';
import { type Comparison, compareAnswers, type Gold } from './equivalence.js';
import { type VerifyOptions, verifyOptions } from './options.js';

/** Other options of a run may stand beside these. */
export interface ComparerSettings extends Partial<VerifyOptions> {
  /** URL of a module whose default export is a `SymbolicComparer`; default: `symbolic.ts`. */
  readonly symbolicModule?: string;
}

export interface AnswerComparer {
  /** An answer over `checkMaxChars` is `ungraded` with `too-long`; a check past its time or memory
   *  with `timeout`, `memory` or `crashed`. Equal questions are asked once.
   *  @throws SteptreeError CHECK_PROCESS_FAILED, VERIFIER_CLOSED */
  compare(gold: Gold, predicted: string): Promise<Comparison>;
  /** The same, at once where nothing has to be waited for: it is remembered, or rules decide it. Nearly
   *  all rollouts are such, and cost no promises then. */
  compareSoon?(gold: Gold, predicted: string): Comparison | Promise<Comparison>;
  /** Ends the check processes; checks under way fail with VERIFIER_CLOSED. Idempotent. */
  close(): Promise<void>;
  stats(): { readonly remembered: number; readonly killed: number };
  /** Ids of the live check processes. */
  pids(): number[];
}

/** Comparisons remembered, at most; the least recently used go first. */
const maxRemembered = 20_000;

export function createComparer(settings: ComparerSettings = {}): AnswerComparer {
  const { symbolicModule } = settings;
  const options = z.object(verifyOptions.shape).parse(settings);
  const pool = new CheckPool({ ...options, ...(symbolicModule && { symbolicModule }) });
  const memory = new ComparisonMemory();
  let closed = false;
  const decide = (gold: Gold, predicted: string): Comparison | Promise<Comparison> => {
    if (closed) throw closedError();
    return quickComparison(gold, predicted) ?? pool.compare({ gold, predicted });
  };
  const compareSoon = (gold: Gold, predicted: string) => {
    if (predicted.length > options.checkMaxChars) return TOO_LONG;
    try {
      return memory.recall(keyOf(gold) + predicted, () => decide(gold, predicted));
    } catch (error) {
      return Promise.reject(error);
    }
  };
  return {
    compareSoon,
    compare: async (gold, predicted) => compareSoon(gold, predicted),
    close: () => {
      closed = true;
      return pool.close();
    },
    stats: () => ({ remembered: memory.hits, killed: pool.killed }),
    pids: () => pool.pids(),
  };
}

/** Answers up to this length, with few items, are compared by rules in milliseconds at most. */
const maxQuickLength = 300;
const maxQuickItems = 24;

/** What rules decide about ordinary answers needs no other process. */
function quickComparison(gold: Gold, predicted: string): Comparison | undefined {
  const both = gold.answer + predicted;
  if (both.length > 2 * maxQuickLength || both.split(/[,;&]|\b(?:or|and)\b/).length > maxQuickItems)
    return undefined;
  const comparison = compareAnswers(gold, predicted);
  return comparison.reason === 'needs-symbolic' ? undefined : comparison;
}

/** Each written out once, for all the answers that are held against it. */
const goldKeys = new WeakMap<Gold, string>();

/** What a comparison depends on beside the predicted answer, as a text that tells where it ends. */
function keyOf(gold: Gold): string {
  const known = goldKeys.get(gold);
  if (known !== undefined) return known;
  const { answer, precision, answerType, choices, strict, allowSetRelation } = gold;
  const key = JSON.stringify([answer, precision, answerType, choices, strict, allowSetRelation]);
  goldKeys.set(gold, key);
  return key;
}

const TOO_LONG: Comparison = { verdict: 'ungraded', reason: 'too-long' };

/** Least-recently-used memory of comparisons, those still under way included. */
class ComparisonMemory {
  hits = 0;
  private readonly known = new Map<string, Comparison | Promise<Comparison>>();

  recall(
    key: string,
    ask: () => Comparison | Promise<Comparison>,
  ): Comparison | Promise<Comparison> {
    const earlier = this.known.get(key);
    if (earlier) {
      this.hits++;
      this.known.delete(key);
      this.known.set(key, earlier);
      return earlier;
    }
    const asked = ask();
    this.known.set(key, asked);
    if (asked instanceof Promise) this.settle(key, asked);
    if (this.known.size > maxRemembered) {
      for (const oldest of this.known.keys()) {
        this.known.delete(oldest);
        break;
      }
    }
    return asked;
  }

  private settle(key: string, asked: Promise<Comparison>): void {
    asked.then(
      (comparison) => {
        if (this.known.get(key) === asked) this.known.set(key, comparison);
      },
      // What failed may be asked again.
      () => this.known.delete(key),
    );
  }
}
