import { styleText } from 'node:util';
import type { Candidate, VerdictKind } from '../../search/index.js';
import { durationText } from './progress.js';
import type { SolveReport } from './solve-report.js';
import { valueText } from './tree-text.js';

export interface SolveTextOptions {
  readonly color: boolean;
  /** Columns of the terminal. */
  readonly width: number;
}

/** A solved problem for people: answer, chosen path, all candidates, votes, costs, warnings. */
export function solveText(report: SolveReport, options: SolveTextOptions): string {
  const sections = [
    [...wrapped(report.question, '', options.width), answerLine(report, options)],
    pathLines(report, options),
    candidateLines(report, options),
    voteLines(report),
    [usageLine(report), ...report.warnings.flatMap((text) => warningLines(text, options))],
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

const WORDS: Readonly<Record<VerdictKind, string>> = {
  equal: 'right',
  different: 'wrong',
  ungraded: 'ungraded',
};

function answerLine(report: SolveReport, { color }: SolveTextOptions): string {
  const { answer, strategy, verdict, gold } = report;
  const shown = `Answer: ${answer ?? 'none'}`;
  const grade = verdict ? `  ${WORDS[verdict.verdict]}, gold answer ${gold}` : '';
  return `${color ? paint('bold', shown) : shown}${grade}  (${strategy})`;
}

function pathLines({ chosen, candidates }: SolveReport, options: SolveTextOptions): string[] {
  const best = chosen === null ? undefined : candidates[chosen];
  if (!best) return [];
  const score = best.score === null ? '' : `, score ${scoreText(best.score)}`;
  const head = `Chosen path: candidate ${(chosen ?? 0) + 1} of ${candidates.length}${score}`;
  const scored = best.stepScores !== null && best.stepScores.length > 0;
  const steps = best.steps.flatMap((step, index) => {
    if (!scored) return wrapped(step, `${String(index + 1).padStart(4)}. `, options.width);
    const value = best.stepScores?.[index] ?? null;
    const lines = wrapped(step, `  ${valueText(value, false)}  `, options.width);
    // The lines are measured without colours.
    const plain = `  ${valueText(value, false)}`;
    return lines.map((line, at) =>
      at === 0 ? `  ${valueText(value, options.color)}${line.slice(plain.length)}` : line,
    );
  });
  return [head, ...steps];
}

function candidateLines(report: SolveReport, { width }: SolveTextOptions): string[] {
  const { candidates, chosen, candidateVerdicts } = report;
  if (candidates.length < 2) return [];
  const answers = candidates.map((one) => oneLine(one.answer ?? ENDINGS[one.finish]));
  const column = Math.min(
    Math.max(20, width - 60),
    Math.max(...answers.map(({ length }) => length)),
  );
  const scored = candidates.some(({ score }) => score !== null);
  return candidates.map((candidate, index) => {
    const mark = index === chosen ? '*' : ' ';
    const verdict = candidateVerdicts?.[index];
    const facts = [
      scored ? (candidate.score === null ? '' : scoreText(candidate.score)).padStart(6) : null,
      cut(answers[index] ?? '', column).padEnd(column),
      verdict ? WORDS[verdict.verdict].padEnd(8) : null,
      `${counted(candidate.steps.length, 'step')}, ${counted(candidate.policyTokens, 'token')}${originText(candidate)}`,
    ];
    const number = String(index + 1).padStart(3);
    return `${mark}${number}  ${facts.filter((fact) => fact !== null).join('  ')}`;
  });
}

/** In place of an answer. */
const ENDINGS: Readonly<Record<Candidate['finish'], string>> = {
  end: '(no answer)',
  step: '(unfinished)',
  length: '(cut by the token limit)',
  stuck: '(stuck)',
};

function originText({ origin, parent }: Candidate): string {
  if (origin === 'sampled' || origin === 'searched') return '';
  return parent === undefined ? `, ${origin}` : `, ${origin} from ${parent + 1}`;
}

function voteLines({ votes, candidates }: SolveReport): string[] {
  if (candidates.length < 2) return [];
  const most = [...votes].sort((a, b) => b.votes - a.votes || b.weight - a.weight);
  return most.map(({ answer, votes: count, weight }) => {
    const by = weight === 0 ? '' : `, weight ${weight.toFixed(2)}`;
    return `${String(count).padStart(4)} ${count === 1 ? 'vote ' : 'votes'}  ${oneLine(answer)}${by}`;
  });
}

function usageLine({ usage, elapsedMs, stopped }: SolveReport): string {
  const n = (value: number) => value.toLocaleString('en');
  const seconds = elapsedMs / 1000;
  return [
    counted(usage.rollouts, 'rollout'),
    `${n(usage.policyTokens)} policy tokens`,
    `${n(usage.prmTokens)} reward-model tokens`,
    ...(usage.criticCalls > 0 ? [`${n(usage.criticTokens)} critic tokens`] : []),
    `${counted(usage.calls, 'call')}${usage.replayed > 0 ? ` (${n(usage.replayed)} stored)` : ''}`,
    seconds < 10 ? `${seconds.toFixed(1)} s` : durationText(seconds),
    ...(stopped === 'done' ? [] : [`stopped: ${stopped}`]),
  ].join(', ');
}

function warningLines(text: string, { width, color }: SolveTextOptions): string[] {
  const lines = wrapped(text, 'warning: ', width);
  return color ? lines.map((line) => paint('yellow', line)) : lines;
}

/** Whether the terminal has colours was decided by the caller. */
function paint(style: 'bold' | 'yellow', text: string): string {
  return styleText(style, text, { validateStream: false });
}

function scoreText(score: number): string {
  return score.toFixed(3);
}

function counted(count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

/** Text in lines of `width` columns, the first after `head`, the others indented as far.
 *  A word that is longer than a line is broken. */
export function wrapped(text: string, head: string, width: number): string[] {
  const room = Math.max(20, width - head.length);
  const lines: string[] = [];
  let line = '';
  for (const word of oneLine(text).split(' ')) {
    for (let at = 0; at === 0 || at < word.length; at += room) {
      const piece = word.slice(at, at + room);
      if (line !== '' && line.length + 1 + piece.length > room) {
        lines.push(line);
        line = '';
      }
      line = line === '' ? piece : `${line} ${piece}`;
    }
  }
  lines.push(line);
  const indent = ' '.repeat(head.length);
  return lines.map((one, index) => `${index === 0 ? head : indent}${one}`);
}
