import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
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

describe('bench labels', () => {
  const labels = (...more: string[]) =>
    runCli([
      ...['bench', 'labels', problems, '--out', join(folder, 'labels'), '--limit', '3'],
      ...['--policy', 'simulated', '--quiet', '--truth-rollouts', '32', ...more],
    ]);
  const methods = [
    'step-rollouts:numRollouts=4',
    'step-rollouts:numRollouts=16',
    'step-rollouts:numRollouts=16:adaptive=true:adaptiveRule=gain:shareRollouts=true:priorStrength=1',
  ];

  it('prints the error and cost of each method, and the same again from its store', async () => {
    const args = ['--method', methods.join(','), '--repeats', '2', '--json'];
    const first = await labels(...args);
    expect(first.stderr).toBe('');
    expect(first.code).toBe(0);
    const report = JSON.parse(first.stdout) as {
      problems: number;
      methods: { method: string; rmse: { mean: number }; policyTokens: { mean: number } }[];
    };
    expect(report.problems).toBe(3);
    expect(report.methods.map(({ method }) => method)).toEqual(methods);
    const [k4, k16] = report.methods;
    expect(k4?.rmse.mean).toBeGreaterThan(k16?.rmse.mean ?? 1);
    expect(k4?.policyTokens.mean).toBeLessThan(k16?.policyTokens.mean ?? 0);
    expect((await labels(...args)).stdout).toBe(first.stdout);
    const file = readFileSync(join(folder, 'labels', 'labels.json'), 'utf8');
    expect(JSON.parse(file)).toMatchObject({ ...report, seed: 0, truthRollouts: 32 });
  });

  it('refuses a baseline that is none of the methods', async () => {
    const { code, stderr } = await labels('--method', 'omegaprm', '--baseline', 'step-rollouts');
    expect(code).toBe(2);
    expect(stderr).toMatch(/--baseline step-rollouts is none of the methods omegaprm/);
  });
});

describe('bench plot', () => {
  const plot = (...args: string[]) => runCli(['bench', 'plot', ...args]);

  it('draws the summary of a run', async () => {
    await bench(...cells, '--seeds', '2');
    const file = join(folder, 'chart.svg');
    const { code, stderr } = await plot(join(out, 'summary.json'), '--out', file, '--title', 'T1');
    expect([code, stderr]).toEqual([0, '']);
    const svg = readFileSync(file, 'utf8');
    for (const text of ['>T1<', '12 problems, 2 seeds', 'majority', 'best-of-n']) {
      expect(svg).toContain(text);
    }
  });

  it('refuses what is no summary, and a name that is no picture', async () => {
    const wrong = await plot(problems, '--out', join(folder, 'chart.svg'));
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toMatch(/is no summary of steptree bench run .*BENCH_SUMMARY_INVALID/);
    const named = await plot(join(out, 'summary.json'), '--out', join(folder, 'chart.pdf'));
    expect(named.code).toBe(2);
    expect(named.stderr).toMatch(/written as \.svg or \.png/);
  });
});
