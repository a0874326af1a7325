/** Reads a number as people write one: `1,000.99 €`, `2 1/2`, `\frac{3}{4}`, `28 %`, `1.2*10^{-5} m`. */
import { type Constant, evaluateConstant } from './constant.js';
import { parseDecimal, rational } from './rational.js';
import { percentSign, type Unit, unitNamed } from './units.js';

export interface NumberReading extends Constant {
  readonly kind: 'number';
  /** Written with a decimal point or exponent, so possibly rounded. */
  readonly decimal: boolean;
  readonly percent: boolean;
  readonly unit?: Unit;
}

const numberWords = [
  'zero',
  'one',
  'two',
  'three',
  'four',
  'five',
  'six',
  'seven',
  'eight',
  'nine',
  'ten',
  'eleven',
  'twelve',
  'thirteen',
  'fourteen',
  'fifteen',
  'sixteen',
  'seventeen',
  'eighteen',
  'nineteen',
  'twenty',
];

/** Every number that `text` can be read as: none, one, or two where the comma is ambiguous.
 *  @param text plain notation (see `plainMath`) */
export function readNumbers(text: string): NumberReading[] {
  const { core, percent, unit } = splitUnit(withoutCurrency(text));
  if (core === '') return [];
  const readings: NumberReading[] = [];
  for (const digits of withoutSeparators(core)) {
    const value = mixedNumber(digits) ?? ratio(digits) ?? wordNumber(digits) ?? evaluate(digits);
    if (!value) continue;
    const decimal = /\d\.\d|\.\d|\de[+-]?\d/i.test(digits);
    readings.push({ kind: 'number', ...value, decimal, percent, ...(unit && { unit }) });
  }
  return readings;
}

function evaluate(text: string): Constant | undefined {
  const exact = parseDecimal(text.replace(/^([+-])\s+/, '$1'));
  if (exact) return { exact, approximate: Number(text.replace(/\s/g, '')) };
  // `1.5e3` inside a longer expression has no letter of its own in LaTeX; spell the power out.
  return evaluateConstant(text.replace(/(\d)[eE]([+-]?\d+)(?![\d.])/g, '$1*10^{$2}'));
}

function withoutCurrency(text: string): string {
  return text
    .replace(/^([+-]?)\s*(?:[€£¥₹₽]|US\$|USD|EUR|GBP|Rs\.?|RMB|CNY)\s*(?=[\d.])/i, '$1')
    .replace(/\s*[€£¥₹₽]$/, '');
}

/** Takes the unit off the end: percent, a known unit, or up to four unknown words ("13 apples"). */
function splitUnit(text: string): { core: string; percent: boolean; unit?: Unit } {
  const tail =
    /(?<=[\d)}\]°.!]|\\pi)\s*\*?\s*([%°a-zA-ZΩμµ][^\d+*=<>()[\]\\|]{0,40}(?:\^\s*\{?[23]\}?)?)$/.exec(
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
  if (percentSign.test(name)) return { core, percent: true };
  const unit = unitNamed(name) ?? unitNamed(name.replace(/\s+/g, ''));
  if (unit) return { core, percent: false, unit };
  // A single unknown letter is a variable: 4a is no number.
  const words = name.split(/\s+/);
  const plain = words.length <= 4 && words.every((word) => /^[a-zA-Z'-]{2,}[.,]?$/.test(word));
  const isWordy = plain && !/\b(?:and|or)\b/i.test(name);
  return isWordy ? { core, percent: false } : { core: text, percent: false };
}

/** Grouping and decimal marks. `1,234` groups thousands; `1000,99`, `0,111` and `1.000,99` can only
 *  have a decimal comma; a comma before another number of digits may also be one ("1,5"). */
function withoutSeparators(text: string): string[] {
  const compact = text.replace(/(\d)[ '_](?=\d{3}(?!\d))/g, '$1');
  if (!compact.includes(',')) return [compact];
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

/** `3:4` as three quarters; what may be a time of day (`2:30`) stays text. */
function ratio(text: string): Constant | undefined {
  const match = /^(\d{1,9})\s*:\s*(\d{1,9})$/.exec(text);
  const [, left = '', right = ''] = match ?? [];
  if (!match || right.length === 2) return undefined;
  const exact = rational(BigInt(left), BigInt(right));
  return exact && { exact, approximate: Number(left) / Number(right) };
}

function wordNumber(text: string): Constant | undefined {
  const value = numberWords.indexOf(text.toLowerCase());
  return value < 0
    ? undefined
    : { exact: { numerator: BigInt(value), denominator: 1n }, approximate: value };
}
