import { statedNumbers } from './number.js';
import { plainProse, sentences } from './text.js';

/** The list that a solution gives, as Python writes lists: the last one in brackets, else the numbers of
 *  its last sentence with several. Null where it states none. */
export function listAnswer(response: string): string | null {
  const text = plainProse(response);
  const bracketed = [...text.matchAll(/\[([^[\]]*\d[^[\]]*)\]/g)].at(-1)?.[1];
  if (bracketed !== undefined) return written(bracketed.split(',').map((one) => one.trim()));
  for (const sentence of sentences(text).reverse()) {
    const numbers = statedNumbers(sentence);
    if (numbers.length > 1) return written(numbers.map((one) => one.text));
  }
  return null;
}

function written(items: readonly string[]): string {
  return `[${items.join(', ')}]`;
}
