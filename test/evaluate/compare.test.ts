import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { compareResults, mcNemarExact } from '../../src/evaluate/compare.js';
import { type CellResults, readCell, readJoinedResults } from '../../src/evaluate/results.js';
import { temporaryFolder, writeJsonl } from '../support/cli.js';

const folder = temporaryFolder();

function cell(name: string, verdicts: Record<string, boolean>): CellResults {
  const rows = Object.entries(verdicts).map(([id, right]) => ({
    id,
    seed: 0,
    verdict: right ? ('correct' as const) : ('wrong' as const),
    answer: null,
    gold: '',
    groups: {},
  }));
  return { name, strategy: name, n: 1, rows };
}

// 2 P(X <= 1) for X ~ Bin(6, 1/2) is 2 (1 + 6) / 64; for Bin(10, 1/2) with 0 it is 2 / 1024.
it.each([
  [1, 5, 14 / 64],
  [5, 1, 14 / 64],
  [0, 10, 2 / 1024],
  [3, 3, 1],
  [0, 0, 1],
])('McNemar of %d against %d has p = %d', (b, c, p) => {
  expect(mcNemarExact(b, c)).toBeCloseTo(p, 12);
});

it('McNemar of large counts neither overflows nor vanishes', () => {
  expect(mcNemarExact(2000, 2000)).toBe(1);
  expect(mcNemarExact(1900, 2100)).toBeGreaterThan(0.001);
  expect(mcNemarExact(1900, 2100)).toBeLessThan(0.002);
});

it('compares what both have, and says what only one has', () => {
  const a = cell('a', { p1: true, p2: true, p3: false, only: true });
  const b = cell('b', { p1: true, p2: false, p3: false });
  const comparison = compareResults(a, b);
  expect(comparison).toMatchObject({
    problems: 3,
    onlyA: 1,
    onlyB: 0,
    mcNemar: { onlyARight: 1, onlyBRight: 0, pValue: 1 },
  });
  expect(comparison.accuracyA).toBeCloseTo(2 / 3, 12);
  expect(comparison.difference.mean).toBeCloseTo(1 / 3, 12);
});

it('names the cells of a folder with several, joins shards, and refuses two answers to one problem', async () => {
  const row = (strategy: string, id: string) => ({ strategy, n: 4, seed: 0, id, verdict: 'equal' });
  const shards = ['s1', 's2'].map((name, index) => {
    const dir = join(folder, name);
    writeJsonl(`${dir}.jsonl`, [row('greedy', `p${index}`), row('majority', `p${index}`)]);
    return `${dir}.jsonl`;
  });
  const [first = '', second = ''] = shards;
  await expect(readCell(first)).rejects.toThrow(
    /2 cells; name one as .*#CELL: greedy@4, majority@4/,
  );
  expect((await readCell(`${first}#majority@4`)).name).toBe('majority @4');
  const joined = await readJoinedResults([first, second]);
  expect(joined.cells.map(({ rows }) => rows.length)).toEqual([2, 2]);
  const same = await readJoinedResults([first, first]);
  expect(same.cells.map(({ rows }) => rows.length)).toEqual([1, 1]);
  const other = join(folder, 'other.jsonl');
  writeJsonl(other, [{ ...row('majority', 'p0'), verdict: 'different' }]);
  await expect(readJoinedResults([first, other])).rejects.toThrow(
    /hold different answers to p0 for majority @4/,
  );
  writeFileSync(join(folder, 'bad.jsonl'), '{"id":');
  await expect(readCell(join(folder, 'bad.jsonl'))).rejects.toMatchObject({
    code: 'RESULTS_UNREADABLE',
  });
});
