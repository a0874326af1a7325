/** Numbers spelled out in English: "seven", "twenty-one", "one hundred and five", "two thirds". */
import type { Constant } from './constant.js';
import { rational, toNumber } from './rational.js';

const small =
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'.split(
    ' ',
  );
const tens = 'twenty thirty forty fifty sixty seventy eighty ninety'.split(' ');
const scales = new Map([
  ['thousand', 1_000],
  ['million', 1_000_000],
  ['billion', 1_000_000_000],
]);
const parts = new Map([
  ['half', 2],
  ['third', 3],
  ['quarter', 4],
  ['fourth', 4],
  ['fifth', 5],
  ['sixth', 6],
  ['seventh', 7],
  ['eighth', 8],
  ['ninth', 9],
  ['tenth', 10],
]);

/** @returns undefined for anything but a whole number or a simple fraction in words */
export function wordNumber(text: string): Constant | undefined {
  if (text.length > 80 || !/^[a-z][a-z\s-]*$/i.test(text)) return undefined;
  const words = text.toLowerCase().split(/[\s-]+/);
  const below = parts.get(
    (words.at(-1) ?? '').replace(/(?<=[^s])s$/, '').replace(/^halve$/, 'half'),
  );
  const isFraction = below !== undefined && words.length >= 2;
  const above =
    isFraction && /^an?$/.test(words[0] ?? '') ? 1 : whole(isFraction ? words.slice(0, -1) : words);
  if (above === undefined) return undefined;
  const exact = rational(BigInt(above), BigInt(isFraction ? below : 1));
  return exact && { exact, approximate: toNumber(exact) };
}

function whole(words: readonly string[]): number | undefined {
  let total = 0;
  let group = 0;
  for (const [index, word] of words.entries()) {
    const digit = small.indexOf(word);
    const ten = tens.indexOf(word);
    const scale = scales.get(word);
    // "one two" are two numbers, "twenty-one" is one.
    const room = digit >= 10 || ten >= 0 ? 100 : digit >= 0 ? 10 : 1;
    if (group % room !== 0) return undefined;
    if (digit >= 0) group += digit;
    else if (ten >= 0) group += 20 + 10 * ten;
    else if (word === 'hundred' && group > 0) group *= 100;
    else if (scale !== undefined && group > 0) {
      total += group * scale;
      group = 0;
    } else if (word !== 'and' || index === 0) return undefined;
  }
  return total + group;
}
