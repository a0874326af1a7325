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
  const decide = async (gold: Gold, predicted: string): Promise<Comparison> => {
    if (closed) throw closedError();
    return quickComparison(gold, predicted) ?? pool.compare({ gold, predicted });
  };
  return {
    compare: (gold, predicted) =>
      predicted.length > options.checkMaxChars
        ? Promise.resolve({ verdict: 'ungraded', reason: 'too-long' })
        : memory.recall(gold, predicted, () => decide(gold, predicted)),
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

/** Least-recently-used memory of comparisons, those still under way included. */
class ComparisonMemory {
  hits = 0;
  private readonly known = new Map<string, Promise<Comparison>>();

  recall(gold: Gold, predicted: string, ask: () => Promise<Comparison>): Promise<Comparison> {
    const key = JSON.stringify([
      gold.answer,
      predicted,
      gold.precision,
      gold.answerType,
      gold.choices,
      gold.strict,
      gold.allowSetRelation,
    ]);
    const earlier = this.known.get(key);
    if (earlier) {
      this.hits++;
      this.known.delete(key);
      this.known.set(key, earlier);
      return earlier;
    }
    const asked = ask();
    this.known.set(key, asked);
    // What failed may be asked again.
    asked.catch(() => this.known.delete(key));
    if (this.known.size > maxRemembered) {
      for (const oldest of this.known.keys()) {
        this.known.delete(oldest);
        break;
      }
    }
    return asked;
  }
}
