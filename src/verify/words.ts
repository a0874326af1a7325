/** Answers in words. */

const shortWords = new Set(['no', 'up', 'on', 'in', 'ok', 'am', 'pm', 'it', 'he', 'we', 'us']);

/** Words of a language, or a time of day, as against products of variables and names of segments. */
export function isWords(text: string): boolean {
  if (isClock(text)) return true;
  if (/[\\^_=<>+*{}|]/.test(text)) return false;
  const words = text.match(/\p{L}+/gu) ?? [];
  return words.some(
    (word) =>
      shortWords.has(word.toLowerCase()) ||
      /[^\p{ASCII}ℝℤℕℚℂ∅∠△]/u.test(word) ||
      (word.length >= 3 &&
        !mathWords.has(word) &&
        !(word.length <= 4 && word === word.toUpperCase())),
  );
}

/** Functions written without a backslash. */
const mathWords = new Set([
  'sqrt',
  'sin',
  'cos',
  'tan',
  'cot',
  'sec',
  'csc',
  'log',
  'exp',
  'abs',
  'arcsin',
  'arccos',
  'arctan',
  'sinh',
  'cosh',
  'tanh',
  'max',
  'min',
  'gcd',
  'lcm',
  'mod',
  'floor',
  'ceil',
  'theta',
  'alpha',
  'beta',
  'lambda',
  'cbrt',
  'frac',
]);

export function isMathWord(word: string): boolean {
  return mathWords.has(word);
}

/** Whether words of a language stand between or beside formulas; "and" and "or" only join them.
 *  @param text plain notation */
export function isProse(text: string): boolean {
  if (/\p{Script=Han}/u.test(text)) return true;
  const words =
    text.replace(/\\(?:begin|end)\s*\{[a-z*]*\}|\\[a-zA-Z]+/g, ' ').match(/[A-Za-z]{3,}/g) ?? [];
  return words.some(
    (word) =>
      /[aeiouy]/i.test(word) &&
      !/^and$/i.test(word) &&
      !mathWords.has(word) &&
      word !== word.toUpperCase(),
  );
}

/** 3:30, 15:30:10, 3:30 pm. */
export function isClock(text: string): boolean {
  return /^\d{1,2}:[0-5]\d(?::[0-5]\d)?(?:\s*[ap]\.?m\.?)?$/i.test(text);
}

/** Case, punctuation, articles and spacing don't make words differ. */
export function foldText(text: string): string {
  return (
    text
      .normalize('NFKC')
      .toLowerCase()
      .replace(/\\[a-z]+/g, ' ')
      .replace(/['’]/g, '')
      .replace(/(\d)\s*([ap])\.?\s?m\b\.?/g, '$1 $2m')
      .replace(/[^\p{L}\p{N}:/.%°-]+/gu, ' ')
      .replace(/(?<!\d)\.|\.(?!\d)/g, ' ')
      .replace(/\b(?:the|an|a)\b(?=\s+\S)/g, ' ')
      // Times: 09:05 am, 9 am.
      .replace(/(?<![\d:.])0(?=\d:\d\d)/g, '')
      .replace(/(?<![\d:.])(\d{1,2}) ([ap]m)\b/g, '$1:00 $2')
      .replace(/\s+/g, ' ')
      .trim()
  );
}
