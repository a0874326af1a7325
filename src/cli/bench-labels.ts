import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { SteptreeError } from '../../search/index.js';
import { budgetOptions, problemsAtOnce, samplingOptions } from '../config/options.js';
import { pickOptions } from '../config/shapes.js';
import { packageVersion } from '../config/version.js';
import { writeFileAtomic } from '../data/files.js';
import { type LabelFailure, measureLabels } from '../evaluate/label-bench.js';
import { makeMethods } from '../evaluate/label-methods.js';
import { labelTable, type MethodSummary, summarizeLabels } from '../evaluate/label-summary.js';
import { policyLine } from '../policy/create.js';
import {
  addLabelBenchFlags,
  BENCH_PROBLEMS_PER_REPLICA,
  parseLabelBenchOptions,
} from './bench-options.js';
import { loadSet } from './bench-set.js';
import { showCount } from './count-progress.js';
import { EXIT } from './exit.js';
import { writeLog } from './live-line.js';
import type { CommandIo } from './main.js';
import type { Progress } from './progress.js';
import { openStoredModels } from './stored-models.js';

/** Measures how far soft labels are from the truth, and what they cost. */
export function benchLabelsCommand(io: CommandIo): Command {
  const command = new Command('labels')
    .description('measure the error of soft labels against a truth of many rollouts')
    .argument('<set>', 'figmath, or a file of problems')
    .requiredOption('--out <dir>', 'folder of the run; the same command on it resumes')
    .option('--config <file>', 'JSON file of options in camel case; flags override it')
    .option('--json', 'print one JSON object on stdout')
    .option('--quiet', 'no progress on stderr')
    .addHelpText('after', EXAMPLES);
  addLabelBenchFlags(command);
  return command.action(async (set: string, given: LabelBenchFlags) => {
    const { table, ...report } = await benchLabels(set, { ...given }, io);
    process.stdout.write(given.json ? `${JSON.stringify(report)}\n` : `${table}\n`);
    for (const { id, message, code } of report.failures) {
      process.stderr.write(`${id}: ${message} [${code}]\n`);
    }
    io.exit(report.failures.length > 0 ? EXIT.failed : EXIT.done);
  });
}

interface LabelBenchFlags {
  readonly out: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

interface LabelBenchReport {
  readonly set: string;
  /** Without those that failed. */
  readonly problems: number;
  readonly states: number;
  readonly truthRollouts: number;
  readonly repeats: number;
  readonly methods: readonly MethodSummary[];
  readonly failures: readonly LabelFailure[];
  readonly table: string;
}

async function benchLabels(
  set: string,
  given: LabelBenchFlags & Record<string, unknown>,
  io: CommandIo,
): Promise<LabelBenchReport> {
  const { all, methods: specs } = parseLabelBenchOptions(given);
  const methods = makeMethods(specs);
  if (!specs.includes(all.baseline) && given.baseline !== undefined) {
    throw new SteptreeError(
      'OPTION_INVALID',
      `--baseline ${all.baseline} is none of the methods ${specs.join(', ')}`,
      { option: 'baseline' },
    );
  }
  const dir = resolve(given.out);
  const { problems } = await loadSet(set, dir, all, io.signal);
  const log = writeLog;
  const request = { all, needsScorer: false, needsCritic: false };
  const started = performance.now();
  const open = await openStoredModels(request, dir, { signal: io.signal, log });
  const { models, store } = open;
  let progress: Progress | null = null;
  try {
    if (!given.quiet) log(policyLine(models.host));
    let done = 0;
    if (!given.quiet) progress = showCount('problems', () => ({ done, failed: 0 }));
    const sampling = pickOptions(samplingOptions, all);
    const { truthRollouts, repeats, maxStates, seed } = all;
    const concurrency = problemsAtOnce(all.concurrency, all.policy, BENCH_PROBLEMS_PER_REPLICA);
    const budget = pickOptions(budgetOptions, all);
    const settings = { truthRollouts, repeats, maxStates, seed, concurrency, sampling, budget };
    const measured = await measureLabels(problems, methods, settings, {
      ...models,
      repliesOf: (problem) => store.replies({ problem, seed, sampling, ...models.identities }),
      signal: io.signal,
      now: () => performance.now(),
      onDone: () => done++,
    });
    const { states, failures } = measured;
    const summaries = summarizeLabels(methods, measured, all.baseline);
    const counts = { problems: problems.length - failures.length, states, truthRollouts, repeats };
    const report = { set, ...counts, methods: summaries, failures };
    const facts = {
      seed,
      sampling,
      budget,
      policy: models.identities.policy,
      steptree: packageVersion(),
      node: process.version,
      seconds: Math.round((performance.now() - started) / 1000),
    };
    const text = `${JSON.stringify({ ...report, ...facts }, null, 2)}\n`;
    await writeFileAtomic(join(dir, 'labels.json'), text);
    const table = labelTable(summaries, all.baseline);
    await writeFileAtomic(join(dir, 'report.md'), `${table}\n`);
    return { ...report, table };
  } finally {
    progress?.stop();
    await open.close();
  }
}

const EXAMPLES = `
Examples:
  $ steptree bench labels figmath --out label-bench --figmath-count 40
  $ steptree bench labels figmath --out label-bench --figmath-count 40 --repeats 4 \\
      --method step-rollouts:numRollouts=16,step-rollouts:numRollouts=16:adaptive=true,omegaprm

A method is a labeller of steptree label with its options in camel case. All methods label the same
sampled solutions; the truth of a state is its share of right ones among --truth-rollouts others.
Replies are kept in OUT/store: the same command resumes, and with other methods only what is new is
asked. OUT holds labels.json and report.md. Intervals are 95 % bootstrap over problems.`;
