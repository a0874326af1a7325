/** Groups solutions by what their final answers mean, for votes. */
import type { AnswerGrouper, AnswerGroups, Problem } from '../../search/types.js';
import { abortable } from '../policy/abortable.js';
import { type AnswerComparer, type ComparerSettings, createComparer } from './comparer.js';
import type { Comparison } from './equivalence.js';
import { extractAnswer } from './extract.js';

export interface AnswerGroupMaker extends AnswerGrouper {
  /** Ends the check processes. Idempotent. */
  close(): Promise<void>;
}

/** Comparisons asked for side by side: few round trips, and little lost where one of them hangs. */
const chunkSize = 16;

/** Groups by the rules of `compareAnswers`, in killable processes.
 *
 *  Two answers are one if they are the same text, or equal with either as the gold answer: the rules
 *  alone are not symmetric ("28%" as gold takes 0.28 and 28). Each answer is held against the first
 *  one of every group, in order of appearance, and joins the first that it equals. What can't be
 *  decided by rules, is too long, or can't be compared within its time or memory stands alone: a
 *  wrong merge would win votes. An answer whose check was killed, or with which two checks were,
 *  is not compared any more.
 *  @param comparer closed with the grouper; a verifier may share it
 *  @throws SteptreeError CHECK_PROCESS_FAILED, VERIFIER_CLOSED, from `group`; the signal's reason */
export function createAnswerGrouper(
  settings: ComparerSettings = {},
  comparer: AnswerComparer = createComparer(settings),
): AnswerGroupMaker {
  return {
    group: (problem, solutions, signal) => {
      signal?.throwIfAborted();
      const answers = solutions.map((steps) => extractAnswer(steps, problem.choices)?.answer);
      const grouped = groupAnswers(comparer, problem, answers);
      return signal ? abortable(grouped, signal) : grouped;
    },
    close: () => comparer.close(),
  };
}

/** The first answer of a group, which stands for it. */
interface Representative {
  readonly answer: string;
  readonly group: number;
  /** Checks against it that had to be killed. */
  killed: number;
}

async function groupAnswers(
  comparer: AnswerComparer,
  problem: Problem,
  answers: readonly (string | undefined)[],
): Promise<AnswerGroups> {
  const groupOf = new Map<string, number>();
  const representatives: Representative[] = [];
  let count = 0;
  for (const answer of answers) {
    const text = textKey(answer);
    if (answer === undefined || groupOf.has(text)) continue;
    const found = await findGroup(comparer, problem, answer, representatives);
    groupOf.set(text, typeof found === 'number' ? found : count);
    if (typeof found === 'number') continue;
    if (found === 'new') representatives.push({ answer, group: count, killed: 0 });
    count++;
  }
  return {
    answers: answers.map((answer) => answer ?? null),
    groups: answers.map((answer) => groupOf.get(textKey(answer)) ?? -1),
  };
}

/** The group of an answer, `new` if it equals none, `alone` if it can't be compared. */
async function findGroup(
  comparer: AnswerComparer,
  problem: Problem,
  answer: string,
  representatives: readonly Representative[],
): Promise<number | 'new' | 'alone'> {
  const living = representatives.filter(({ killed }) => killed < 2);
  for (let at = 0; at < living.length; at += chunkSize) {
    const chunk = living.slice(at, at + chunkSize);
    const forward = await Promise.all(
      chunk.map((one) => comparer.compare(asGold(problem, one.answer), answer)),
    );
    // The other way around, where that may still say something.
    const backward = forward.some(isEqual)
      ? []
      : await Promise.all(
          chunk.map((one, i) =>
            wasKilled(forward[i])
              ? forward[i]
              : comparer.compare(asGold(problem, answer), one.answer),
          ),
        );
    const equal = chunk.find((_, i) => isEqual(forward[i]) || isEqual(backward[i]));
    const killed = chunk.filter((_, i) => wasKilled(forward[i]) || wasKilled(backward[i]));
    for (const one of killed) one.killed++;
    if (equal) return equal.group;
    if (killed.length > 0) return 'alone';
  }
  return 'new';
}

function asGold({ choices, precision }: Problem, answer: string) {
  return {
    answer,
    ...(choices && { choices }),
    ...(precision !== undefined && { precision }),
  };
}

function isEqual(comparison: Comparison | undefined): boolean {
  return comparison?.verdict === 'equal';
}

const endings = new Set(['timeout', 'memory', 'crashed']);

function wasKilled(comparison: Comparison | undefined): boolean {
  return endings.has(comparison?.reason ?? '');
}

/** White space never makes answers differ. */
function textKey(answer: string | undefined): string {
  return (answer ?? '').replace(/\s+/g, ' ').trim();
}
