import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { z } from 'zod';
import { errorMessage, SteptreeError } from '../../search/errors.js';
import { addFlags, parseOptions } from '../config/flags.js';
import { writeFileAtomic } from '../data/files.js';
import { chartToSvg, svgToPng } from '../evaluate/render-chart.js';
import { strategyChart } from '../evaluate/strategy-chart.js';

const plotOptions = z.strictObject({
  tokens: z
    .enum(['policy', 'all'])
    .default('policy')
    .describe("tokens of the x axis: the policy's, or those of reward models and critics too"),
  title: z.string().default('').describe('text above the chart; the set by default'),
});

const estimate = z.object({ mean: z.number(), low: z.number(), high: z.number() });

/** The part of summary.json that a chart needs. */
const summaryFile = z.object({
  set: z.string(),
  problems: z.number(),
  seeds: z.array(z.number()),
  cells: z
    .array(
      z.object({
        strategy: z.string(),
        n: z.number(),
        accuracy: estimate,
        oracle: estimate,
        policyTokens: z.number().gt(0),
        prmTokens: z.number(),
        criticTokens: z.number(),
      }),
    )
    .min(1),
});

/** Draws the result of `bench run`. */
export function benchPlotCommand(): Command {
  const command = new Command('plot')
    .description('draw accuracy against tokens from the summary.json of a bench run')
    .argument('<file>', 'summary.json of a bench run')
    .requiredOption('--out <file>', 'file to write, ending in .svg or .png')
    .addHelpText('after', EXAMPLES);
  addFlags(command, plotOptions, 'Chart');
  return command.action(async (file: string, given: { out: string } & Record<string, unknown>) => {
    const { tokens, title } = parseOptions(plotOptions, given);
    const kind = /\.(svg|png)$/i.exec(given.out)?.[1]?.toLowerCase();
    if (!kind) {
      throw new SteptreeError(
        'OPTION_INVALID',
        `--out ${given.out}: a chart is written as .svg or .png; let the name end in one of these`,
        { option: 'out' },
      );
    }
    const { set, problems, seeds, cells } = await readSummary(file);
    const runs = seeds.length === 1 ? '' : `, ${seeds.length} seeds`;
    const svg = await chartToSvg(
      strategyChart(cells, {
        tokens,
        title: title || set,
        subtitle: `${problems.toLocaleString('en')} problems${runs}; bars: 95 % intervals over problems`,
      }),
    );
    await writeFileAtomic(given.out, kind === 'png' ? await svgToPng(svg) : svg);
  });
}

/** @throws SteptreeError BENCH_SUMMARY_INVALID */
async function readSummary(file: string) {
  try {
    return summaryFile.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    const issue = error instanceof z.ZodError ? error.issues[0] : undefined;
    const reason = issue ? `${issue.path.join('.')}: ${issue.message}` : errorMessage(error);
    throw new SteptreeError(
      'BENCH_SUMMARY_INVALID',
      `${file} is no summary of steptree bench run (${reason}); give the summary.json of its folder`,
      { file },
      { cause: error },
    );
  }
}

const EXAMPLES = `
Examples:
  $ steptree bench plot bench-run/summary.json --out strategies.svg
  $ steptree bench plot bench-run/summary.json --out strategies.png --tokens all

One line a strategy over N, the oracle of the pool of samples beside them, tokens in powers of two.`;
