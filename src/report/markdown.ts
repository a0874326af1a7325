/** The report as Markdown and CSV. */
import type { Estimate } from '../evaluate/statistics.js';
import { bestCells, type CellReport, type ReportData } from './report-data.js';

export function percent(value: number): string {
  return (100 * value).toFixed(1);
}

export function withInterval({ mean, low, high }: Estimate): string {
  return `${percent(mean)} (${percent(low)} to ${percent(high)})`;
}

/** Strategies of a table of subgroups, at most: nobody reads a table of fifty columns. */
const MAX_GROUP_CELLS = 8;

function withIntervalIfAny(estimate: Estimate | null | undefined): string {
  return estimate ? withInterval(estimate) : '';
}

/** Columns of the table of strategies that have anything to say. */
export function cellColumns(
  cells: readonly CellReport[],
): readonly { readonly title: string; readonly of: (cell: CellReport) => string }[] {
  const whole = (value: number | undefined) =>
    value === undefined ? '' : Math.round(value).toLocaleString('en');
  const any = (pick: (cell: CellReport) => number | undefined) => cells.some((cell) => pick(cell));
  return [
    { title: 'strategy', of: ({ strategy }) => strategy },
    ...(any(({ policyTokens }) => policyTokens)
      ? [{ title: 'N', of: ({ n }: CellReport) => String(n) }]
      : []),
    { title: 'problems', of: ({ problems }) => String(problems) },
    { title: 'accuracy %', of: ({ accuracy }) => withInterval(accuracy) },
    ...(any(({ pooled }) => pooled?.mean)
      ? [
          {
            title: 'over subsets %',
            of: ({ pooled }: CellReport) => (pooled ? withInterval(pooled) : ''),
          },
        ]
      : []),
    ...(any(({ oracle }) => oracle?.mean)
      ? [
          {
            title: 'oracle %',
            of: ({ oracle }: CellReport) => (oracle ? percent(oracle.mean) : ''),
          },
        ]
      : []),
    { title: 'ungraded', of: ({ ungraded }) => String(ungraded) },
    { title: 'no answer', of: ({ unanswered }) => String(unanswered) },
    ...(any(({ policyTokens }) => policyTokens)
      ? [
          { title: 'policy tokens', of: (cell: CellReport) => whole(cell.policyTokens) },
          { title: 'PRM tokens', of: (cell: CellReport) => whole(cell.prmTokens) },
          ...(any(({ criticTokens }) => criticTokens)
            ? [{ title: 'critic tokens', of: (cell: CellReport) => whole(cell.criticTokens) }]
            : []),
          { title: 'calls', of: (cell: CellReport) => cell.calls?.toFixed(1) ?? '' },
          { title: 's of new calls', of: (cell: CellReport) => cell.seconds?.toFixed(2) ?? '' },
        ]
      : []),
    ...againstColumns(cells),
  ];
}

function againstColumns(cells: readonly CellReport[]): ReturnType<typeof cellColumns> {
  const baseline = cells.find(({ against }) => against)?.against?.baseline;
  if (baseline === undefined) return [];
  const share = ({ tokens }: { tokens?: number }) =>
    tokens === undefined ? '' : `${Math.round(100 * tokens)} %`;
  return [
    {
      title: `against ${baseline}`,
      of: ({ against }) => (against ? signed(against.difference) : ''),
    },
    { title: 'of its tokens', of: ({ against }) => (against ? share(against) : '') },
  ];
}

/** Percentage points. */
function signed({ mean, low, high }: Estimate): string {
  const shown = (value: number) => `${value >= 0 ? '+' : ''}${percent(value)}`;
  return `${shown(mean)} (${shown(low)} to ${shown(high)})`;
}

