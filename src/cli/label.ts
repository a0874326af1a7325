import { constants, createReadStream } from 'node:fs';
import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Command } from 'commander';
import {
  consensusOptions,
  errorMessage,
  estimateOptions,
  omegaPrmOptions,
  pathOptions,
  SteptreeError,
  stepRolloutsOptions,
  type TreeJson,
} from '../../search/index.js';
import {
  budgetOptions,
  problemsAtOnce,
  samplingOptions,
  TREES_PER_REPLICA,
} from '../config/options.js';
import { pickOptions } from '../config/shapes.js';
import { packageVersion } from '../config/version.js';
import { readProblems } from '../data/problems.js';
import { createPolicy, policyFacts, policyLine } from '../policy/create.js';
import { queueOptions } from '../queue/options.js';
import type { LabelOptions } from '../runtime/label-problem.js';
import { LabelRun } from '../runtime/label-run.js';
import type { LabelRunConfig, RunSummary } from '../runtime/label-run-types.js';
import { type Labeller, LocalLabeller } from '../runtime/labeller.js';
import { writeRecording } from '../runtime/recording.js';
import { createAnswerChecks } from '../verify/create.js';
import { judgeOptions, verifyOptions } from '../verify/options.js';
import { EXIT, endSoon } from './exit.js';
import { type AllLabelOptions, addLabelFlags, parseLabelOptions } from './label-options.js';
import { writeLog } from './live-line.js';
import type { CommandIo } from './main.js';
import { policySettings } from './policy-flags.js';
import { durationText, type Progress, showProgress } from './progress.js';

export function labelCommand(io: CommandIo): Command {
  const command = new Command('label')
    .description('grow a tree of reasoning steps for every problem and write step-level labels')
    .argument('<problems>', 'JSONL or JSON file of problems')
    .requiredOption('--out <dir>', 'folder of the run; the same command on it resumes')
    .option('--config <file>', 'JSON file of options in camel case; flags override it')
    .option('--json', 'print the summary as one JSON object on stdout')
    .option('--quiet', 'no progress on stderr')
    .addHelpText('after', EXAMPLES);
  addLabelFlags(command);
  return command.action(async (problems: string, given: LabelFlags) => {
    const options = parseLabelOptions(given as unknown as Record<string, unknown>);
    const summary = await label(problems, given.out, options, {
      signal: io.signal,
      quiet: given.quiet === true,
      log: writeLog,
    });
    if (given.json) process.stdout.write(`${JSON.stringify({ out: given.out, ...summary })}\n`);
    else process.stderr.write(`${summaryText(summary, given.out)}\n`);
    io.exit(exitCode(summary));
    if (options.queue !== '') endSoon();
  });
}

