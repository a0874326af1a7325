/** WeMath: multi-step problems beside the one-step problems that they are made of. */
import { groupBy } from '../evaluate/group-by.js';
import { letterScore } from './checked.js';
import { letterAt, text, textOf } from './fields.js';
import { listedChoices } from './listed-choices.js';
import { listOf } from './olympiad-bench.js';
import { choiceAnswer } from './prose/choice-answer.js';
import type { AnswerSet, ExtraMetric, ScoredProblem } from './types.js';

/** WeMath (arXiv 2407.01284, §2.3): a letter; then, of each multi-step problem and its steps, insufficient
 *  knowledge (IK), inadequate generalisation (IG), complete mastery (CM) or rote memorisation (RM). */
export const weMath: AnswerSet = {
  name: 'we-math',
  title: 'WeMath',
  source: 'Qiao et al., We-Math, arXiv 2407.01284, §2.3 and Table 2',
  problemOf: (fields, index) => {
    const options = listedChoices(text(fields.option));
    return {
      id: textOf(fields.ID ?? fields.id ?? index),
      question: text(fields.question),
      images: listOf(fields.image_path ?? fields.image),
      answer: textOf(fields.answer).trim().toUpperCase(),
      ...(options.length > 0 ? { choices: options, answerType: 'choice' as const } : {}),
    };
  },
  prompt: ({ question, choices = [], metadata }) => {
    const listed =
      text(metadata.option) || choices.map((one, i) => `${letterAt(i)}. ${one}`).join('; ');
    return `Now, we require you to solve a multiple-choice math question. Please briefly describe your thought process and provide the final answer(option).\nQuestion: ${question}\nOption: ${listed}\nRegarding the format, please answer following the template below, and be sure to include two <> symbols:\n<Thought process>: <<your thought process>> <Answer>: <<your option>>`;
  },
  extract: (response, { choices = [], question }) =>
    /<Answer>\s*:?\s*<*\s*\(?([A-H])\b/i.exec(response)?.[1]?.toUpperCase() ??
    choiceAnswer(response, choices, question),
  score: letterScore,
  groups: ({ metadata }) => ({
    steps: [stepsOf(metadata.key)].filter(Boolean),
    'knowledge concept': [textOf(metadata['knowledge concept'])].filter(Boolean),
  }),
  metrics: masteryOf,
};

function stepsOf(key: unknown): string {
  const name = textOf(key);
  const steps = /^(\d)steps/.exec(name)?.[1];
  if (!steps) return '';
  return /multi/.test(name) ? `${steps} steps` : '1 step';
}

/** Strict: mastery asks for every step; loose: for one of them. */
function masteryOf(scored: readonly ScoredProblem[]): readonly ExtraMetric[] {
  const families = groupBy(
    scored.filter(({ problem }) => stepsOf(problem.metadata.key) !== ''),
    ({ problem }) =>
      `${textOf(problem.metadata.key).slice(0, 1)} ${textOf(problem.metadata['question number'])}`,
  );
  const counts = { ik: 0, ig: 0, cm: 0, rm: 0, looseCm: 0, looseRm: 0, total: 0 };
  for (const family of families.values()) {
    const whole = family.find(({ problem }) => /multi/.test(textOf(problem.metadata.key)));
    const parts = family.filter((one) => one !== whole);
    if (!whole || parts.length === 0) continue;
    const right = parts.filter(({ verdict }) => verdict === 'correct').length;
    const isWholeRight = whole.verdict === 'correct';
    counts.total++;
    if (!isWholeRight) right === parts.length ? counts.ig++ : counts.ik++;
    else {
      right === parts.length ? counts.cm++ : counts.rm++;
      right > 0 ? counts.looseCm++ : counts.looseRm++;
    }
  }
  const { total } = counts;
  if (total === 0) return [];
  const share = (name: string, value: number): ExtraMetric => ({
    name,
    value: value / total,
    total,
  });
  return [
    share('score (strict)', counts.cm + counts.ig / 2),
    share('score (loose)', counts.looseCm + counts.ig / 2),
    share('insufficient knowledge', counts.ik),
    share('inadequate generalisation', counts.ig),
    share('complete mastery (strict)', counts.cm),
    share('rote memorisation (strict)', counts.rm),
    share('complete mastery (loose)', counts.looseCm),
    share('rote memorisation (loose)', counts.looseRm),
  ];
}
