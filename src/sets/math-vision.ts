/** MATH-Vision: 3,040 competition problems with pictures in 16 subjects and 5 levels. */
import { choicesOf, letterAt, text, textOf } from './fields.js';
import { latexValue } from './latex-value.js';
import { pythonFloat, pythonRound } from './python.js';
import type { AnswerSet, Score, SetProblem } from './types.js';

/** MATH-Vision (arXiv 2402.14804, §3): the last box, or what follows "the answer is", held against the
 *  gold letter and against the text of its option. */
export const mathVision: AnswerSet = {
  name: 'math-vision',
  title: 'MATH-Vision',
  source:
    'Wang et al., MATH-Vision, arXiv 2402.14804; rules of evaluation/evaluate.py and utils.py of the authors',
  problemOf: (fields, index) => {
    const { id = `math-vision-${index}`, question, image, options, answer } = fields;
    const choices = Array.isArray(options) ? options.map(textOf) : [];
    return {
      id: textOf(id),
      question: text(question),
      images: [fields.decoded_image ?? image].filter((one) => one !== undefined && one !== null),
      answer: textOf(answer),
      ...(choices.length > 0 ? { choices, answerType: 'choice' as const } : {}),
    };
  },
  prompt: (problem) => {
    const listed = choicesOf(problem).map((one, index) => `(${letterAt(index)}) ${one}`);
    const options = listed.length > 0 ? `\n${listed.join('\n')}\n` : '\n';
    return `Please solve the problem step by step and put your answer in one "\\boxed{}". If it is a multiple choice question, only one letter is allowed in the "\\boxed{}".\n${problem.question.replace(/<image\d+>/g, '').trim()}${options}`;
  },
  extract: (response) => extractMathVision(response),
  score: (extraction, problem): Score => {
    if (extraction === null || extraction === undefined)
      return { verdict: 'wrong', prediction: null };
    const prediction = textOf(extraction);
    const isRight = golds(problem).some((gold) => isEqualMathVision(prediction, gold));
    return { verdict: isRight ? 'correct' : 'wrong', prediction };
  },
  groups: ({ metadata }) => ({
    subject: metadata.subject === undefined ? [] : [textOf(metadata.subject)],
    level: metadata.level === undefined ? [] : [textOf(metadata.level)],
  }),
  extractionField: 'model_answer',
};

/** The gold answer and, of a problem with options, the text that its letter stands for. */
function golds(problem: SetProblem): string[] {
  const option = choicesOf(problem)[problem.answer.charCodeAt(0) - 65];
  return option === undefined ? [problem.answer] : [problem.answer, option];
}

const flags = [
  'the final answer is',
  'the answer is',
  'the correct answer is',
  'the answer should be',
];

/** The authors' extraction. Always a text; a response without an answer is its own answer. */
export function extractMathVision(response: string): string {
  let answer = response.trim();
  for (const letter of 'ABCDE') {
    const ends = [` ${letter}.`, ` (${letter}).`];
    const starts = [`${letter}\n`, `(${letter})\n`, `(${letter}) ${letter}\n`];
    if (ends.some((end) => answer.endsWith(end)) || starts.some((one) => answer.startsWith(one))) {
      answer = letter;
    }
  }
  const last = withoutDots(lastPart(answer, 'is '));
  if (pythonFloat(last) !== null) answer = last;
  if (!answer.includes('oxed{')) answer = afterFlags(answer);
  else if (answer.split('oxed{').length > 2) answer = `\\boxed{${lastPart(answer, 'oxed{')}`;
  return withoutDots(plainLetters(stripText(boxContent(answer))))
    .replace(/^:+/, '')
    .trim();
}

function afterFlags(answer: string): string {
  let rest = answer;
  for (const flag of flags) {
    for (const written of [flag, flag.replace('the', 'The')]) {
      const found = rest.includes(written);
      rest = lastPart(rest, written).trim();
      if (found) rest = (rest.split('\n', 1)[0] ?? '').split('. ', 1)[0] ?? '';
    }
  }
  return rest;
}

