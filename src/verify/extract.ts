/** Finds the final answer that a solution states. Linear in the length of the text; never throws. */
import { bracedBoxes, matchingBrace, plainMath } from './latex.js';
import { readName } from './names.js';
import { readNumbers } from './number.js';
import { splitTop } from './split.js';
import { isEquation, readStatement } from './statement.js';
import { isMathWord, isProse } from './words.js';

/** By what the answer was recognised, the surest first. */
export type AnswerMark =
  | 'boxed'
  | 'answer-tag'
  | 'final-answer'
  | 'hashes'
  | 'phrase'
  | 'choice'
  | 'equation'
  | 'bare'
  | 'last-number';

export interface ExtractedAnswer {
  readonly answer: string;
  readonly how: AnswerMark;
}

interface Found extends ExtractedAnswer {
  readonly position: number;
}

/** Answers stand at the end: of longer solutions only the last part is searched. In UTF-16 units. */
const searchedLength = 20_000;

/** The final answer of a solution given as steps or text: the last of `\boxed{…}`, `<answer>…</answer>`,
 *  `Answer: …`, `the final answer is …` and `#### …`; failing these "the answer is …", a choice letter,
 *  an equation, a bare value or the last number of the last line. Several boxes joined by "and" are one
 *  answer of several values.
 *  @param choices of the problem, if it has any: only then is a letter alone an answer
 *  @returns null where the solution states none */
export function extractAnswer(
  solution: string | readonly string[],
  choices: readonly string[] = [],
): ExtractedAnswer | null {
  const whole = typeof solution === 'string' ? solution : solution.join('\n\n');
  const text = bracedBoxes(afterThinking(unescaped(whole.slice(-searchedLength)))).trim();
  if (text === '') return null;
  const strong = [boxed(text), tagged(text), announced(text), member(text), hashes(text)].filter(
    (found) => found !== null,
  );
  const last = strong.reduce<Found | null>(
    (best, found) => (best && best.position >= found.position ? best : found),
    null,
  );
  const found = last ?? phrase(text) ?? fromLastLine(text, choices);
  return found && tidy(found, choices);
}

/** JSON that was escaped twice has two backslashes before a command. */
function unescaped(text: string): string {
  return text.includes('\\\\boxed') ? text.replace(/\\\\(?=boxed)/g, '\\') : text;
}

/** Where a solution says which of its values is the answer. */
const strongMarks: ReadonlySet<AnswerMark> = new Set([
  'boxed',
  'answer-tag',
  'final-answer',
  'hashes',
  'phrase',
]);

/** Whether the answer was found where the solution says that it is one. */
export function isMarked({ how }: ExtractedAnswer): boolean {
  return strongMarks.has(how);
}

/** Whether steps announce their final answer. Those in the middle of a solution hold values too, which
 *  `extractAnswer` takes for want of better ones. */
export function announcesAnswer(
  steps: readonly string[],
  choices: readonly string[] | undefined,
): boolean {
  const found = extractAnswer(steps, choices);
  return found !== null && isMarked(found);
}

function afterThinking(text: string): string {
  // Looking from the front is many times as fast, and mostly there is none.
  const end = text.includes('</think>') ? text.lastIndexOf('</think>') : -1;
  const rest = end < 0 ? text : text.slice(end + '</think>'.length);
  // A model that stops right after thinking has stated its answer there, if anywhere.
  return rest.trim() === '' ? text : rest;
}

