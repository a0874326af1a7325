import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readJsonl, runCli, simpleProblems, temporaryFolder, writeJsonl } from '../support/cli.js';

const folder = temporaryFolder();
const problems = writeJsonl(join(folder, 'problems.jsonl'), simpleProblems(12));
const out = join(folder, 'run');

const bench = (...more: string[]) =>
  runCli(['bench', 'run', problems, '--out', out, '--policy', 'simulated', '--quiet', ...more]);

const cells = ['--strategy', 'majority,best-of-n', '--n', '1,8', '--prm-kind', 'rules'];

interface Report {
  cells: {
    cell: string;
    accuracy: { mean: number; low: number; high: number };
    policyTokens: number;
  }[];
}

it('compares strategies at each N, and the same command prints the same again', async () => {
  const first = await bench(...cells, '--seeds', '2', '--json');
  expect(first.stderr).toBe('');
  expect(first.code).toBe(0);
  const report = JSON.parse(first.stdout) as Report;
  expect(report.cells.map(({ cell }) => cell)).toEqual([
    'majority @1',
    'majority @8',
    'best-of-n @1',
    'best-of-n @8',
  ]);
  for (const { accuracy } of report.cells) {
    expect(accuracy.low).toBeLessThanOrEqual(accuracy.mean);
    expect(accuracy.high).toBeGreaterThanOrEqual(accuracy.mean);
  }
  const [one, eight] = report.cells;
  expect(eight?.policyTokens).toBeGreaterThan(4 * (one?.policyTokens ?? 0));
  const rows = readJsonl<{ correct: boolean; strategy: string; n: number }>(
    join(out, 'results.jsonl'),
  );
  expect(rows).toHaveLength(12 * 2 * 4);
  const atOne = rows.filter(({ strategy, n }) => strategy === 'majority' && n === 1);
  const share = atOne.filter(({ correct }) => correct).length / atOne.length;
  expect(one?.accuracy.mean).toBeCloseTo(share, 10);
  expect(readFileSync(join(out, 'report.md'), 'utf8')).toContain('| majority | 8 |');
  expect(JSON.parse((await bench(...cells, '--seeds', '2', '--json')).stdout)).toEqual(report);
});

it('refuses a folder that was made with other cells', async () => {
  const { code, stderr } = await bench('--strategy', 'majority', '--n', '2');
  expect(code).toBe(2);
  expect(stderr).toMatch(/another configuration: cells was .*RUN_CONFIG_DIFFERS/);
});

it.each([
  [['--strategy', 'majorty'], /did you mean "majority"/],
  [['--n', '0'], /--n: expected whole numbers/],
  [['--baseline', 'beam'], /--baseline beam is none of the strategies/],
  [['--strategy', 'majority:m=2'], /OPTION_CELL_INVALID/],
])('refuses %s in one sentence with exit code 2', async (args, sentence) => {
  const { code, stderr } = await bench(...args);
  expect(code).toBe(2);
  expect(stderr).toMatch(sentence);
  expect(stderr.trim().split('\n')).toHaveLength(1);
});

it('measures reward models on figmath only, and says so', async () => {
  const { code, stderr } = await runCli(['bench', 'prm', problems, '--out', join(folder, 'prm')]);
  expect(code).toBe(2);
  expect(stderr).toMatch(/holds no problem of figmath.*OPTION_INVALID/);
});