interface LabelFlags {
  readonly out: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export interface LabelIo {
  readonly signal: AbortSignal;
  readonly quiet: boolean;
  readonly log: (line: string) => void;
  readonly onTree?: (tree: TreeJson) => void;
}

/** What a command reports: the run's summary and how many failures were bad input. */
export type LabelSummary = RunSummary & { readonly badInput: number };

/** Opens the hosts, or the queue to the workers, runs the labelling and closes them again, also after
 *  an error. */
export async function label(
  problemsFile: string,
  out: string,
  options: AllLabelOptions,
  io: LabelIo,
): Promise<LabelSummary> {
  const dir = resolve(out);
  await requireReadable(problemsFile);
  const place = await openPlace(options, io);
  let progress: Progress | null = null;
  try {
    if (!io.quiet) io.log(place.line);
    const run = new LabelRun(runConfig(dir, problemsFile, options, place), {
      problems: readProblems(problemsFile, {
        format: options.format,
        // Replies that are not made from pixels don't need the pictures.
        checkImages: place.checksImages ? options.checkImages : 'none',
        onWarning: io.log,
      }),
      labeller: place.labeller,
      signal: io.signal,
      now: () => performance.now(),
      ...(io.onTree ? { onTree: io.onTree } : {}),
    });
    void countLines(problemsFile, (total) => run.setTotal(total));
    if (!io.quiet) progress = showProgress(() => run.snapshot());
    const summary = await run.run();
    if (options.record !== '') await writeRecording(dir, options.record);
    return { ...summary, badInput: run.badInput };
  } finally {
    progress?.stop();
    await place.close();
  }
}

/** Where the trees grow, and what the run must know of it. */
interface LabelPlace {
  readonly labeller: Labeller;
  readonly identity: Readonly<Record<string, unknown>>;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly checksImages: boolean;
  /** For the log. */
  readonly line: string;
  close(): Promise<void>;
}

function openPlace(options: AllLabelOptions, io: LabelIo): Promise<LabelPlace> {
  return options.queue === '' ? openHere(options, io) : openQueue(options, io);
}

async function openHere(options: AllLabelOptions, io: LabelIo): Promise<LabelPlace> {
  const policy = await createPolicy(policySettings(options), io.signal, io.log);
  const checks = createAnswerChecks({
    verify: pickOptions(verifyOptions, options),
    judge: pickOptions(judgeOptions, options),
    judgeUrl: options.judge,
  });
  const { method, seed } = options;
  const concurrency = problemsAtOnce(options.concurrency, options.policy, TREES_PER_REPLICA);
  const sampling = pickOptions(samplingOptions, options);
  const budget = pickOptions(budgetOptions, options);
  const { maxInFlight } = policy;
  return {
    labeller: new LocalLabeller(
      { method, seed, options, sampling, budget, concurrency, maxInFlight },
      {
        policy,
        verifier: checks.verifier,
        ...(checks.critic ? { critic: checks.critic } : {}),
        ...(checks.judgeReplicas ? { judgeReplicas: checks.judgeReplicas } : {}),
        now: () => performance.now(),
      },
    ),
    identity: policy.identity,
    facts: { policy: policy.describe() },
    checksImages: policy.checksImages,
    line: policyLine(policy),
    close: async () => {
      await checks.close();
      await policy.close();
    },
  };
}

async function openQueue(options: AllLabelOptions, io: LabelIo): Promise<LabelPlace> {
  // Loaded only when wanted: other commands need no Redis.
  const { openCoordinator } = await import('../queue/open.js');
  const policy = policySettings(options);
  const facts = await policyFacts(policy, io.signal, io.log);
  const { labeller, shown, close } = await openCoordinator(
    pickOptions(queueOptions, options),
    {
      method: options.method,
      seed: options.seed,
      options: labellingOptions(options),
      sampling: pickOptions(samplingOptions, options),
      budget: pickOptions(budgetOptions, options),
      policy,
      identity: facts.identity,
      verify: pickOptions(verifyOptions, options),
      judge: pickOptions(judgeOptions, options),
      judgeUrl: options.judge,
      maxLosses: options.queueMaxLosses,
    },
    { ...io, keepReplies: keepsReplies(options) },
  );
  return {
    labeller,
    identity: facts.identity,
    facts: { policy: { host: facts.identity.host, model: facts.name }, queue: shown },
    checksImages: facts.checksImages,
    line: `policy ${facts.name}, at the workers of queue ${options.queueName} at ${shown}`,
    close,
  };
}

/** Those of the options that labellers read. */
function labellingOptions(options: AllLabelOptions): LabelOptions {
  const areas = [estimateOptions, omegaPrmOptions, stepRolloutsOptions, consensusOptions];
  return Object.assign(
    {},
    ...[...areas, pathOptions].map((area) => pickOptions(area, options)),
  ) as LabelOptions;
}

function keepsReplies({ keepReplies, record }: AllLabelOptions): boolean {
  return keepReplies || record !== '';
}

/** Options that decide what the trees and labels are. Others may differ when a run is resumed. */
const DECIDING = [
  samplingOptions,
  estimateOptions,
  omegaPrmOptions,
  stepRolloutsOptions,
  consensusOptions,
  pathOptions,
  budgetOptions,
];

function identityOf(
  options: AllLabelOptions,
  policy: LabelPlace['identity'],
): Record<string, unknown> {
  const deciding = DECIDING.map((area) => pickOptions(area, options));
  return Object.assign(
    {
      method: options.method,
      seed: options.seed,
      policy,
      splitter: options.splitter,
      judge: options.judge !== '',
      judgeMode: options.judgeMode,
    },
    ...deciding,
  ) as Record<string, unknown>;
}

function runConfig(
  dir: string,
  problemsFile: string,
  options: AllLabelOptions,
  place: LabelPlace,
): LabelRunConfig {
  return {
    dir,
    seed: options.seed,
    options,
    strict: options.strict,
    keepReplies: keepsReplies(options),
    maxFailuresInARow: options.maxFailuresInARow,
    limit: options.limit,
    identity: identityOf(options, place.identity),
    identityDefaults: Object.assign({}, ...DECIDING.map((area) => pickOptions(area, {}))),
    facts: {
      steptree: packageVersion(),
      node: process.version,
      problemsFile: resolve(problemsFile),
      ...place.facts,
    },
  };
}

/** A mistyped file name should be told before a model is loaded and a folder is made. */
async function requireReadable(file: string): Promise<void> {
  try {
    await access(file, constants.R_OK);
  } catch (error) {
    throw new SteptreeError(
      'PROBLEMS_UNREADABLE',
      `cannot read ${file}: ${errorMessage(error)}; give the path of a JSONL or JSON file of problems`,
      { file },
      { cause: error },
    );
  }
}

/** Counts a JSONL file's lines for the progress display, while the run goes on. */
async function countLines(file: string, onTotal: (total: number) => void): Promise<void> {
  let lines = 0;
  let lastByte = NEWLINE;
  let first = true;
  try {
    for await (const chunk of createReadStream(file)) {
      const bytes = chunk as Buffer;
      // A JSON array or object has no line per problem; its size shows when it has been read.
      if (first && bytes.toString('utf8', 0, 64).trimStart().startsWith('[')) return;
      first = false;
      for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) lines++;
      lastByte = bytes[bytes.length - 1] ?? lastByte;
    }
    onTotal(lastByte === NEWLINE ? lines : lines + 1);
  } catch {
    // The reader itself reports a file that can't be read.
  }
}

