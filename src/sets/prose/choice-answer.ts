/** The choice that a solution in prose settles on. */
import { denies } from './denial.js';
import { statedNumbers } from './number.js';
import { numericAnswer } from './numeric-answer.js';
import { conclusion, isRefusal, plainProse, sentences } from './text.js';

/** A letter alone ("B"), the text of a choice, or a value that is none of them; null where the solution
 *  settles on nothing or declines.
 *  @param choices texts in the order of their letters */
export function choiceAnswer(
  response: string,
  choices: readonly string[],
  question = '',
): string | null {
  const text = plainProse(response);
  if (text === '') return null;
  const letters = choices.map((_, index) => String.fromCharCode(65 + index));
  const all = sentences(text);
  const announced = announcedChoice(text, letters, choices);
  const last = all.at(-1) ?? '';
  // A refusal behind the announcement takes it back.
  const isRetracted = isRefusal(last) && text.lastIndexOf(last) > (announced?.at ?? 0);
  if (announced) return isRetracted && all.length > 1 ? null : announced.answer;
  return (
    bracketed(all, letters) ?? remaining(text, letters) ?? byText(all, choices, question) ?? null
  );
}

const mark =
  /\b(?:(?:final|correct|best|right|closest|my)\s+)*(?:answer|option|choice|letter|选项)\b(?:[^.\n]{0,80}?)(?:\bis\b|\bare\b|\bbe\b|=|:)\s*:?|\b(?:option|choice|answer)\b|答案(?:是|为|选)?\s*:?|(?:故|应)?选(?:择)?\s*:?|\\(?:boxed|fbox)\s*\{|(?:^|\n)####|<answer>|\b(?:choose|select|pick)\b|\b(?:it|that)\s+(?:is|must be|should be)\b/gi;

interface Found {
  readonly at: number;
  readonly answer: string;
}

/** After a mark: a letter, else the text of one choice in that clause. The last such mark decides. */
function announcedChoice(
  text: string,
  letters: readonly string[],
  choices: readonly string[],
): Found | undefined {
  const found: Found[] = [];
  for (const match of text.matchAll(mark)) {
    const at = match.index + match[0].length;
    const answer = afterMark(text, match[0], at, letters, choices);
    if (answer) found.push({ at, answer });
  }
  const box = boxedValue(text);
  if (box && !found.some(({ at }) => at > box.at)) found.push(box);
  const judged =
    /(?:\boption\s+|\bchoice\s+|^|[\s(])\(?([A-Z])\)?\s+is\s+(?:the\s+)?(?:(?:correct|right|best|closest)\s+(?:answer|option|choice)|correct\b)/gm;
  for (const match of text.matchAll(judged)) {
    if (letters.includes(match[1] ?? '')) found.push({ at: match.index, answer: match[1] ?? '' });
  }
  for (const line of [text.split('\n', 1)[0] ?? '', text.split('\n').at(-1) ?? '']) {
    const letter = /^[^\p{L}\p{N}]*([A-Z])[^\p{L}\p{N}]*$/u.exec(line)?.[1];
    if (letter && letters.includes(letter))
      found.push({ at: text.lastIndexOf(line), answer: letter });
  }
  const opening = /^\(?([A-Z])(?:\)|[.:](?=\s|$)|\s*$)/.exec(text)?.[1];
  if (opening && letters.includes(opening)) found.push({ at: 0, answer: opening });
  return found.sort((a, b) => a.at - b.at).at(-1);
}

function afterMark(
  text: string,
  mark: string,
  at: number,
  letters: readonly string[],
  choices: readonly string[],
): string | undefined {
  const rest = text.slice(at, at + 2_000).replace(/^\s+/, '');
  const clause = sentences(rest)[0] ?? '';
  if (rejects(sentenceAround(text, at))) return undefined;
  const letter = leadingLetter(rest, letters);
  if (letter) return other(letter, clause, choices) ?? letter;
  if (!/(?:is|are|be|[:={])\s*$/.test(mark) || /^(?:it|that)\b/i.test(mark)) return undefined;
  if (isRefusal(clause)) return undefined;
  return inside(clause, letters) ?? onlyMentioned(clause, choices);
}

/** "(B) 2.2" where 2.2 is the text of C: the text says more than the letter. */
function other(letter: string, clause: string, choices: readonly string[]): string | undefined {
  const said = fold(clause.replace(/^\W*[A-Za-z]\)?[.:,]?\s*/, ''));
  if (said === '' || said === fold(choices[letter.charCodeAt(0) - 65] ?? '')) return undefined;
  const same = choices.filter((choice) => fold(choice) === said);
  return same.length === 1 && said.length > 1 ? same[0] : undefined;
}

function rejects(sentence: string): boolean {
  return /\b(?:incorrect|not (?:the )?(?:correct|right)|wrong|ruled? out|eliminate)\b/i.test(
    sentence,
  );
}

function sentenceAround(text: string, at: number): string {
  const start = Math.max(text.lastIndexOf('\n', at - 1), text.lastIndexOf('. ', at - 1)) + 1;
  const tail = text.slice(at);
  const end = /\n|\.\s/.exec(tail)?.index ?? tail.length;
  return text.slice(start, at + end);
}

/** A letter at the beginning, set apart from words: "(B) 140°", "B.", "option B because". */
function leadingLetter(rest: string, letters: readonly string[]): string | undefined {
  const match =
    /^(?:(?:option|choice|letter|answer)\s*)?["'“$([{\s\\]*(?:(?:text|mathrm|mathbf)\s*\{)?\(?([A-Za-z])(?:\)|(?![\p{L}\p{N}'’^_=+*/]))(.{0,14})/su.exec(
      rest,
    );
  const letter = match?.[1];
  if (!match || !letter) return undefined;
  const isBracketed = /[([{]\s*[A-Za-z]\s*[)\]}]/.test(match[0]);
  const upper = letter.toUpperCase();
  if (!letters.includes(upper) || (letter !== upper && !isBracketed)) return undefined;
  // "A" may be an article: "the answer is A triangle".
  const after = match[2] ?? '';
  const isArticle =
    /^\s+[a-z]/.test(after) && !/^\s+(?:because|since|as|and|or|is|in|with|for)\b/.test(after);
  return letter === 'A' && isArticle && !isBracketed ? undefined : upper;
}

function inside(clause: string, letters: readonly string[]): string | undefined {
  const named = new Set(
    [...clause.matchAll(/(?<![\p{L}\p{N})])\(([A-Za-z])\)|\b(?:option|choice)\s+\(?([A-Z])\b/gu)]
      .map((one) => (one[1] ?? one[2] ?? '').toUpperCase())
      .filter((letter) => letters.includes(letter)),
  );
  return named.size === 1 ? [...named][0] : undefined;
}

/** A value in a box that names no choice is still the answer. */
function boxedValue(text: string): Found | undefined {
  const box = [
    ...text.matchAll(/\\boxed\s*\{([^{}]{0,300}(?:\{[^{}]{0,300}\}[^{}]{0,300}){0,20})\}/g),
  ].at(-1);
  const answer = box?.[1]?.trim() ?? '';
  return box && answer !== '' ? { at: box.index, answer } : undefined;
}

/** "(B)" in the last sentence that names one and does not reject it. */
function bracketed(all: readonly string[], letters: readonly string[]): string | undefined {
  for (const sentence of [...all].reverse()) {
    const letter = rejects(sentence) ? undefined : inside(sentence, letters);
    if (letter) return letter;
  }
  return undefined;
}

/** The one letter that is left where all others are called incorrect. */
function remaining(text: string, letters: readonly string[]): string | undefined {
  const rejected = new Set(
    [
      ...text.matchAll(
        /(?:\b(?:option|choice)\s+)?\(?\b([A-Z])\)?(?:,[^,.]{1,60},)?\s+is\s+(?:also\s+)?(?:incorrect|wrong|not correct)/g,
      ),
    ].map((one) => one[1] ?? ''),
  );
  const left = letters.filter((letter) => !rejected.has(letter));
  return rejected.size > 0 && left.length === 1 ? left[0] : undefined;
}

/** The choice whose text or value the conclusion states, else the first or last sentence that does. */
function byText(
  all: readonly string[],
  choices: readonly string[],
  question: string,
): string | undefined {
  if (isRefusal(all.at(-1) ?? '')) return undefined;
  const open = all.filter((one) => !isRefusal(one) && !rejects(one));
  if (open.length < all.length && isRefusal(all[0] ?? '') && all.length < 4) return undefined;
  const polar = yesOrNo(open, choices, question);
  if (polar) return polar;
  const conclusions = open.filter((one) => conclusion.test(one)).reverse();
  const isNumeric = choices.every((choice) => statedNumbers(choice).length === 1);
  const rest = isNumeric ? [...open].reverse() : [...open.slice(0, 1), ...[...open].reverse()];
  const order = [...conclusions, ...rest];
  for (const find of [onlyMentioned, mostlyMentioned]) {
    for (const sentence of order) {
      const only = find(consequence(sentence), choices);
      if (only) return only;
    }
    if (isNumeric) {
      const number = numericAnswer(all.join('\n'), question);
      if (number !== null) return withValue(Number(number), choices) ?? number;
    }
  }
  return undefined;
}

/** "If the algae died, crabs would decrease": what follows the condition. */
function consequence(sentence: string): string {
  return (
    /^(?:if|when|since|because|as|given|without)\b[^,]*,\s*(.+)$/is.exec(sentence)?.[1] ?? sentence
  );
}

function withValue(value: number, choices: readonly string[]): string | undefined {
  return choices.find((choice) => statedNumbers(choice)[0]?.value === value);
}

/** The one choice that stands in the sentence as whole words; of choices inside one another the longest. */
function onlyMentioned(sentence: string, choices: readonly string[]): string | undefined {
  const folded = ` ${fold(sentence)} `;
  const named = [...new Set(choices)].filter((choice) => {
    const words = fold(choice);
    return words.length > 1 || /\d/.test(words) ? folded.includes(` ${words} `) : false;
  });
  const outer = named.filter(
    (one) => !named.some((other) => other !== one && fold(other).includes(fold(one))),
  );
  if (outer.length === 1) return outer[0];
  const at = Math.max(sentence.lastIndexOf('='), sentence.lastIndexOf('≈'));
  return outer.length > 1 && at >= 0 ? onlyMentioned(sentence.slice(at + 1), choices) : undefined;
}

/** The choice all of whose own words, endings apart, stand in the sentence; own are words that not every
 *  choice has. */
function mostlyMentioned(sentence: string, choices: readonly string[]): string | undefined {
  const stems = (text: string) =>
    new Set(
      fold(text)
        .split(' ')
        .filter((one) => one.length > 1 && !fillers.has(one))
        .map(stem),
    );
  const said = stems(sentence);
  const all = [...new Set(choices)].map((choice) => ({ choice, words: stems(choice) }));
  const own = all.map(({ choice, words }) => ({
    choice,
    words: [...words].filter((word) => !all.every((other) => other.words.has(word))),
  }));
  const full = own.filter(({ words }) => words.length > 0 && words.every((word) => said.has(word)));
  return full.length === 1 ? full[0]?.choice : undefined;
}

const fillers = new Set(
  'it would will the an is are was be also of to in on at and for'.split(' '),
);

function stem(word: string): string {
  return word.replace(/(?:ies|es|s|ed|ing|d|e)$/, '');
}

/** Lower case, one space between words, units beside their numbers, no LaTeX around values. */
function fold(text: string): string {
  return text
    .toLowerCase()
    .replace(/\\(?:text|mathrm|mathbf|left|right|,|;|!|\s)/g, '')
    .replace(/\\sqrt/g, '√')
    .replace(/\\d?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}/g, '$1/$2')
    .replace(/\^?\\circ|\s*degrees?\b/g, '°')
    .replace(/[\\${}]/g, '')
    .replace(/(\d)\s+(?=(?:°|%|cm|mm|m|km|kg|g|in|ft|√)(?![\p{L}]))/gu, '$1')
    .replace(/(\d)\.0+(?!\d)/g, '$1')
    .replace(/[^\p{L}\p{N}.%°√/*+^<>=:-]+/gu, ' ')
    .replace(/[.:](?=\s|$)/g, '')
    .trim();
}

/** Which of yes and no the sentences mean. */
function yesOrNo(
  open: readonly string[],
  choices: readonly string[],
  question: string,
): string | undefined {
  const yes = choices.find((one) => /^(?:yes|true)\b/i.test(one.trim()));
  const no = choices.find((one) => /^(?:no|false)\b/i.test(one.trim()));
  if (choices.length !== 2 || yes === undefined || no === undefined) return undefined;
  for (const sentence of [...open].reverse()) {
    const said = /^(?:\W*(?:so|therefore|thus|hence)\W*)?(yes|no|true|false)\b/i.exec(
      sentence,
    )?.[1];
    if (said) return /^(?:yes|true)$/i.test(said) ? yes : no;
  }
  const deciding = open.filter((one) => conclusion.test(one)).at(-1) ?? open[0];
  if (deciding === undefined) return undefined;
  return denies(deciding, question) ? no : yes;
}