const connective =
  /^(?:[\s,;.$+]|\\[[\]()]|\\q?quad|\\text\s*\{\s*(?:and|or)\s*\}|\b(?:and|or)\b){0,20}(?:[A-Za-z]{1,12}\s+(?:and|or)\s*)?(?:[A-Za-z](?:_\{?\w{1,3}\}?)?\s*=\s*|[\s$,]|\\[([]){0,6}$/;

function boxed(text: string): Found | null {
  if (!text.includes('box')) return null;
  const boxes = [...text.matchAll(/\\(?:boxed|fbox)\s*\{/g)].slice(-20);
  const answers: string[] = [];
  let position = -1;
  let following = Number.POSITIVE_INFINITY;
  for (const box of boxes.reverse()) {
    const open = box.index + box[0].length - 1;
    const close = matchingBrace(text, open);
    // A box inside the last one is part of it.
    if (position >= 0 && close > following) continue;
    if (position >= 0 && !connective.test(text.slice(close + 1, following).slice(0, 80))) break;
    if (position >= 0 && following - close > 80) break;
    if (position < 0) position = box.index;
    following = box.index;
    answers.unshift(text.slice(open + 1, close).trim());
  }
  const answer = answers.filter((one) => one !== '').join(', ');
  return answer === '' ? null : { answer, how: 'boxed', position };
}

function tagged(text: string): Found | null {
  if (!text.includes('<answer>')) return null;
  const close = text.lastIndexOf('</answer>');
  const open = text.lastIndexOf('<answer>', close < 0 ? text.length : close);
  if (open < 0) return null;
  const inner = text.slice(open + '<answer>'.length, close < open ? text.length : close).trim();
  if (inner === '') return null;
  const nested = boxed(inner) ?? announced(inner);
  return { answer: nested?.answer ?? inner, how: 'answer-tag', position: open };
}

function announced(text: string): Found | null {
  const from = earliestAnnouncement(text);
  if (from < 0) return null;
  const marks =
    /(?:^|[\n.!?>*#]|\s)[\s*#_]*(?:final\s+answer|correct\s+answer|answer)\s*\**\s*(?:is)?\s*[:：]\s*\**|答案\s*(?:是|为|选)?\s*[:：]?\s*|(?:故|应|所以|因此)选择?\s*[:：]?\s*(?=[（(【]?[A-H](?![A-Za-z]))|\bfinal\s+answer\s+is\b\s*:?\s*\**/gi;
  // The marks are tried at every space: a solution has hundreds, and mostly none that counts.
  marks.lastIndex = from;
  return lastClause(text, marks, 'final-answer');
}

/** No mark of `announced` begins before this index; -1 if there is none at all. */
function earliestAnnouncement(text: string): number {
  const english = text.search(/answer/i);
  const chinese = text.search(/答案|(?:故|应|所以|因此)选/);
  if (english < 0) return chinese;
  const start = beforeDecoration(text, english);
  const [adjective = ''] =
    /(?:final|correct)$/i.exec(text.slice(Math.max(0, start - 7), start)) ?? [];
  // One character more: what has to stand before the mark.
  const earliest = Math.max(0, beforeDecoration(text, start - adjective.length) - 1);
  return chinese < 0 ? earliest : Math.min(earliest, chinese);
}

/** Where the white space, stars, hashes and underscores that end at `end` begin. */
function beforeDecoration(text: string, end: number): number {
  let start = end;
  while (start > 0 && /[\s*#_]/.test(text.charAt(start - 1))) start--;
  return start;
}

/** The answer of a JSON object: `{"reasoning": "…", "answer": "5"}`. */
function member(text: string): Found | null {
  const members =
    /"(?:final[_ ]?)?answer"\s*:\s*("(?:[^"\\]|\\.){1,2000}"|\[[^\]]{1,2000}\]|-?\d[\d.eE+-]{0,40}|true|false)/gi;
  const last = [...text.matchAll(members)].at(-1);
  if (!last) return null;
  const written = last[1] ?? '';
  const answer = written.startsWith('"') ? unquoted(written) : written;
  const nested = boxed(answer)?.answer;
  return { answer: nested ?? answer, how: 'final-answer', position: last.index };
}

/** Models forget to escape the backslashes of TeX. */
function unquoted(written: string): string {
  const inner = written.slice(1, -1);
  if (/\\[^"\\/]/.test(inner.replace(/\\\\/g, ''))) return inner;
  return inner.replace(/\\(["\\/])/g, '$1');
}

function phrase(text: string): Found | null {
  const before =
    /(\$[^$\n]+\$|\S+)\s+is\s+(?:our|the|my)\s+(?:(?:final|correct|right)\s+)?answer\b/i.exec(
      text.slice(-300),
    );
  if (before?.[1]) return { answer: before[1], how: 'phrase', position: text.length - 300 };
  return lastClause(
    text,
    /\banswers?\s+(?:is|are|should\s+be|would\s+be|equals?|=)\s*:?\s*\**/gi,
    'phrase',
  );
}

function hashes(text: string): Found | null {
  if (!text.includes('####')) return null;
  return lastClause(text, /^\s*####\s*(?:answer\s*:)?/gim, 'hashes');
}

/** What follows the last mark that is followed by anything. */
function lastClause(text: string, marks: RegExp, how: AnswerMark): Found | null {
  for (const mark of [...text.matchAll(marks)].slice(-20).reverse()) {
    const start = mark.index + mark[0].length;
    const answer = clause(text.slice(start, start + 2_000));
    if (/[\p{L}\p{N}\\∞π°]/u.test(answer)) return { answer, how, position: start };
  }
  return null;
}

/** The first line of text, up to the end of its sentence; formulas are not cut. */
function clause(text: string): string {
  const rest = text.replace(/^[\s*_:#>]+/, '');
  const display = /^(?:\\\[([\s\S]*?)\\\]|\$\$([\s\S]*?)\$\$)/.exec(rest);
  if (display) return (display[1] ?? display[2] ?? '').trim();
  const line = rest.split('\n', 1)[0] ?? '';
  let inMath = false;
  for (let index = 0; index < line.length; index++) {
    if (line[index] === '$') inMath = !inMath;
    if (line[index] === '。' && !inMath) return line.slice(0, index);
    if (line[index] !== '.' || inMath) continue;
    const after = line.slice(index + 1);
    const ends = /^\s*$/.test(after) || /^["*)]?\s+[A-Z\\<"(]/.test(after);
    // The dot after a choice letter belongs to it: "B. 5 cm".
    if (ends && !/^\(?[A-Z]$/.test(line.slice(0, index))) return line.slice(0, index);
  }
  return line.replace(/<[|/][^>]*>.*$/, '').trim();
}

/** What chat models add behind their answer. */
const pleasantry =
  /^\s*(?:I hope|Let me know|Is there anything|Do you (?:have|want)|Please let|Feel free)\b/i;

/** Ends of code and of proofs. */
const ending = /^\s*(?:```\w*|\$?\\(?:blacksquare|square|qed)\$?|Q\.?E\.?D\.?|[∎■□])\s*$/;

/** "Thus 20%": words that only introduce a number. */
function statesNumber(bare: string): boolean {
  return /\d/.test(bare) && isProse(bare);
}

/** Formulas that stand on several lines count as one. */
function joinedFormulas(text: string): string {
  return text
    .slice(-4_000)
    .replace(
      /\\begin\{(\w{1,12})\}[\s\S]{0,2000}?\\end\{\1\}|\\\[[\s\S]{0,2000}?\\\]|\$\$[\s\S]{0,2000}?\$\$/g,
      (formula) => formula.replace(/\n/g, ' '),
    );
}

function fromLastLine(text: string, choices: readonly string[]): Found | null {
  const lines = joinedFormulas(text)
    .split('\n')
    .filter((one) => one.trim() !== '' && !pleasantry.test(one) && !ending.test(one));
  const line = (lines.at(-1) ?? '').trim().slice(-1_000);
  const position = text.length - line.length;
  const bare = plainMath(line);
  const isBare = bare.length <= 60 && bare.split(/\s+/).length <= 6;
  if (choices.length > 0) {
    const letter = lettered(line) ?? chosen(line) ?? onlyChoice(line, choices);
    if (letter) return { answer: letter, how: 'choice', position };
  }
  const picked = chosen(line);
  if (picked) return { answer: picked, how: 'choice', position };
  const isShort = bare.split(/\s+/).length <= 3;
  const holdsValue = /[\p{L}\p{N}]/u.test(bare.replace(/\\[a-zA-Z]+/g, ''));
  if (
    isBare &&
    holdsValue &&
    (readNumbers(bare).length > 0 || (isShort && line === text && !statesNumber(bare)))
  ) {
    return { answer: line.replace(/^it\s+is\s+(?=\S)/i, ''), how: 'bare', position };
  }
  const formula = wholeFormula(line);
  if (formula !== undefined) return { answer: afterEquals(formula), how: 'bare', position };
  // `x = 3 or x = 5` is an answer as a whole.
  const stated = line.replace(introduction, '');
  const isWhole = afterEquals(stated) === stated || /≈|\\approx/.test(stated);
  if (stated.length <= 300 && holdsValue && !isProse(plainMath(stated)) && isWhole) {
    return { answer: stated, how: 'bare', position };
  }
  const list = joinedList(line);
  if (list !== undefined) return { answer: list, how: 'equation', position };
  const equation = /(?:(?<![<>!])=|≈|\\approx)\s*([^=≈<>]+)$/.exec(line)?.[1];
  if (equation !== undefined && /[\p{L}\p{N}]/u.test(equation)) {
    return { answer: equation.split(/\.\s/, 1)[0]?.trim() ?? '', how: 'equation', position };
  }
  const letter = /\b(?:option|choice)\s*(?:is\s*:?\s*)?\(?([A-Z])\b\)?/.exec(line)?.[1];
  if (letter) return { answer: letter, how: 'choice', position };
  const plain = withoutRemark(line);
  const number = tailValue(plain) ?? lastNumber(plain);
  return number ? { answer: number, how: 'last-number', position } : null;
}

const introduction =
  /^(?:(?:so|thus|hence|therefore|then|now|and|finally|we|get|have|find|conclude|obtain|this|which|that|it|gives|means|follows|is)\b[,:]?\s+){1,6}/i;

/** `$x = 1$ and $x = 2$.` or `are 2, 3, and 5.` at the end of a sentence. */
function joinedList(line: string): string | undefined {
  const end = line.slice(-300);
  const formulas = /\$[^$]{1,80}\$(?:\s*(?:,|,?\s*(?:and|or))\s*\$[^$]{1,80}\$){1,8}[.\s]*$/.exec(
    end,
  );
  const numbers =
    /\b(?:are|is)\s*:?\s*(-?\d[\d./]{0,12}(?:\s*(?:,|,?\s*\b(?:and|or)\b)\s*-?\d[\d./]{0,12}){1,12})\s*$/.exec(
      end.replace(/[.\s]+$/, ''),
    );
  return formulas?.[0] ?? numbers?.[1];
}

/** A line that is one formula. */
function wholeFormula(line: string): string | undefined {
  const inner = /^(?:\$\$?([^$]+)\$\$?|\\\((.+)\\\)|\\\[(.+)\\\])[.,]?$/.exec(line);
  const formula = inner?.slice(1).find((one) => one !== undefined);
  return formula === undefined || /\\[)(\][]/.test(formula) ? undefined : formula.trim();
}

/** "I choose C", "C is correct". */
function chosen(line: string): string | undefined {
  const last = [
    ...line.matchAll(
      /\b(?:choose|select|pick)\s+\(?([A-H])\b|(?:^|\s)\(?([A-H])\)?\s+is\s+(?:the\s+)?(?:correct|right)\b/g,
    ),
  ].at(-1);
  return last?.[1] ?? last?.[2];
}

/** "(B)", "option B", "B." and a bare "B", the last one on the line. */
function lettered(line: string): string | undefined {
  const marks =
    /\(([A-Z])\)|\b(?:option|choice|answer)\s+([A-Z])\b|^\s*([A-Z])(?:[.:)]|\s*$)|\b([B-HJ-Z])\s*[.]?\s*$/g;
  const last = [...line.matchAll(marks)].at(-1);
  return last?.slice(1).find((letter) => letter !== undefined);
}

/** The one choice whose text stands on the line as whole words. */
function onlyChoice(line: string, choices: readonly string[]): string | undefined {
  const folded = ` ${line.toLowerCase().replace(/[^\p{L}\p{N}.%°/-]+/gu, ' ')} `.replace(
    /\. /g,
    ' ',
  );
  const named = choices.filter((choice) => {
    const words = choice
      .toLowerCase()
      .replace(/[^\p{L}\p{N}.%°/-]+/gu, ' ')
      .trim();
    return words.length > 1 && folded.includes(` ${words} `);
  });
  return named.length === 1 ? named[0] : undefined;
}

/** The last formula or number of a sentence, with the sign and unit that belong to it. */
function lastNumber(line: string): string | undefined {
  const formula = [...line.matchAll(/\$\$?([^$]+)\$\$?|\\\((.+?)\\\)|\\\[(.+?)\\\]/g)].at(-1);
  if (formula) return afterEquals(formula[1] ?? formula[2] ?? formula[3] ?? '');
  const last = [...line.matchAll(numberInText)].at(-1)?.[0].trim();
  return last?.replace(/,$/, '');
}

/** With its sign, power of ten or root, and what belongs to it: "1 h 30 min", "3.2 × 10^5", "2√3", "12π", "2 1/2", "5 %". */
const numberInText =
  /(?<![\w\\^_{(√])(?:\d+\s?h(?:ours?|rs?)?\b,?\s*(?:and\s+)?\d+\s?min(?:utes?)?\b|\d+\s?f(?:ee|oo)?t\b,?\s*(?:and\s+)?\d+\s?in(?:ches|ch)?\b)|(?<![\w\\^_{(√])[-−]?\s?[$€£]?(?:\d[\d,]*(?:\.\d+)?(?:\s*[×x*·]\s*10(?:\s*\^\s*\{?[-−]?\d+\}?|[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)|\s\d+\s*\/\s*\d+|\s*√\(?\d+\)?|\s?π)?|√\(?\d+\)?|π)(?:\s*\/\s*\d+)?\s?(?:%|°|percent\b)?/g;

/** "It takes 2.5 hours (2 hours 30 minutes)." without what the brackets add. */
function withoutRemark(line: string): string {
  const rest = line.replace(/\s\([^()]{0,200}[A-Za-z]{2,}[^()]{0,200}\)[.\s]*$/, '');
  return /\d/.test(rest) ? rest : line;
}

/** What a sentence without formulas ends in, where that is more than a number: "The vertex is at (2, 3)." */
function tailValue(line: string): string | undefined {
  if (/[$\\]/.test(line)) return undefined;
  const end = line.slice(-200).replace(/[.。．\s]+$/, '');
  const words = [...end.matchAll(/(?<![\w\\])[A-Za-z]{2,}(?![\w(])|[\p{Script=Han}，]/gu)].filter(
    ([word]) => !/^(?:and|or|to|pi)$/i.test(word) && !isMathWord(word),
  );
  const last = words.at(-1);
  const tail = last ? end.slice(last.index + last[0].length).replace(/^[\s:：,]+/, '') : '';
  const isMore = /[([{√^:<>≤≥/π∞±×*+÷·]|\d\s*[-–]\s*\d|\bto\b/.test(tail);
  const opened = (tail.match(/[([{]/g) ?? []).length;
  const closed = (tail.match(/[)\]}]/g) ?? []).length;
  return isMore && opened === closed && /[\dπ∞]/.test(tail) ? tail : undefined;
}

/** The value of `x = 2 + 3 = 5`; an equation in variables or an inequality is an answer as a whole. */
function afterEquals(text: string): string {
  const plain = plainMath(text);
  const statement = readStatement(plain);
  if (splitTop(plain).length > 1) return text.trim();
  if (!statement) return text.trim();
  const [first = ''] = statement.terms;
  const isCurve =
    !isEquation(statement) ||
    (statement.terms.length === 2 &&
      !readName(first) &&
      /[a-zA-Z]/.test(first.replace(/\\[a-zA-Z]+/g, '')));
  return isCurve ? text.trim() : text.slice(text.lastIndexOf('=') + 1).trim();
}

/** A whole sentence after "Answer:" is narrowed to the one value that it states. */
function tidy(found: Found, choices: readonly string[]): ExtractedAnswer {
  const trimmed = found.answer
    .trim()
    .replace(/^\*+|\*+$/g, '')
    // The dot of a sentence that ends in a number: "168+36=204."
    .replace(/(?<=\d)\.$/, '')
    .trim();
  const words = trimmed.split(/\s+/).length;
  const letter = choices.length > 0 ? namedLetter(trimmed, choices) : undefined;
  if (letter) return { answer: letter, how: found.how };
  if (found.how === 'boxed' || words < 4 || !isProse(plainMath(trimmed))) {
    return { answer: trimmed, how: found.how };
  }
  const value = narrowed(trimmed, choices);
  return { answer: value ?? trimmed, how: found.how };
}

/** The letter in "(B) 140°", "B. 140°" or "therefore choice (B)"; none where several are named. */
function namedLetter(answer: string, choices: readonly string[]): string | undefined {
  if (choices.some((choice) => choice.trim() === answer)) return undefined;
  const named = new Set([...answer.matchAll(/(?<![\w)])\(([A-Z])\)/g)].map((one) => one[1]));
  if (named.size > 0) return named.size === 1 ? [...named][0] : undefined;
  return /^([A-Z])(?:[.):]\s+\S|\s*\()/.exec(answer)?.[1];
}

function narrowed(sentence: string, choices: readonly string[]): string | undefined {
  if (choices.length > 0) return onlyChoice(sentence, choices);
  if (readNumbers(plainMath(sentence)).length > 0 || /\b(?:and|or)\b|,\s/.test(sentence))
    return undefined;
  const formulas = [...sentence.matchAll(/\$([^$]+)\$|\\\((.+?)\\\)/g)].filter((one) =>
    /\d/.test(one[0]),
  );
  const [only] = formulas;
  if (only) return formulas.length === 1 ? afterEquals(only[1] ?? only[2] ?? '') : undefined;
  const words = sentence.replace(/\$[^$]*\$/g, ' ');
  const numbers = words.match(/(?<![\w\\^_{])[-−]?[$€£]?\d[\d,]*(?:\.\d+)?(?:\/\d+)?\s?(?:%|°)?/g);
  return numbers?.length === 1 ? numbers[0].trim() : undefined;
}