/** The content of the last box without LaTeX around it; braces are not matched, the rule says. */
function boxContent(text: string): string {
  const lower = text.toLowerCase().replaceAll('{}', '');
  const start = lower.indexOf('oxed{');
  const end = lower.lastIndexOf('}');
  let answer = start >= 0 && end >= start + 5 ? lower.slice(start + 5, end) : lower;
  const close = answer.indexOf('}');
  const open = answer.indexOf('{');
  if (close >= 0 && (open < 0 || close < open)) answer = answer.slice(0, close);
  answer = lastPart(lastPart(answer, '='), '\\approx');
  const removed = [
    ['∞', '\\infty'],
    ['+\\infty', '\\infty'],
    ['\\\\', '\\'],
    ['\n', ''],
    ['\\text', ''],
    ['\\mbox', ''],
    ['bmatrix', 'pmatrix'],
    ['\\left', ''],
    ['\\right', ''],
    ['^{\\circ}', ''],
    ['^\\circ', ''],
    ['{m}^3', ''],
    ['m^3', ''],
    ['{units}', ''],
    ['units', ''],
    ['{km}', ''],
    ['km', ''],
  ] as const;
  answer = answer.replaceAll(' ', '').replaceAll('\\,', '');
  return removed.reduce((rest, [from, to]) => rest.replaceAll(from, to), answer);
}

/** The normalisation of strings that the published answers went through: dollars, percent signs behind
 *  a backslash, roots and fractions without braces. */
function stripText(text: string): string {
  let answer = text
    .replaceAll('\\!', '')
    .replaceAll('\\\\', '\\')
    .replaceAll('\\$', '')
    .replaceAll('tfrac', 'frac')
    .replaceAll('dfrac', 'frac')
    .replaceAll('$', '')
    .replaceAll('\\%', '')
    .replaceAll('{.', '{0.');
  if (answer.startsWith('.')) answer = `0${answer}`;
  answer = answer.replace(/\\sqrt([^{])/g, '\\sqrt{$1}');
  if (answer === '0.5') return '\\frac{1}{2}';
  const slash = /^(0|-?[1-9]\d*)\/(0|-?[1-9]\d*)$/.exec(answer);
  return slash ? `\\frac{${slash[1]}}{${slash[2]}}` : answer;
}

function plainLetters(text: string): string {
  return text.replace(/\(([a-e])\)/g, '$1').replace(/\{([a-e])\}/g, '$1');
}

/** Equal as strings, as tuples rounded to two decimals, or in value rounded to two decimals. */
export function isEqualMathVision(prediction: string, gold: string): boolean {
  const a = prediction.toLowerCase();
  const b = gold.toLowerCase();
  if (a.replaceAll(' ', '') === '' || b.replaceAll(' ', '') === '') return false;
  if (a.trim() === b.trim()) return true;
  const [left, right] = [roundedTuple(a), roundedTuple(b)];
  if (left === right) return true;
  const values = [latexValue(left), latexValue(right)];
  if (values[0] == null || values[1] == null) return false;
  return pythonRound(values[0], 2) === pythonRound(values[1], 2);
}

function roundedTuple(text: string): string {
  const brackets = /^(?:\((.*)\)|\[(.*)\])$/s.exec(text);
  const parts = (brackets?.[1] ?? brackets?.[2])?.split(',') ?? [];
  if (parts.length < 2) return text;
  const rounded = parts.map((part) => {
    if (part.includes('infty') || part === 'a' || part === '-a') return part;
    const value = latexValue(part);
    return value === null ? null : String(pythonRound(value, 2));
  });
  return rounded.includes(null) ? text : `${text[0]}${rounded.join(',')}${text.at(-1)}`;
}

function lastPart(text: string, mark: string): string {
  const at = text.lastIndexOf(mark);
  return at < 0 ? text : text.slice(at + mark.length);
}

function withoutDots(text: string): string {
  return text.replace(/\.+$/, '');
}
