import { expect, it } from 'vitest';
import { plainLine, splitMaths } from '../../web/src/model/maths.js';

function shape(text: string) {
  return splitMaths(text).map((part) =>
    part.kind === 'text' ? part.text : { [part.display ? 'display' : 'inline']: part.text },
  );
}

it('finds formulas in their four kinds of delimiters', () => {
  expect(shape('So $x^2$ and \\(y\\), then $$z$$ or \\[w\\].')).toEqual([
    'So ',
    { inline: 'x^2' },
    ' and ',
    { inline: 'y' },
    ', then ',
    { display: 'z' },
    ' or ',
    { display: 'w' },
    '.',
  ]);
});

it('sets a bare box', () => {
  expect(shape('Answer: \\boxed{\\frac{1}{2}} m')).toEqual([
    'Answer: ',
    { inline: '\\boxed{\\frac{1}{2}}' },
    ' m',
  ]);
});

it.each([
  'It costs $5 and $6 more.',
  'A price of $ 5 $ each',
  'an open \\boxed{ and nothing',
  'cost \\$5 and \\$6',
  'one $ sign',
])('leaves money and unfinished formulas as text: %s', (text) => {
  expect(shape(text)).toEqual([text]);
});

it('never loses a character', () => {
  const texts = ['$a$$b$', '\\(a', '$$', '$x$ $5', '\\boxed{a}\\boxed{b}', '<b>$<i>$</b>'];
  for (const text of texts) {
    const joined = splitMaths(text).map((part) => (part.kind === 'text' ? part.text : part.source));
    expect(joined.join('')).toBe(text);
  }
});

it('is not slowed down by hostile texts', () => {
  const started = performance.now();
  for (const text of [
    '$'.repeat(20_000),
    '\\boxed{'.repeat(3_000),
    '\\('.repeat(10_000),
    '$a'.repeat(10_000),
  ]) {
    splitMaths(text);
  }
  // Quadratic work on these would take minutes.
  expect(performance.now() - started).toBeLessThan(20_000);
});

it('writes formulas on one line for the canvas', () => {
  expect(plainLine('Then $\\frac{1}{2} \\times 4$\n\\boxed{2}')).toBe('Then 1/2 × 4 [2]');
});
