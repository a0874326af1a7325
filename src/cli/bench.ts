import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { type Problem, SteptreeError } from '../../search/index.js';
import { budgetOptions, problemsAtOnce, samplingOptions } from '../config/options.js';
import { pickOptions } from '../config/shapes.js';
import { packageVersion } from '../config/version.js';
import { writeFileAtomic } from '../data/files.js';
import { type BenchFailure, type BenchOutcome, BenchRun } from '../evaluate/bench-run.js';
import { type Cell, makeCells } from '../evaluate/cells.js';
import { writeQuestions } from '../evaluate/results.js';
import { type CellSummary, summarize, summaryTable } from '../evaluate/summary.js';
import { policyLine } from '../policy/create.js';
import type { Groups } from '../sets/types.js';
import { benchCompareCommand } from './bench-compare.js';
import { benchLabelsCommand } from './bench-labels.js';
import {
  type AllBenchOptions,
  addBenchFlags,
  BENCH_PROBLEMS_PER_REPLICA,
  parseBenchOptions,
} from './bench-options.js';
import { benchPlotCommand } from './bench-plot.js';
import { benchPrmCommand } from './bench-prm.js';
import { benchReportCommand } from './bench-report.js';
import { benchScoreCommand } from './bench-score.js';
import { loadSet } from './bench-set.js';
import { openSetGrading, type SetPorts } from './bench-set-grading.js';
import { showCount } from './count-progress.js';
import { EXIT } from './exit.js';
import { writeLog } from './live-line.js';
import type { CommandIo } from './main.js';
import type { Progress } from './progress.js';
import { openSolveModels, type SolveModels } from './solve-models.js';

/** Measures strategies on a set of problems. */
export function benchCommand(io: CommandIo): Command {
  const bench = new Command('bench').description('measure strategies on sets of problems');
  const run = bench
    .command('run')
    .description('run strategies over a set for several N and seeds, and compare them')
    .argument('<set>', 'figmath, a benchmark set with --problems, or a file of problems')
    .requiredOption('--out <dir>', 'folder of the run; the same command on it resumes')
    .option('--config <file>', 'JSON file of options in camel case; flags override it')
    .option('--json', 'print one JSON object on stdout')
    .option('--quiet', 'no progress on stderr')
    .addHelpText('after', EXAMPLES);
  addBenchFlags(run);
  run.action(async (set: string, given: BenchFlags) => {
    const report = await benchRun(set, { ...given }, io);
    const { table, failures, ...rest } = report;
    if (given.json) process.stdout.write(`${JSON.stringify({ ...rest, failures })}\n`);
    else process.stdout.write(`${table}\n`);
    for (const { id, seed, message, code } of failures) {
      process.stderr.write(`${id} (seed ${seed}): ${message} [${code}]\n`);
    }
    if (failures.length > 0) process.stderr.write(`run the same command again to try them again\n`);
    io.exit(failures.length > 0 ? EXIT.failed : EXIT.done);
  });
  bench.addCommand(benchScoreCommand(io));
  bench.addCommand(benchReportCommand(io));
  bench.addCommand(benchCompareCommand(io));
  bench.addCommand(benchPrmCommand(io));
  bench.addCommand(benchLabelsCommand(io));
  bench.addCommand(benchPlotCommand());
  return bench;
}

