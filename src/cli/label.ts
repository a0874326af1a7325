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
import { budgetOptions, samplingOptions } from '../config/options.js';
import { pickOptions } from '../config/shapes.js';
import { packageVersion } from '../config/version.js';
import { readProblems } from '../data/problems.js';
import { createPolicy, type PolicyHandle, policyLine } from '../policy/create.js';
import { LabelRun } from '../runtime/label-run.js';
import type { LabelRunConfig, RunSummary } from '../runtime/label-run-types.js';
import { writeRecording } from '../runtime/recording.js';
import { createAnswerChecks } from '../verify/create.js';
import { judgeOptions, verifyOptions } from '../verify/options.js';
import { EXIT } from './exit.js';
import { type AllLabelOptions, addLabelFlags, parseLabelOptions } from './label-options.js';
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
      log: (line) => process.stderr.write(`${line}\n`),
    });
    if (given.json) process.stdout.write(`${JSON.stringify({ out: given.out, ...summary })}\n`);
    else process.stderr.write(`${summaryText(summary, given.out)}\n`);
    io.exit(exitCode(summary));
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

/** Opens the hosts, runs the labelling and closes them again, also after an error. */
export async function label(
  problemsFile: string,
  out: string,
  options: AllLabelOptions,
  io: LabelIo,
): Promise<LabelSummary> {
  const dir = resolve(out);
  await requireReadable(problemsFile);
  const policy = await createPolicy(policySettings(options), io.signal, io.log);
  if (!io.quiet) io.log(policyLine(policy));
  const checks = createAnswerChecks({
    verify: pickOptions(verifyOptions, options),
    judge: pickOptions(judgeOptions, options),
    judgeUrl: options.judge,
  });
  let progress: Progress | null = null;
  try {
    const run = new LabelRun(runConfig(dir, problemsFile, options, policy), {
      problems: readProblems(problemsFile, {
        format: options.format,
        // Replies that are not made from pixels don't need the pictures.
        checkImages: policy.checksImages ? options.checkImages : 'none',
        onWarning: io.log,
      }),
      policy,
      verifier: checks.verifier,
      ...(checks.critic ? { critic: checks.critic } : {}),
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
    await checks.close();
    await policy.close();
  }
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

function identityOf(options: AllLabelOptions, policy: PolicyHandle): Record<string, unknown> {
  const deciding = DECIDING.map((area) => pickOptions(area, options));
  return Object.assign(
    {
      method: options.method,
      seed: options.seed,
      policy: policy.identity,
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
  policy: PolicyHandle,
): LabelRunConfig {
  return {
    dir,
    method: options.method,
    seed: options.seed,
    options,
    sampling: pickOptions(samplingOptions, options),
    budget: pickOptions(budgetOptions, options),
    concurrency: options.concurrency,
    maxInFlight: policy.maxInFlight,
    strict: options.strict,
    keepReplies: options.keepReplies || options.record !== '',
    maxFailuresInARow: options.maxFailuresInARow,
    limit: options.limit,
    identity: identityOf(options, policy),
    identityDefaults: Object.assign({}, ...DECIDING.map((area) => pickOptions(area, {}))),
    facts: {
      steptree: packageVersion(),
      node: process.version,
      problemsFile: resolve(problemsFile),
      policy: policy.describe(),
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

Bad problems are skipped and listed in OUT/failed.jsonl (exit code 2); --strict stops at the first.
Problems whose calls failed for good are listed there too (exit code 1) and are tried again by the
same command.`;
