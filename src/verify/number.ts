/** Reads a number as people write one: `1,000.99 €`, `2 1/2`, `\frac{3}{4}`, `28 %`, `1.2*10^{-5} m`. */
import { type Constant, evaluateConstant } from './constant.js';
import { wordNumber } from './number-words.js';
import { parseDecimal, type Rational, rational, toNumber } from './rational.js';
import { currencySign, directionOf, percentSign, type Unit, unitNamed } from './units.js';
import { isClock, isMathWord } from './words.js';

export interface NumberReading extends Constant {
  readonly kind: 'number';
  /** Written with a decimal point or exponent, so possibly rounded. */
  readonly decimal: boolean;
  readonly percent: boolean;
  readonly unit?: Unit;
  /** Written as 3:4; as 3:30 it may be a time of day. */
  readonly ratio?: 'ratio' | 'clock';
  /** Written in a base of its own, as 1112_3. */
  readonly base?: number;
  /** The parts of what may be no difference or quotient, but a range, score or date: 20-29, 2020-01-05. */
  readonly chain?: readonly number[];
  /** Where a word behind it says so: up, north, before. */
  readonly direction?: string;
  /** Holds π and no unit: as an angle, in radians. */
  readonly isOfPi?: boolean;
}

/** Every number that `text` can be read as: none, one, or two where the comma is ambiguous.
 *  @param text plain notation (see `plainMath`) */
export function readNumbers(written: string): NumberReading[] {
  const text = withoutScaleWords(written);
  const special = infinite(text) ?? numeral(text) ?? ratio(text) ?? angle(text) ?? compound(text);
  if (special) return [special];
  const amount = withoutCurrency(text);
  const { core, percent, direction, unit = amount.unit } = splitUnit(amount.text);
  if (core === '') return [];
  const readings: NumberReading[] = [];
  for (const digits of withoutSeparators(core)) {
    const value =
      repeating(digits) ?? mixedNumber(digits) ?? wordNumber(digits) ?? evaluate(digits);
    if (!value) continue;
    const decimal = /\d\.\d|\.\d|\de[+-]?\d/i.test(digits);
    const chain = chainOf(digits);
    readings.push({
      kind: 'number',
      ...value,
      decimal,
      percent,
      ...(unit && { unit }),
      ...(chain && { chain }),
      ...(direction && { direction }),
      ...(!unit && !percent && digits.includes('\\pi') && { isOfPi: true }),
    });
  }
  return readings;
}

function chainOf(text: string): readonly number[] | undefined {
  const isChain = /^\d+(?:\.\d+)?(?:(?:\s*-\s*\d+(?:\.\d+)?)+|(?:\/\d+){2,})$/.test(text);
  return isChain ? text.split(/[-/]/).map(Number) : undefined;
}

const scales: Readonly<Record<string, string>> = {
  hundred: '2',
  thousand: '3',
  million: '6',
  billion: '9',
  trillion: '12',
};

const hanScales: Readonly<Record<string, string>> = { 百: '2', 千: '3', 万: '4', 亿: '8' };

/** `1.5 million`, `5万` and `3rd`. */
function withoutScaleWords(written: string): string {
  const text = written.replace(
    /(\d)\s*([百千万亿])(?![米克瓦])/g,
    (_, digit: string, word: string) => `${digit}*10^{${hanScales[word]}}`,
  );
  if (!/\d\s*[a-z]/i.test(text)) return text;
  return text
    .replace(
      /(\d)\s*(hundred|thousand|million|billion|trillion)\b/gi,
      (_, digit: string, word: string) => `${digit}*10^{${scales[word.toLowerCase()]}}`,
    )
    .replace(/^(\d+)\s?(?:st|nd|rd|th)\b/, '$1');
}

function evaluate(text: string): Constant | undefined {
  const exact = parseDecimal(text.replace(/^([+-])\s+/, '$1'));
  if (exact) return { exact, approximate: Number(text.replace(/\s/g, '')) };
  // `1.5e3` inside a longer expression has no letter of its own in LaTeX; spell the power out.
  return evaluateConstant(text.replace(/(\d)[eE]([+-]?\d+)(?![\d.])/g, '$1*10^{$2}'));
}

const currencyBefore = new RegExp(
  String.raw`^([+-]?)\s*(?:US|(?=\D))(${currencySign}|USD|EUR|GBP|Rs\.?|RMB|CNY)\s*(?=[+-]?[\d.])`,
  'i',
);
const currencyBehind = new RegExp(String.raw`\s*(${currencySign})$`);

function withoutCurrency(text: string): { text: string; unit?: Unit } {
  const sign = (currencyBefore.exec(text)?.[2] ?? currencyBehind.exec(text)?.[1] ?? '').trim();
  if (sign === '') return { text };
  const unit = unitNamed(sign.toUpperCase());
  const amount = text.replace(currencyBefore, '$1').replace(currencyBehind, '');
  return { text: amount, ...(unit && { unit }) };
}

