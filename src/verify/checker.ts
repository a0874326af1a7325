/** The verifier of a run: extracts final answers, compares them in killable processes, asks a judge
 *  about what rules can't decide, and remembers. */
import type { Problem, Step, Verdict, Verifier } from '../../search/types.js';
import { abortable } from '../policy/abortable.js';
import { type AnswerComparer, type ComparerSettings, createComparer } from './comparer.js';
import type { Gold } from './equivalence.js';
import { extractAnswer } from './extract.js';
import type { AnswerJudge } from './judge.js';
import type { JudgeMode } from './options.js';

export interface VerifierSettings extends ComparerSettings {
  /** Grades answers by `judgeMode`; closed by whoever made it. */
  readonly judge?: AnswerJudge;
  readonly judgeMode?: JudgeMode;
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

/** A solution that states no answer is `different` with reason `no-answer`; an answer over
 *  `checkMaxChars` is `ungraded` with `too-long`; a check past its time or memory is `ungraded` with
 *  `timeout`, `memory` or `crashed`; a failed judge leaves `ungraded` with `judge-failed`. Equal
 *  questions about equal answers are asked once.
 *  @param comparer closed with the verifier; a grouper may share it
 *  @throws SteptreeError CHECK_PROCESS_FAILED, VERIFIER_CLOSED, from `verify`; the signal's reason */
export function createVerifier(
  settings: VerifierSettings = {},
  comparer: AnswerComparer = createComparer(settings),
): AnswerVerifier {
  const { judge, judgeMode = 'off' } = settings;
  let verified = 0;

  const compare = (gold: Gold, predicted: string) =>
    comparer.compareSoon?.(gold, predicted) ?? comparer.compare(gold, predicted);

  const grade = (
    problem: Problem,
    gold: Gold,
    steps: readonly Step[],
    signal?: AbortSignal,
  ): Verdict | Promise<Verdict> => {
    verified++;
    if (problem.answer === undefined) return { verdict: 'ungraded', reason: 'no-gold' };
    const found = extractAnswer(steps, problem.choices);
    if (!found) return { verdict: 'different', reason: 'no-answer' };
    const extracted = found.answer;
    const toVerdict = (outcome: Partial<Verdict> | null): Verdict => ({
      verdict: 'ungraded',
      ...outcome,
      extracted,
    });
    if (!judge || judgeMode === 'off') {
      const byRules = compare(gold, extracted);
      return byRules instanceof Promise ? byRules.then(toVerdict) : toVerdict(byRules);
    }
    return askJudge(judge, problem, gold, extracted, signal).then(toVerdict);
  };

  const askJudge = async (
    judge: AnswerJudge,
    problem: Problem,
    gold: Gold,
    extracted: string,
    signal?: AbortSignal,
  ) => {
    const byRules = judgeMode === 'always' ? null : await compare(gold, extracted);
    return byRules === null || byRules.verdict === 'ungraded'
      ? judge.judge(problem, extracted, signal)
      : byRules;
  };

  return {
    verify: (problem, solutions, signal) => {
      signal?.throwIfAborted();
      // One object for all of them: the comparer writes it out once.
      const gold = goldOf(problem);
      const all = solutions.map((steps) => grade(problem, gold, steps, signal));
      if (!all.some((verdict) => verdict instanceof Promise)) {
        return Promise.resolve(all as Verdict[]);
      }
      return signal ? abortable(Promise.all(all), signal) : Promise.all(all);
    },
    close: () => comparer.close(),
    stats: () => ({ verified, ...comparer.stats() }),
    pids: () => comparer.pids(),
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
