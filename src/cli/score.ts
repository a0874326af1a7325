import { Command } from 'commander';
import { z } from 'zod';
import { readConfigFile } from '../config/config-file.js';
import { addFlags, parseOptions } from '../config/flags.js';
import { pickOptions } from '../config/shapes.js';
import { type AtomicFile, openAtomic } from '../data/files.js';
import { problemOptions, type Rejection } from '../data/problems.js';
import { readSolutions } from '../data/solutions.js';
import { createScorer, SCORER_AREAS, scorerSettings, scorerShape } from '../scorer/index.js';
import { aggregationOptions } from './aggregates.js';
import { showCount } from './count-progress.js';
import { EXIT } from './exit.js';
import type { CommandIo } from './main.js';
import type { Progress } from './progress.js';
import { type ScoreLine, scoreSolutions } from './score-file.js';

const commandOptions = z.strictObject({
  concurrency: z.int().min(1).default(256).describe('problems whose solutions are scored at once'),
});

const scoreOptions = z.strictObject({
  ...commandOptions.shape,
  ...problemOptions.shape,
  ...aggregationOptions.shape,
  ...scorerShape,
});

/** Step scores and every aggregate of given solutions. */
export function scoreCommand(io: CommandIo): Command {
  const command = new Command('score')
    .description('score given solutions with a reward model, step by step')
    .argument('<file>', 'JSONL of {id, question, image | images, steps | solutions: [[steps]]}')
    .option('--out <file>', 'write a JSON line per problem here, complete or not at all')
    .option('--config <file>', 'JSON file of options in camel case; flags override it')
    .option('--json', 'print one JSON object with all results on stdout')
    .option('--quiet', 'no progress on stderr')
    .addHelpText('after', EXAMPLES);
  const seen = new Set<string>();
  addFlags(command, commandOptions, 'Scoring', seen);
  addFlags(command, aggregationOptions, 'Scoring', seen);
  addFlags(command, problemOptions, 'Scoring', seen);
  for (const [heading, schema] of SCORER_AREAS) addFlags(command, schema, heading, seen);
  return command.action(async (file: string, given: ScoreFlags) => {
    const fromFile = given.config === undefined ? {} : readConfigFile(given.config);
    const options = parseOptions(scoreOptions, { ...given }, fromFile);
    const summary = await scoreFile(file, given, options, io.signal);
    if (given.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
    else process.stderr.write(`${summaryText(summary, given.out)}\n`);
    io.exit(exitCode(summary));
  });
}

interface ScoreFlags {
  readonly out?: string;
  readonly config?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

interface ScoreSummary {
  scored: number;
  failed: number;
  prmTokens: number;
  readonly prm: Readonly<Record<string, unknown>>;
  stats: Readonly<Record<string, unknown>>;
  /** Lines of the file that are no solutions. */
  readonly rejected: Rejection[];
  /** In file order; only with --json. */
  readonly results?: ScoreLine[];
}

async function scoreFile(
  file: string,
  { out, json, quiet }: ScoreFlags,
  options: z.infer<typeof scoreOptions>,
  signal: AbortSignal,
): Promise<ScoreSummary> {
  const scorer = await createScorer(scorerSettings(options), { signal });
  let target: AtomicFile | null = null;
  let progress: Progress | null = null;
  const summary: ScoreSummary = {
    scored: 0,
    failed: 0,
    prmTokens: 0,
    prm: scorer.identity,
    stats: {},
    rejected: [],
    ...(json ? { results: [] } : {}),
  };
  try {
    if (out !== undefined) target = await openAtomic(out);
    if (!quiet) progress = showCount('problems', () => ({ ...summary, done: summary.scored }));
    const { checkImages } = pickOptions(problemOptions, options);
    const by = pickOptions(aggregationOptions, options);
    const { concurrency } = pickOptions(commandOptions, options);
    const items = readSolutions(file, checkImages);
    for await (const item of scoreSolutions(items, scorer, by, concurrency, signal)) {
      if ('rejected' in item) {
        summary.rejected.push(item.rejected);
        continue;
      }
      if ('error' in item) summary.failed++;
      else {
        summary.scored++;
        summary.prmTokens += item.prmTokens;
      }
      summary.results?.push(item);
      await target?.write(`${JSON.stringify(item)}\n`);
      if (target === null && !json) process.stdout.write(lineText(item));
    }
    await target?.commit();
    summary.stats = scorer.stats();
    return summary;
  } finally {
    progress?.stop();
    await target?.discard();
    await scorer.close();
  }
}

/** `a7 path 1: 0.90 0.40 0.70 -> 0.67 *`, the best path of several marked. */
function lineText(item: ScoreLine): string {
  if ('error' in item) return `${item.id}: ${item.error.message} [${item.error.code}]\n`;
  const shown = (score: number) => score.toFixed(3);
  return item.paths
    .map(({ steps, score }, index) => {
      const raw = steps.length === 0 ? '' : ` ${steps.map(shown).join(' ')} ->`;
      const mark = item.paths.length > 1 && index === item.best ? ' *' : '';
      return `${item.id} path ${index + 1}:${raw} ${score === null ? 'unscored' : shown(score)}${mark}\n`;
    })
    .join('');
}

function summaryText({ scored, failed, prmTokens, rejected }: ScoreSummary, out?: string): string {
  const n = (value: number) => value.toLocaleString('en');
  return [
    `${n(scored)} problems scored, ${n(prmTokens)} reward-model tokens${out === undefined ? '' : `, results in ${out}`}`,
    ...(failed > 0 ? [`${n(failed)} problems could not be scored; their lines say why`] : []),
    ...rejected.map(({ message, code }) => `${message} [${code}]`),
  ].join('\n');
}

function exitCode({ rejected, failed }: ScoreSummary): number {
  if (rejected.length > 0) return EXIT.badInput;
  return failed > 0 ? EXIT.failed : EXIT.done;
}

const EXAMPLES = `
Examples:
  $ steptree score solutions.jsonl --prm http://localhost:8000/v1
  $ steptree score solutions.jsonl --prm http://localhost:8000/v1 --prm-kind pooling --out scores.jsonl
  $ steptree score solutions.jsonl --prm http://localhost:8000/v1 --prm-template visualprm --json

A line that is no solution is listed with its number (exit code 2), and one that can't be scored has
an error in place of its scores (exit code 1); the others are scored all the same.`;