const NEWLINE = 0x0a;

export function exitCode(summary: LabelSummary): number {
  if (summary.status === 'interrupted') return EXIT.interrupted;
  if (summary.badInput > 0) return EXIT.badInput;
  return summary.problems.failed > 0 ? EXIT.failed : EXIT.done;
}

export function summaryText(summary: LabelSummary, out: string): string {
  const { problems, labels, rollouts, policyTokens, seconds } = summary;
  const n = (value: number) => value.toLocaleString('en');
  const lines = [
    `${n(problems.done)} problems labelled, ${n(labels)} training paths, ${n(rollouts)} rollouts, ${n(policyTokens)} tokens in ${durationText(seconds)}`,
  ];
  if (summary.ungraded > 0) lines.push(`${n(summary.ungraded)} rollouts could not be graded`);
  if (problems.failed > 0)
    lines.push(`${n(problems.failed)} problems failed: see ${out}/failed.jsonl`);
  lines.push(
    summary.status === 'interrupted'
      ? `interrupted; run the same command again to resume`
      : `results in ${out}/: labels.jsonl, trees/, run.json`,
  );
  return lines.join('\n');
}

const EXAMPLES = `
Examples:
  $ steptree figmath --count 100 --out problems
  $ steptree label problems/problems.jsonl --out run
  $ steptree label problems.jsonl --out run --policy http://localhost:8000/v1
  $ steptree label problems.jsonl --out run --policy http://a:8000/v1,http://b:8000/v1 \\
      --method step-rollouts --num-solutions 4 --num-rollouts 16
  $ steptree label problems.jsonl --out run --config recipes/mm-prm.json
  $ steptree label problems.jsonl --out run --queue redis://redis:6379    (and steptree worker)

Bad problems are skipped and listed in OUT/failed.jsonl (exit code 2); --strict stops at the first.
Problems whose calls failed for good are listed there too (exit code 1) and are tried again by the
same command.`;
