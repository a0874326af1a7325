/** Numbers that prose states: digits, number words, signs, thousands. */

export interface StatedNumber {
  /** As Python's float reads it: no thousands separators, no unit. */
  readonly text: string;
  readonly value: number;
  /** Place in the sentence. */
  readonly start: number;
  readonly end: number;
  readonly isWord: boolean;
}

const words: Readonly<Record<string, number>> = {
  zero: 0,
  none: 0,
  no: 0,
  one: 1,
  two: 2,
  three: 3,
  four: 4,
  five: 5,
  six: 6,
  seven: 7,
  eight: 8,
  nine: 9,
  ten: 10,
  eleven: 11,
  twelve: 12,
  thirteen: 13,
  fourteen: 14,
  fifteen: 15,
  sixteen: 16,
  seventeen: 17,
  eighteen: 18,
  nineteen: 19,
  twenty: 20,
  thirty: 30,
  forty: 40,
  fifty: 50,
  sixty: 60,
  seventy: 70,
  eighty: 80,
  ninety: 90,
  hundred: 100,
  twice: 2,
  once: 1,
};

const tens = 'twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety';
const units = 'one|two|three|four|five|six|seven|eight|nine';
const wordPattern = `(?:(?:${tens})[- ](?:${units})|(?:one|a) hundred|${Object.keys(words).join('|')})`;
const digitPattern = String.raw`[-−–]?\s?[$€£¥]?\d(?:[\d,]*\d)?(?:\.\d+)?(?:[eE][+-]?\d+)?|[-−]?[$€£]?\.\d+`;
const pattern = new RegExp(
  String.raw`(?<![\p{L}\d_^.{\\])(?:(?<digits>${digitPattern})(?![\d]|\s?(?:st|nd|rd|th)\b)|(?<word>\b${wordPattern}\b))`,
  'giu',
);

/** In order of appearance. Ordinals, indices such as Q1 and list marks ("1. ") are no numbers. */
export function statedNumbers(sentence: string): StatedNumber[] {
  const found: StatedNumber[] = [];
  for (const match of sentence.matchAll(pattern)) {
    const { digits, word } = match.groups ?? {};
    const one =
      digits !== undefined ? ofDigits(match, sentence) : ofWord(word ?? '', match, sentence);
    if (one) found.push(one);
  }
  return found;
}

function ofDigits(match: RegExpExecArray, sentence: string): StatedNumber | null {
  const [whole] = match;
  const start = match.index;
  const end = start + whole.length;
  // "1. First step" and "2) next" are marks of a list.
  if (/^\s*$/.test(sentence.slice(0, start)) && /^[.)]\s+\S/.test(sentence.slice(end))) return null;
  let text = whole.replace(/[$€£¥\s]/g, '').replace(/[−–]/g, '-');
  if (text.startsWith('-') && !isSign(sentence, start)) text = text.slice(1);
  text = /^-?\d{1,3}(?:,\d{3})+(?:\.\d+)?$/.test(text) ? text.replaceAll(',', '') : text;
  if (text.includes(',')) return splitAtComma(text, start);
  const value = Number(text);
  if (Number.isNaN(value)) return null;
  return { text, value, start, end, isWord: false };
}

/** "3,4,5": only the last one is given back. */
function splitAtComma(text: string, start: number): StatedNumber | null {
  const at = text.lastIndexOf(',') + 1;
  const last = text.slice(at);
  const value = Number(last);
  if (last === '' || Number.isNaN(value)) return null;
  return { text: last, value, start: start + at, end: start + text.length, isWord: false };
}

/** A minus before the number belongs to it unless something stands to its left that it is taken from. */
function isSign(sentence: string, start: number): boolean {
  return (
    !/[\p{L}\p{N})\]°%}]\s*$/u.test(sentence.slice(0, start)) ||
    /(?:\bis|=|\bare|\bof|:)\s*$/.test(sentence.slice(0, start))
  );
}

function ofWord(word: string, match: RegExpExecArray, sentence: string): StatedNumber | null {
  const lower = word.toLowerCase();
  const start = match.index;
  const end = start + word.length;
  const after = sentence.slice(end);
  // "one of them", "no longer": words that only look like numbers.
  if (lower === 'one' && /^\s+(?:of|another|can|could|must|is|should|way|that|side)\b/.test(after))
    return null;
  if (
    /^(?:no)$/.test(lower) &&
    !/^\s+\p{L}+(?:\s+\p{L}+)?\s*(?:left|remain|visible|in\b|$|[.,])/u.test(after)
  )
    return null;
  if (/^(?:once|none)$/.test(lower) && !/^\s*(?:[.,]|$|left|remain)/.test(after)) return null;
  if (
    lower === 'one' &&
    /\b(?:this|that|which|the|each|only|any|every|no|first|last|other)\s+$/i.test(
      sentence.slice(0, start),
    ) &&
    !/\bonly\s+$/i.test(sentence.slice(0, start))
  )
    return null;
  const value = valueOfWord(lower);
  return { text: String(value), value, start, end, isWord: true };
}

function valueOfWord(word: string): number {
  if (/hundred$/.test(word)) return 100;
  return word.split(/[- ]/).reduce((sum, part) => sum + (words[part] ?? 0), 0);
}
