import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { Command } from 'commander';
import { SteptreeError } from '../../search/index.js';
import { writeFileAtomic } from '../data/files.js';
import { readJoinedResults } from '../evaluate/results.js';
import { reportCsv, reportMarkdown } from '../report/markdown.js';
import { type ReportData, reportData } from '../report/report-data.js';
import { type NamedPlot, reportPlots } from '../report/report-plots.js';
import { reportSummary } from '../report/summary-json.js';
import { EXIT } from './exit.js';
import type { CommandIo } from './main.js';

interface ReportFlags {
  readonly out?: string;
  readonly baseline?: string;
  readonly plots?: string;
  readonly prm?: string;
  readonly viewer?: string;
  readonly hardest: string;
}

/** Writes the report of finished results. */
export function benchReportCommand(io: CommandIo): Command {
  return new Command('report')
    .description('write the report of a bench run or bench score: HTML, Markdown, CSV, plots')
    .argument('<dirs...>', 'folders of results; shards, and strategies run apart, are joined')
    .option(
      '--out <files>',
      'report.html, report.md, report.csv, summary.json (as bench run writes it, for bench plot), separated by commas (default: DIR/report.html)',
    )
    .option(
      '--baseline <strategy>',
      'strategy with which the others are compared, problem by problem, at the same N',
    )
    .option('--plots <dir>', 'write every plot here as SVG and PNG')
    .option('--prm <file>', "prm.json of bench prm: the reward model's measures go into the report")
    .option(
      '--viewer <url>',
      "where `steptree view` or a service shows the first folder, as http://127.0.0.1:4180: the worst problems are links then; or an address with {id} for a problem's id",
    )
    .option('--hardest <n>', 'how many of the worst problems to list', '20')
    .addHelpText('after', EXAMPLES)
    .action(async (dirs: string[], given: ReportFlags) => {
      const data = await dataOf(dirs, given);
      const plots = reportPlots(data);
      const files = (given.out ?? join(dirs[0] ?? '.', 'report.html')).split(',');
      for (const file of files) await writeReport(file.trim(), data, plots, given);
      if (given.plots !== undefined) await writePlots(given.plots, plots);
      process.stderr.write(`${files.join(', ')}\n`);
      io.exit(EXIT.done);
    });
}

async function dataOf(dirs: readonly string[], given: ReportFlags): Promise<ReportData> {
  const hardest = Number(given.hardest);
  if (!Number.isInteger(hardest) || hardest < 0) {
    throw new SteptreeError(
      'OPTION_INVALID',
      `--hardest: expected a whole number, got ${given.hardest}`,
      {
        option: 'hardest',
      },
    );
  }
  const results = await readJoinedResults(dirs);
  const { baseline } = given;
  const strategies = [...new Set(results.cells.map(({ strategy }) => strategy))];
  if (baseline !== undefined && !strategies.includes(baseline)) {
    throw new SteptreeError(
      'OPTION_INVALID',
      `--baseline ${baseline} is none of the strategies ${strategies.join(', ')}`,
      { option: 'baseline' },
    );
  }
  return reportData(results, {
    questions: await readQuestions(dirs),
    hardest,
    ...(baseline === undefined ? {} : { baseline }),
    ...(given.prm === undefined ? {} : { prm: await readPrm(given.prm) }),
  });
}

async function writeReport(
  file: string,
  data: ReportData,
  plots: readonly NamedPlot[],
  { viewer }: ReportFlags,
): Promise<void> {
  const kind = extname(file).toLowerCase();
  if (kind === '.html' || kind === '.htm') {
    const { reportHtml } = await import('../report/html.js');
    await writeFileAtomic(
      file,
      await reportHtml(data, plots, viewer === undefined ? {} : { viewer: problemAddress(viewer) }),
    );
  } else if (kind === '.md') {
    await writeFileAtomic(file, reportMarkdown(data));
  } else if (kind === '.csv') {
    await writeFileAtomic(file, reportCsv(data));
  } else if (kind === '.json') {
    await writeFileAtomic(file, `${JSON.stringify(reportSummary(data), null, 2)}\n`);
  } else {
    throw new SteptreeError(
      'OPTION_INVALID',
      `--out ${file}: expected a name that ends in .html, .md, .csv or .json`,
      { option: 'out' },
    );
  }
}

/** The plotting library is large: no other command loads it. */
async function writePlots(dir: string, plots: readonly NamedPlot[]): Promise<void> {
  const { plotPng, plotSvg } = await import('../report/plots.js');
  for (const { name, plot } of plots) {
    await writeFileAtomic(join(dir, `${name}.svg`), await plotSvg(plot));
    await writeFileAtomic(join(dir, `${name}.png`), await plotPng(plot));
  }
}

async function readPrm(file: string): Promise<Record<string, unknown>> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  } catch (cause) {
    throw new SteptreeError(
      'OPTION_INVALID',
      `--prm ${file}: expected the prm.json that steptree bench prm wrote`,
      { option: 'prm' },
      { cause },
    );
  }
}

/** Texts of questions, which newer folders hold beside their results. */
async function readQuestions(dirs: readonly string[]): Promise<Map<string, string>> {
  const questions = new Map<string, string>();
  for (const dir of dirs) {
    const text = await readFile(join(dir, 'problems.jsonl'), 'utf8').catch(() => '');
    for (const line of text.split('\n')) {
      if (line.trim() === '') continue;
      const { id, question } = JSON.parse(line) as { id: string; question: string };
      questions.set(id, question);
    }
  }
  return questions;
}

/** With `{id}`; of a base address, the viewer's own one for a folder that it shows by itself. */
export function problemAddress(viewer: string): string {
  if (viewer.includes('{id}')) return viewer;
  const base = viewer.replace(/\/(?:ui\/?)?$/, '');
  return `${base}/ui/#/tree?run=.&problem={id}`;
}

const EXAMPLES = `
Examples:
  $ steptree bench report bench-run
  $ steptree bench report shard-1 shard-2 --out report.html,report.md,report.csv --plots plots
  $ steptree bench report pools trees --baseline best-of-n --out report.md,summary.json
  $ steptree bench report bench-run --prm prm-bench/prm.json
  $ steptree bench report bench-run --viewer http://127.0.0.1:4180      (steptree view bench-run)

The page holds all that it shows; it follows the reader's choice of light or dark.`;
