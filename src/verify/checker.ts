/** The verifier of a run: extracts final answers, compares them in killable processes, asks a judge
 *  about what rules can't decide, and remembers. */
import { z } from 'zod';
import type { Problem, Step, Verdict, Verifier } from '../../search/types.js';
import { abortable } from '../policy/abortable.js';
import { CheckPool } from './check-pool.js';
import type { Comparison, Gold } from './equivalence.js';
import { extractAnswer } from './extract.js';
import type { AnswerJudge } from './judge.js';
import { type JudgeMode, type VerifyOptions, verifyOptions } from './options.js';

/** Other options of a run may stand beside these. */
export interface VerifierSettings extends Partial<VerifyOptions> {
  /** Grades answers by `judgeMode`; closed by whoever made it. */
  readonly judge?: AnswerJudge;
  readonly judgeMode?: JudgeMode;
  /** URL of a module whose default export is a `SymbolicComparer`. */
  readonly symbolicModule?: string;
}

export interface VerifierStats {
  /** Solutions graded. */
  readonly verified: number;
  /** Of these, graded from memory. */
  readonly remembered: number;
  /** Comparisons ended for their time or memory. */
  readonly killed: number;
}

export interface AnswerVerifier extends Verifier {
  /** Ends the check processes; checks under way fail with VERIFIER_CLOSED. Idempotent. */
  close(): Promise<void>;
  stats(): VerifierStats;
  /** Ids of the live check processes. */
  pids(): number[];
}

/** Comparisons remembered, at most; the least recently used go first. */
const maxRemembered = 20_000;

/** A solution that states no answer is `different` with reason `no-answer`; an answer over
 *  `checkMaxChars` is `ungraded` with `too-long`; a check past its time or memory is `ungraded` with
 *  `timeout`, `memory` or `crashed`; a failed judge leaves `ungraded` with `judge-failed`. Equal
 *  questions about equal answers are asked once.
 *  @throws SteptreeError CHECK_PROCESS_FAILED, VERIFIER_CLOSED, from `verify`; the signal's reason */
export function createVerifier(settings: VerifierSettings = {}): AnswerVerifier {
  const { judge, judgeMode = 'off', symbolicModule } = settings;
  const options = z.object(verifyOptions.shape).parse(settings);
  const pool = new CheckPool({ ...options, ...(symbolicModule && { symbolicModule }) });
  const memory = new ComparisonMemory();
  let verified = 0;

  const compare = (gold: Gold, predicted: string): Promise<Comparison> =>
    predicted.length > options.checkMaxChars
      ? Promise.resolve({ verdict: 'ungraded', reason: 'too-long' })
      : memory.recall(gold, predicted, () => pool.compare({ gold, predicted }));

  const grade = async (
    problem: Problem,
    steps: readonly Step[],
    signal?: AbortSignal,
  ): Promise<Verdict> => {
    verified++;
    if (problem.answer === undefined) return { verdict: 'ungraded', reason: 'no-gold' };
    const found = extractAnswer(steps, problem.choices);
    if (!found) return { verdict: 'different', reason: 'no-answer' };
    const extracted = found.answer;
    const byRules =
      judgeMode === 'always' && judge ? null : await compare(goldOf(problem), extracted);
    const isOpen = byRules === null || (byRules.verdict === 'ungraded' && judgeMode === 'fallback');
    const outcome = judge && isOpen ? await judge.judge(problem, extracted, signal) : byRules;
    return { verdict: 'ungraded', ...outcome, extracted };
  };

  return {
    verify: (problem, solutions, signal) => {
      signal?.throwIfAborted();
      const all = Promise.all(solutions.map((steps) => grade(problem, steps, signal)));
      return signal ? abortable(all, signal) : all;
    },
    close: () => pool.close(),
    stats: () => ({ verified, remembered: memory.hits, killed: pool.killed }),
    pids: () => pool.pids(),
  };
}

function goldOf(problem: Problem): Gold {
  const { answer = '', choices, answerType, precision } = problem;
  return {
    answer,
    ...(choices && { choices }),
    ...(answerType && { answerType }),
    ...(precision !== undefined && { precision }),
  };
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