interface BenchFlags {
  readonly out: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

interface BenchReport {
  readonly set: string;
  readonly problems: number;
  readonly seeds: readonly number[];
  readonly cells: readonly CellSummary[];
  readonly table: string;
  readonly failures: readonly BenchFailure[];
}

interface BenchIo extends Pick<CommandIo, 'signal'> {
  /** Given a function that says how many problems are done. */
  readonly watch?: (progress: () => object) => void;
}

/** Runs, or resumes, a benchmark; jobs of the service call it too. */
export async function benchRun(
  set: string,
  given: BenchFlags & Record<string, unknown>,
  io: BenchIo,
): Promise<BenchReport> {
  const { all, strategies, ns } = parseBenchOptions(given);
  const cells = makeCells(strategies, ns);
  if (!cells.some(({ label }) => label === all.baseline) && given.baseline !== undefined) {
    throw new SteptreeError(
      'OPTION_INVALID',
      `--baseline ${all.baseline} is none of the strategies ${strategies.join(', ')}`,
      { option: 'baseline' },
    );
  }
  const dir = resolve(given.out);
  const { problems, digest, official } = await loadSet(set, dir, all, io.signal);
  const needs = cells.flatMap((cell) => cell.needs);
  const log = writeLog;
  const request = {
    all:
      official && /^https?:/.test(all.policy)
        ? { ...all, systemPrompt: all.systemPrompt ?? SET_SYSTEM_PROMPT }
        : all,
    needsScorer: needs.includes('scorer'),
    needsCritic: needs.includes('critic'),
  };
  const models = await openSolveModels(request, null, { signal: io.signal, log });
  const grading = official ? openSetGrading(official, all, io.signal) : null;
  try {
    if (!given.quiet) log(policyLine(models.host));
    const seeds = Array.from({ length: all.seeds }, (_, i) => all.seed + i);
    const started = performance.now();
    const ports = {
      ...models,
      ...(set === 'figmath' ? { groupsOf: familyOf } : {}),
      ...grading?.ports(models.policy),
    };
    const outcome = await runCells({ dir, cells, seeds, problems, digest, all, ports }, io, given);
    const summaries = summarize(cells, outcome.rows, all.baseline);
    const table = summaryTable(summaries, all.baseline);
    const report = { set, problems: problems.length, seeds, cells: summaries };
    const named = official ? { title: official.set.title, source: official.set.source } : {};
    await writeReport(dir, { ...named, ...report, ...factsOf(models, all, started) }, table);
    await writeQuestions(dir, problems);
    return { ...report, table, failures: outcome.failures };
  } finally {
    await grading?.close();
    await models.close();
  }
}

function familyOf({ metadata }: Problem): Groups {
  return typeof metadata?.family === 'string' ? { family: [metadata.family] } : {};
}

/** A set's prompt says how the answer is to be given; the default one of the hosts would say otherwise. */
const SET_SYSTEM_PROMPT =
  'Solve the problem step by step. Write one short step per paragraph, with an empty line between the steps. Give the final answer as the problem asks for it.';

async function runCells(
  work: {
    dir: string;
    cells: readonly Cell[];
    seeds: readonly number[];
    problems: readonly Problem[];
    digest: string;
    all: AllBenchOptions;
    ports: SolveModels & Partial<SetPorts>;
  },
  io: BenchIo,
  { quiet }: BenchFlags,
): Promise<BenchOutcome> {
  const { dir, cells, seeds, problems, digest, all, ports } = work;
  const sampling = pickOptions(samplingOptions, all);
  const budget = pickOptions(budgetOptions, all);
  const listed = cells.map(({ label, n, options }) => ({ label, n, options }));
  const identity = {
    problems: digest,
    cells: listed,
    seeds,
    sampling,
    budget,
    ...ports.identities,
    ...ports.rules,
  };
  const concurrency = problemsAtOnce(all.concurrency, all.policy, BENCH_PROBLEMS_PER_REPLICA);
  const run = new BenchRun(
    { dir, cells, seeds, sampling, budget, concurrency, identity },
    { ...ports, problems, signal: io.signal, now: () => performance.now() },
  );
  const total = problems.length * seeds.length;
  io.watch?.(() => ({ status: 'running', problems: { ...run.progress, total } }));
  let progress: Progress | null = null;
  try {
    if (!quiet) {
      progress = showCount(`of ${total.toLocaleString('en')} problems`, () => run.progress);
    }
    return await run.run();
  } finally {
    progress?.stop();
  }
}

function factsOf({ identities }: SolveModels, all: AllBenchOptions, startedMs: number) {
  return {
    ...identities,
    sampling: pickOptions(samplingOptions, all),
    budget: pickOptions(budgetOptions, all),
    steptree: packageVersion(),
    node: process.version,
    seconds: Math.round((performance.now() - startedMs) / 1000),
  };
}

async function writeReport(dir: string, facts: object, table: string): Promise<void> {
  await writeFileAtomic(join(dir, 'summary.json'), `${JSON.stringify(facts, null, 2)}\n`);
  await writeFileAtomic(join(dir, 'report.md'), `${table}\n`);
}

const EXAMPLES = `
Examples:
  $ steptree bench run figmath --out bench-run --strategy greedy,majority --n 1,4,16
  $ steptree bench run figmath --out bench-run --strategy majority,best-of-n,best-of-n:selection=weighted \\
      --n 1,2,4,8,16 --seeds 3 --prm http://localhost:8000/v1
  $ steptree bench run math-vision --problems subset.jsonl --out bench-run --policy http://localhost:8000/v1
  $ steptree bench run problems.jsonl --out bench-run --strategy beam,majority --policy http://localhost:8000/v1
  $ steptree bench run figmath --out bench-run --n 16 --baseline best-of-n:selection=weighted \\
      --strategy best-of-n:selection=weighted,particle-filter:n=17:selection=weighted:resampleBelow=0.5

All strategies of a problem share one set of samples, so that they are compared on the same ones and
a pool of 16 serves every smaller N. OUT holds results.jsonl (a line per problem, strategy, N and
seed), summary.json and report.md. Intervals are 95 % bootstrap over problems.`;
