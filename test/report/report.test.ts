import sharp from 'sharp';
import { expect, it } from 'vitest';
import type { CellResults, ResultRow } from '../../src/evaluate/results.js';
import { reportHtml } from '../../src/report/html.js';
import { reportCsv, reportMarkdown } from '../../src/report/markdown.js';
import { plotPng, plotSvg } from '../../src/report/plots.js';
import { reportData } from '../../src/report/report-data.js';
import { reportPlots } from '../../src/report/report-plots.js';
import { reportSummary } from '../../src/report/summary-json.js';

const row = (id: string, right: boolean, more: Partial<ResultRow> = {}): ResultRow => ({
  id,
  seed: 0,
  verdict: right ? 'correct' : 'wrong',
  answer: right ? '1' : '2',
  gold: '1',
  groups: { subject: [id < 'p3' ? 'algebra' : 'logic'] },
  oracle: true,
  policyTokens: 100,
  prmTokens: 0,
  criticTokens: 0,
  calls: 1,
  seconds: 0.5,
  ...more,
});

const cell = (n: number, rights: readonly boolean[]): CellResults => ({
  name: `majority @${n}`,
  strategy: 'majority',
  n,
  rows: rights.map((right, i) => row(`p${i + 1}`, right, { policyTokens: 100 * n })),
});

const results = {
  dir: 'run',
  summary: { title: 'A <set>', set: 'set', problems: 5, seeds: [0] },
  cells: [cell(1, [true, false, false, false]), cell(4, [true, true, true, false])],
};
const prm = { stepAuc: 0.9, calibration: [{ score: 0.2, share: 0.25, count: 8 }] };
const data = reportData(results, { questions: new Map([['p4', 'What & why?']]), prm });

it('says accuracy by group, what is unfinished, and the worst problems first', () => {
  expect(data).toMatchObject({ problems: 4, unfinished: 1, seeds: 1 });
  expect(data.cells.map(({ accuracy }) => accuracy.mean)).toEqual([0.25, 0.75]);
  const [subject] = data.groups;
  expect(subject?.values.map(({ value, problems }) => [value, problems])).toEqual([
    ['algebra', 2],
    ['logic', 2],
  ]);
  expect(subject?.values[1]?.cells.map((one) => one?.mean)).toEqual([0, 0.5]);
  expect(data.hardest[0]).toMatchObject({ id: 'p4', right: 0, tries: 2, question: 'What & why?' });
});

it('compares with a baseline at the same N, or with its only one, and says the share of its tokens', () => {
  const greedy = { ...cell(1, [false, true, false, false]), name: 'greedy @1', strategy: 'greedy' };
  const beam = { ...cell(4, [true, true, true, true]), name: 'beam @4', strategy: 'beam' };
  const cells = [...results.cells, greedy, beam];
  const againstOf = (baseline: string) =>
    reportData({ ...results, cells }, { baseline }).cells.map(({ against }) =>
      against === undefined ? null : [against.difference.mean, against.tokens],
    );
  expect(againstOf('majority')).toEqual([null, null, [0, 1], [0.25, 1]]);
  expect(againstOf('greedy')).toEqual([[0, 1], [0.5, 4], null, [0.75, 4]]);
  const text = reportMarkdown(reportData({ ...results, cells }, { baseline: 'greedy' }));
  expect(text).toContain('| against greedy | of its tokens |');
  expect(text).toMatch(/\| beam .* \| \+75\.0 \(.*\) \| 400 % \|/);
});

it('Markdown shows the eight most accurate in tables of groups, and says so', () => {
  const cells = Array.from({ length: 10 }, (_, i) => ({
    ...cell(4, [i > 0, i > 1, true, true]),
    name: `s${i} @4`,
  }));
  const text = reportMarkdown(reportData({ ...results, cells }));
  expect(text).toMatch(/\| subject \| problems \| s2 @4 % \|.* s9 @4 % \|\n/);
  expect(text).toContain('The 8 most accurate of 10; the CSV holds all.');
  expect(reportMarkdown(data)).not.toContain('most accurate of');
});

it('gives its table as a summary.json', () => {
  const { cells, ...named } = reportSummary(data) as { cells: object[] };
  expect(named).toEqual({ title: 'A <set>', set: 'set', problems: 4, seeds: [0] });
  expect(cells[1]).toMatchObject({ cell: 'majority @4', n: 4, policyTokens: 400, ungraded: 0 });
  expect(cells[1]).toMatchObject({ accuracy: { mean: 0.75 }, oracle: { mean: 1 } });
});

it('the page holds all that it shows, in light and dark, with its texts escaped', async () => {
  const page = await reportHtml(data, reportPlots(data), { viewer: 'http://viewer/#/{id}' });
  expect(page).toContain('A &lt;set&gt;');
  expect(page).not.toContain('<set>');
  expect(page).toContain('What &amp; why?');
  expect(page).toContain('href="http://viewer/#/p4"');
  expect(page).toContain('prefers-color-scheme:dark');
  expect(page.match(/<figure /g)).toHaveLength(4);
  expect(page).not.toMatch(/<(?:script|link|img)\b|src=/);
  const ids = [...page.matchAll(/\bid="([^"]+)"/g)].map(([, id]) => id);
  expect(new Set(ids).size).toBe(ids.length);
});

it('Markdown has the table of strategies and of each axis, CSV a line per cell and group', () => {
  const text = reportMarkdown(data);
  expect(text).toContain('| majority | 4 | 4 | 75.0 (');
  expect(text).toContain('## By subject');
  expect(text).toContain('1 without a result');
  const lines = reportCsv(data).trim().split('\n');
  expect(lines).toHaveLength(1 + 2 + 4);
  expect(lines[2]).toMatch(/^majority @4,majority,4,all,all,4,0\.750000,/);
});

it('draws accuracy against N and tokens, groups and calibration', async () => {
  const plots = reportPlots(data);
  expect(plots.map(({ name }) => name)).toEqual([
    'accuracy-n',
    'accuracy-tokens',
    'by-subject',
    'calibration',
  ]);
  for (const { plot } of plots) expect(await plotSvg(plot)).toMatch(/^<svg[\s\S]*<path/);
  const [first] = plots;
  const { format, width = 0 } = await sharp(
    await plotPng((first as never as { plot: never }).plot),
  ).metadata();
  expect(format).toBe('png');
  expect(width).toBeGreaterThan(700);
});

it('one cell without tokens has a page without curves', async () => {
  const { policyTokens: _, oracle: __, ...plain } = row('p1', true);
  const alone = reportData({
    dir: 'scored',
    summary: {},
    cells: [{ name: 'mathvista', strategy: 'mathvista', n: 1, rows: [plain] }],
  });
  expect(reportPlots(alone)).toEqual([]);
  expect(await reportHtml(alone, [])).toContain('100.0');
});