interface Quantity {
  readonly core: string;
  readonly percent: boolean;
  readonly unit?: Unit;
  readonly direction?: string;
}

/** Takes the unit off the end: percent, a known unit, or up to four unknown words ("13 apples"). */
function splitUnit(text: string): Quantity {
  const tail =
    /(?<=[\d)}\]°.!]|\\pi)\s*\*?\s*([%°a-zA-ZΩμµ¢\p{Script=Han}][^\d+*=<>()[\]\\|]{0,40}(?:\^\s*\{?[23]\}?)?)$/u.exec(
      text,
    );
  const name = tail?.[1]?.replace(/[{}]/g, ' ').trim() ?? '';
  if (!tail || name === '') {
    // LaTeX often leaves a group around the unit: 69{degrees}.
    return { core: text, percent: false };
  }
  const core = text
    .slice(0, tail.index)
    .replace(/\{\s*$/, '')
    .trim();
  // The degrees of an angle under a sine are no unit of the value.
  if (name === '°' && /(?:sin|cos|tan|cot|sec|csc)/.test(core)) {
    return { core: text, percent: false };
  }
  if (percentSign.test(name)) return { core, percent: true };
  const unit = unitNamed(name) ?? unitNamed(name.replace(/\s+/g, ''));
  if (unit) return { core, percent: false, unit };
  const share = /^(?:%|percent\b)\s*(.+)$/i.exec(name)?.[1];
  const words = share ?? name;
  const isApart = share !== undefined || /[\s{]$/.test(text.slice(0, -(tail[1]?.length ?? 0)));
  if (!(isCounted(words) && isApart) && !/^\p{Script=Han}{1,6}$/u.test(words)) {
    return { core: text, percent: false };
  }
  const direction = directionOf(words);
  return { core, percent: share !== undefined, ...(direction && { direction }) };
}

/** "apples", "red balls": words, not the letters of a product. */
function isCounted(name: string): boolean {
  const words = name.split(/\s+/);
  return (
    words.length <= 4 &&
    words.some((word) => word.length >= 3 && /[aeiouy]/i.test(word)) &&
    words.every((word) => /^[a-zA-Z'-]{2,}[.,]?$/.test(word) && !isMathWord(word)) &&
    !/\b(?:and|or|to)\b/i.test(name)
  );
}

/** Grouping and decimal marks. `1,234` groups thousands; `1000,99`, `0,111` and `1.000,99` can only
 *  have a decimal comma; a comma before another number of digits may also be one ("1,5"). */
function withoutSeparators(text: string): string[] {
  const compact = text.replace(/(\d)[ '_](?=\d{3}(?!\d))/g, '$1');
  if (/^[+-]?\s*\d{1,3}(?:\.\d{3}){2,}$/.test(compact)) return [compact.replaceAll('.', '')];
  if (!compact.includes(',')) return [compact];
  if (/^[+-]?\s*\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d+)?$/.test(compact)) {
    return [compact.replaceAll(',', '')];
  }
  if (/^[+-]?\s*\d{1,3}(?:\.\d{3})+,\d+$/.test(compact)) {
    return [compact.replace(/\./g, '').replace(',', '.')];
  }
  const grouped = compact.replace(/(?<![\d,.])(\d{1,3}(?:\s*,\s?\d{3})+)(?![\d,])/g, (match) =>
    /^0/.test(match) ? match : match.replace(/[\s,]/g, ''),
  );
  if (!grouped.includes(',')) return [grouped];
  return /^[+-]?\s*\d+,\d+$/.test(grouped) ? [grouped.replace(',', '.')] : [];
}

/** `2 1/2` and `2\frac{1}{2}`: side by side here means plus, unlike everywhere else. */
function mixedNumber(text: string): Constant | undefined {
  const match =
    /^([+-]?)\s*(\d{1,12})(?:\s+|(?=\\))(?:\\frac\s*\{\s*(\d{1,12})\s*\}\s*\{\s*(\d{1,12})\s*\}|\\frac\s*(\d)\s*(\d)|(\d{1,12})\s*\/\s*(\d{1,12}))$/.exec(
      text,
    );
  if (!match) return undefined;
  const [, sign, whole = '', ...parts] = match;
  const [top, bottom] = parts.filter((part) => part !== undefined);
  if (top === undefined || bottom === undefined) return undefined;
  const size = BigInt(whole) * BigInt(bottom) + BigInt(top);
  const exact = rational(sign === '-' ? -size : size, BigInt(bottom));
  return exact && { exact, approximate: Number(exact.numerator) / Number(exact.denominator) };
}

/** `3:4` as three quarters; what may be a time of day is marked. */
function ratio(text: string): NumberReading | undefined {
  const sides = /^([^:]{1,40}?)\s*(?::|\bto\b|\bout of\b)\s*([^:]{1,40})$/.exec(text);
  const [, left = '', right = ''] = sides ?? [];
  if (!sides || !/^[\d.\s\\a-z{}^/()]+$/.test(left + right)) return undefined;
  const [a, b] = [evaluateConstant(left), evaluateConstant(right)];
  if (!a || !b || b.approximate === 0) return undefined;
  const exact =
    a.exact &&
    b.exact &&
    rational(a.exact.numerator * b.exact.denominator, a.exact.denominator * b.exact.numerator);
  return {
    ...plain,
    approximate: a.approximate / b.approximate,
    ...(exact && { exact }),
    ratio: isClock(text) ? 'clock' : 'ratio',
    // 20 to 29, or the hour and minute of a time.
    ...((!text.includes(':') || isClock(text)) && { chain: [a.approximate, b.approximate] }),
  };
}

const plain = { kind: 'number', decimal: false, percent: false } as const;

function fromExact(exact: Rational): NumberReading {
  return { ...plain, exact, approximate: toNumber(exact) };
}

function infinite(text: string): NumberReading | undefined {
  const sign = /^([+-]?)\s*(?:\\infty|\\infinity|infinity)$/i.exec(text)?.[1];
  if (sign === undefined) return undefined;
  return { ...plain, approximate: sign === '-' ? -Infinity : Infinity };
}

/** `1112_3` */
function numeral(text: string): NumberReading | undefined {
  const match = /^(\d[0-9A-Za-z]{0,60})\s*_\s*\{?\s*\(?(\d{1,2})\)?\s*\}?$/.exec(text);
  const base = Number(match?.[2]);
  if (!match || base < 2 || base > 36) return undefined;
  let value = 0n;
  for (const digit of match[1] ?? '') {
    const worth = Number.parseInt(digit, 36);
    if (worth >= base) return undefined;
    value = value * BigInt(base) + BigInt(worth);
  }
  const number = fromExact({ numerator: value, denominator: 1n });
  return base === 10 ? number : { ...number, base };
}

/** `30° 15' 36"` in degrees. */
function angle(text: string): NumberReading | undefined {
  const match = /^(-?)(\d{1,6})\s*°\s*(\d{1,2})\s*'\s*(?:(\d{1,2})\s*(?:"|''))?$/.exec(text);
  if (!match) return undefined;
  const [, sign, degrees = '0', minutes = '0', seconds = '0'] = match;
  const size = BigInt(degrees) * 3600n + BigInt(minutes) * 60n + BigInt(seconds);
  const exact = rational(sign === '-' ? -size : size, 3600n);
  const unit = unitNamed('°');
  return exact && { ...fromExact(exact), ...(unit && { unit }) };
}

/** `1 h 30 min` and `5 feet 6 inches`: units of one dimension, each smaller than the one before. */
function compound(text: string): NumberReading | undefined {
  if (text.length > 80 || !/^-?\d+\s*\p{L}+[\s,]*\S.*\d/u.test(text)) return undefined;
  const pieces = text
    .replace(/^-/, '')
    .split(/\s*(?:,|\band\b)\s*|(?<=\p{L})\s*(?=\d)/u)
    .map((piece) => /^(\d+(?:\.\d+)?)\s*(\p{L}+)$/u.exec(piece));
  let total = 0;
  let first: Unit | undefined;
  let last: Unit | undefined;
  for (const piece of pieces) {
    const unit = unitNamed(piece?.[2] ?? '');
    const isNext =
      unit && (!last || (unit.dimension === last.dimension && unit.factor < last.factor));
    if (!isNext) return undefined;
    total += Number(piece?.[1]) * unit.factor;
    first ??= unit;
    last = unit;
  }
  if (!first || first === last) return undefined;
  const size = total / first.factor;
  const approximate = text.startsWith('-') ? -size : size;
  return { ...plain, approximate, unit: first, decimal: text.includes('.') };
}

/** `0.1\overline{6}`, `0.\dot{3}`, `0.(3)` and `0.333...` */
function repeating(text: string): Constant | undefined {
  const match =
    /^(-?)(\d*)\.(\d*)(?:\\(?:overline|bar|dot)\s*\{\s*(\d{1,40})\s*\}|\\(?:overline|bar|dot)\s*(\d)|\((\d{1,40})\))$/.exec(
      text,
    ) ?? /^(-?)(\d*)\.(\d*?)(\d{1,12}?)\4{2,}\s*…$/.exec(text);
  if (!match) return undefined;
  const [, sign, whole = '', fixed = '', block] = match;
  const cycle = block ?? match[5] ?? match[6] ?? '';
  const nines = 10n ** BigInt(cycle.length) - 1n;
  const shift = 10n ** BigInt(fixed.length);
  const size = BigInt(`${whole}${fixed}` || '0') * nines + BigInt(cycle);
  const exact = rational(sign === '-' ? -size : size, nines * shift);
  return exact && { exact, approximate: toNumber(exact) };
}
