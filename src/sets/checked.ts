/** Scoring by our own checker, where the authors use a general one or a model. */
import { textOf } from './fields.js';
import type { AnswerChecks, Score, SetProblem } from './types.js';

export async function checkedScore(
  extraction: unknown,
  problem: SetProblem,
  checks: AnswerChecks,
): Promise<Score> {
  if (extraction === null || extraction === undefined)
    return { verdict: 'wrong', prediction: null };
  const prediction = textOf(extraction);
  const { answer, choices, answerType, precision } = problem;
  const gold = {
    answer,
    ...(choices && { choices }),
    ...(answerType && { answerType }),
    ...(precision !== undefined && { precision }),
  };
  const { verdict, reason } = await checks.compare(gold, prediction);
  if (verdict === 'ungraded') return { verdict, prediction, ...(reason ? { reason } : {}) };
  return { verdict: verdict === 'equal' ? 'correct' : 'wrong', prediction };
}

/** A letter held against the gold letter; texts of choices become their letters. */
export function letterScore(extraction: unknown, problem: SetProblem): Score {
  const letter = letterOf(extraction, problem.choices ?? []);
  const gold = problem.answer.trim().toUpperCase();
  return { verdict: letter !== null && letter === gold ? 'correct' : 'wrong', prediction: letter };
}

function letterOf(extraction: unknown, choices: readonly string[]): string | null {
  if (extraction === null || extraction === undefined) return null;
  const text = textOf(extraction).trim();
  const index = choices.findIndex((one) => one.trim() === text);
  if (index >= 0) return String.fromCharCode(65 + index);
  return /^[([{\s]*([A-Za-z])(?:[)\]}.:,\s]|$)/.exec(text)?.[1]?.toUpperCase() ?? null;
}
