import { expect, it } from 'vitest';
import { cellName, makeCells } from '../../src/evaluate/cells.js';

it('makes a cell per strategy and N, and one of a strategy without N', () => {
  expect(makeCells(['greedy', 'majority'], [1, 4]).map(cellName)).toEqual([
    'greedy @1',
    'majority @1',
    'majority @4',
  ]);
});

it('reads options behind the name', () => {
  const [cell] = makeCells(['best-of-n:selection=weighted:earlyStop=true'], [8]);
  expect(cell?.options).toEqual({ n: 8, selection: 'weighted', earlyStop: true });
});

it('takes an N of its own instead of the list', () => {
  expect(makeCells(['majority:n=3'], [1, 2]).map(({ n }) => n)).toEqual([3]);
});

it.each([
  ['majority:m=3', /m=3.*options \(n,/],
  ['majority:n=0', /n at n = 0/],
  ['majority:n', /NAME=VALUE/],
])('refuses %s in one sentence', (spec, sentence) => {
  expect(() => makeCells([spec], [2])).toThrow(sentence);
});

it('refuses an unknown strategy and one that is listed twice', () => {
  expect(() => makeCells(['bestofn'], [2])).toThrow(/unknown strategy "bestofn"/);
  expect(() => makeCells(['majority', 'majority'], [2])).toThrow(/listed twice/);
});