export function reportMarkdown(
  data: ReportData,
  plots: readonly { file: string; title: string }[] = [],
): string {
  const columns = cellColumns(data.cells);
  const lines = [
    `# ${data.title}`,
    '',
    headline(data),
    '',
    ...table(
      columns.map(({ title }) => title),
      data.cells.map((cell) => columns.map(({ of }) => of(cell))),
    ),
  ];
  for (const { name, value, total } of data.metrics)
    lines.push('', `${name}: ${percent(value)} % (of ${total})`);
  for (const { file, title } of plots) lines.push('', `![${title}](${file})`);
  const shown = bestCells(data.cells, MAX_GROUP_CELLS);
  for (const { axis, values } of data.groups) {
    lines.push(
      '',
      `## By ${axis}`,
      '',
      ...table(
        [axis, 'problems', ...shown.map(({ cell }) => `${cell.name} %`)],
        values.map(({ value, problems, cells }) => [
          value,
          String(problems),
          ...shown.map(({ index }) => withIntervalIfAny(cells[index])),
        ]),
      ),
    );
  }
  if (data.groups.length > 0 && shown.length < data.cells.length)
    lines.push('', `The ${shown.length} most accurate of ${data.cells.length}; the CSV holds all.`);
  if (data.prm) lines.push('', '## Reward model', '', ...prmLines(data.prm));
  if (data.hardest.length > 0) {
    lines.push(
      '',
      '## Worst problems',
      '',
      ...table(
        ['id', 'right', 'gold', 'answers'],
        data.hardest.map(({ id, right, tries, gold, answers }) => [
          id,
          `${right} of ${tries}`,
          gold,
          answers.slice(0, 3).join(' · '),
        ]),
      ),
    );
  }
  return `${lines.join('\n')}\n`;
}

export function headline({ problems, seeds, unfinished, source }: ReportData): string {
  const parts = [`${problems.toLocaleString('en')} problems`];
  if (seeds > 1) parts.push(`${seeds} seeds`);
  if (unfinished > 0) parts.push(`${unfinished} without a result`);
  return `${parts.join(', ')}. Intervals are 95 %.${source ? ` Rules: ${source}.` : ''}`;
}

export function prmLines(prm: NonNullable<ReportData['prm']>): string[] {
  const three = (value: number | undefined) => (value === undefined ? '-' : value.toFixed(3));
  return [
    `- step AUC ${three(prm.stepAuc)}, calibration error ${three(prm.calibrationError)}`,
    ...(prm.stepF1
      ? [
          `- step F1 ${three(prm.stepF1.macro)} (right steps ${three(prm.stepF1.right)}, wrong ones ${three(prm.stepF1.wrong)})`,
        ]
      : []),
    ...(prm.firstError
      ? [
          `- first error F1 ${three(prm.firstError.f1)} (found ${three(prm.firstError.erroneous)}, right ones left alone ${three(prm.firstError.correct)})`,
        ]
      : []),
  ];
}

/** One line per cell and group: cell, strategy, N, axis, group, problems, accuracy, low, high. */
export function reportCsv({ cells, groups }: ReportData): string {
  const head = ['cell', 'strategy', 'n', 'axis', 'group', 'problems', 'accuracy', 'low', 'high'];
  const all = cells.map(({ name, strategy, n, problems, accuracy }) => [
    name,
    strategy,
    n,
    'all',
    'all',
    problems,
    ...numbers(accuracy),
  ]);
  const grouped = groups.flatMap(({ axis, values }) =>
    values.flatMap(({ value, problems, cells: estimates }) =>
      estimates.flatMap((estimate, index) => {
        const cell = cells[index];
        if (!estimate || !cell) return [];
        return [[cell.name, cell.strategy, cell.n, axis, value, problems, ...numbers(estimate)]];
      }),
    ),
  );
  return `${[head, ...all, ...grouped].map((row) => row.map(csvCell).join(',')).join('\n')}\n`;
}

function numbers({ mean, low, high }: Estimate): string[] {
  return [mean, low, high].map((value) => value.toFixed(6));
}

function csvCell(value: string | number): string {
  const text = String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ').slice(0, 200)).join(' | ')} |`;
  return [line(head), `|${' --- |'.repeat(head.length)}`, ...rows.map(line)];
}
