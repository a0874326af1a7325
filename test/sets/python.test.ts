import { expect, it } from 'vitest';
import {
  pythonFloat,
  pythonFloatText,
  pythonInt,
  pythonIntOfFloat,
  pythonRound,
  pythonText,
} from '../../src/sets/python.js';

// Right-hand sides are what Python 3 prints.
it.each([
  [' 1_000.5 ', 1000.5],
  ['1e3', 1000],
  ['.5', 0.5],
  ['5.', 5],
  ['-inf', Number.NEGATIVE_INFINITY],
  ['1__0', null],
  ['1,000', null],
  ['', null],
  ['e5', null],
  ['0x10', null],
  ['12 cm', null],
])('float(%j) is %s', (text, value) => {
  expect(pythonFloat(text)).toBe(value);
});

it.each([
  ['2.0', '2'],
  ['-7.9', '-7'],
  ['1e20', '100000000000000000000'],
  ['0.9999999999999999999', '1'],
  ['inf', null],
  ['two', null],
])('int(float(%j)) is %s', (text, value) => {
  expect(pythonIntOfFloat(text)).toBe(value);
});

it('int(text) takes no point', () => {
  expect(pythonInt(' +12 ')).toBe('12');
  expect(pythonInt('12.0')).toBeNull();
});

it.each([
  [0.125, 2, '0.12'], // an exact tie goes to the even digit
  [0.375, 2, '0.38'],
  [2.5, 0, '2.0'],
  [2.675, 2, '2.67'], // its double lies below the tie
  [1.005, 2, '1.0'],
  [-0.25, 1, '-0.2'],
  [0.115, 1, '0.1'],
  [1234.5678, 2, '1234.57'],
  [-0.001, 1, '-0.0'],
])('round(%d, %d) is %s', (value, places, text) => {
  expect(pythonFloatText(pythonRound(value, places))).toBe(text);
});

it.each([
  [1e16, '1e+16'],
  [123456789012345680, '1.2345678901234568e+17'],
  [0.0001, '0.0001'],
  [0.00001, '1e-05'],
  [3, '3.0'],
])('str(%d) is %s', (value, text) => {
  expect(pythonFloatText(value)).toBe(text);
});

it('writes lists as Python does', () => {
  expect(pythonText([1, 2.5, 'a', null, true])).toBe("[1, 2.5, 'a', None, True]");
});
