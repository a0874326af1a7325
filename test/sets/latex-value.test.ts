import { expect, it } from 'vitest';
import { latexValue } from '../../src/sets/latex-value.js';

it.each([
  ['$5 \\sqrt{3}$', 8.660254],
  ['\\frac{1}{2}}square', 0.5], // the rule's parser stops at the stray brace
  ['\\frac{3^{1008}-1}{3^{1009}}', 1 / 3],
  ['8: 5', 1.6],
  ['-\\frac{3\\pi}{2}+1', -3.712389],
  ['2(3+4)^2', 98],
  ['1,234.5', 1234.5],
  ['\\sqrt[3]{27}', 3],
  ['50%', 0.5],
  ['|3-5|', 2],
  ['5!', 120],
])('%s has the value %d', (text, value) => {
  expect(latexValue(text)).toBeCloseTo(value, 5);
});

it.each([
  'x+1',
  '',
  'infinite',
  '3x',
  '- 1 < x',
  '\\frac12',
  '25\\pi\\)',
  '9^{9^{9^9}}',
  '('.repeat(500),
  '1/0',
])('%s has none', (text) => {
  expect(latexValue(text)).toBeNull();
});
