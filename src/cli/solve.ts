import { resolve } from 'node:path';
import { Command } from 'commander';
import { type Problem, SteptreeError, type Usage } from '../../search/index.js';
import { budgetOptions, samplingOptions } from '../config/options.js';
import { pickOptions } from '../config/shapes.js';
import { openAtomic } from '../data/files.js';
import { findProblem, questionProblem } from '../data/one-problem.js';
import { policyLine } from '../policy/create.js';
import { ReplyRecorder } from '../runtime/recorder.js';
import { gradeCandidates, memoryReplies, solveProblem } from '../runtime/solve.js';
import { SolveStore } from '../runtime/solve-store.js';
import { EXIT } from './exit.js';
import { showLine, writeLog } from './live-line.js';
import type { CommandIo } from './main.js';
import { durationText, type Progress } from './progress.js';
import { openSolveModels, type SolveModels } from './solve-models.js';
import { addSolveFlags, parseSolveOptions, type SolveRequest } from './solve-options.js';
import { type SolveReport, solveReport } from './solve-report.js';
import { type SolveTextOptions, solveText } from './solve-text.js';

/** Spends test-time compute on one problem. */
export function solveCommand(io: CommandIo): Command {
  const command = new Command('solve')
    .description('answer one problem with a search strategy: majority, best-of-n, beam, mcts, …')
    .option('--out <file>', 'write the JSON object here too, complete or not at all')
    .option('--config <file>', 'JSON file of options in camel case; flags override it')
    .option('--json', 'print one JSON object on stdout')
    .option('--quiet', 'no progress on stderr')
    .addHelpText('after', EXAMPLES);
  addSolveFlags(command);
  return command.action(async (given: SolveFlags) => {
    const request = parseSolveOptions({ ...given });
    // Opened first: a search should not be lost to a folder that can't be written to.
    const out = given.out === undefined ? null : await openAtomic(given.out);
    const record = request.all.record === '' ? null : await openAtomic(request.all.record);
    const recorder = record && new ReplyRecorder();
    let report: SolveReport;
    try {
      report = await solve(request, recorder, {
        signal: io.signal,
        quiet: given.quiet === true,
        log: writeLog,
      });
      await out?.write(`${JSON.stringify(report)}\n`);
      await record?.write(recorder?.text() ?? '');
      await Promise.all([out?.commit(), record?.commit()]);
    } finally {
      await Promise.all([out?.discard(), record?.discard()]);
    }
    const json = `${JSON.stringify(report)}\n`;
    process.stdout.write(given.json ? json : `${solveText(report, terminal())}\n`);
    io.exit(report.answer === null ? EXIT.failed : EXIT.done);
  });
}

interface SolveFlags {
  readonly out?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

interface SolveIo {
  readonly signal: AbortSignal;
  readonly quiet: boolean;
  readonly log: (line: string) => void;
}

/** Opens the models that the strategy needs, solves, and closes them again, also after an error. */
async function solve(
  request: SolveRequest,
  recorder: ReplyRecorder | null,
  io: SolveIo,
): Promise<SolveReport> {
  const { all } = request;
  const problem = await readProblem(request, io);
  const kept = all.store === '' ? null : new SolveStore(resolve(all.store));
  try {
    const models = await openSolveModels(request, recorder, io);
    try {
      if (!io.quiet) io.log(policyLine(models.host));
      return await solveWith(problem, request, models, { kept, recorder }, io);
    } finally {
      await models.close();
    }
  } catch (error) {
    if (io.signal.aborted && kept) io.log('interrupted; the same command goes on from its store');
    throw error;
  } finally {
    await kept?.close();
  }
}

async function solveWith(
  problem: Problem,
  request: SolveRequest,
  models: SolveModels,
  { kept, recorder }: { kept: SolveStore | null; recorder: ReplyRecorder | null },
  { signal, quiet }: SolveIo,
): Promise<SolveReport> {
  const { all, strategyOptions: options } = request;
  const { identities, verifier, host } = models;
  const settings = {
    seed: all.seed,
    sampling: pickOptions(samplingOptions, all),
    budget: pickOptions(budgetOptions, all),
  };
  // Recordings are told apart by their files.
  const policy = { ...identities.policy, ...(host.kind === 'recorded' ? { file: host.name } : {}) };
  const scope = { problem, ...settings, ...identities, policy };
  const replies = (await kept?.replies(scope)) ?? memoryReplies();
  let progress: Progress | null = null;
  try {
    const result = await solveProblem(problem, {
      ...settings,
      ...models,
      strategy: request.strategy,
      options,
      store: recorder?.store(problem.id, replies) ?? replies,
      signal,
      onStart: (usage) => {
        if (!quiet) progress = showSpending(usage);
      },
    });
    const grades =
      problem.answer === undefined
        ? undefined
        : await gradeCandidates(problem, result, verifier, signal);
    return solveReport(problem, { options, ...settings, ...identities }, result, grades);
  } finally {
    (progress as Progress | null)?.stop();
  }
}

async function readProblem({ all }: SolveRequest, { log }: SolveIo): Promise<Problem> {
  // Replies that are not made from pixels don't need the pictures.
  const checkImages = all.policy.startsWith('recorded:') ? 'none' : all.checkImages;
  const { question = '', image: images, choices, answer, id, format } = all;
  const problem =
    all.problem === undefined
      ? await questionProblem(
          {
            question,
            images,
            choices,
            ...(answer === undefined ? {} : { answer }),
            ...(id === undefined ? {} : { id }),
          },
          checkImages,
        )
      : await findProblem(all.problem, id, { format, checkImages, onWarning: log });
  if (all.prmKind === 'rollouts' && problem.answer === undefined) {
    throw new SteptreeError(
      'OPTION_INVALID',
      `--prm-kind rollouts needs the gold answer, and problem ${problem.id} has none; give --answer, or another --prm-kind`,
      { option: 'prmKind', id: problem.id },
    );
  }
  return problem;
}

/** `12 rollouts · 340 tokens · 3 s` */
function showSpending(usage: Readonly<Usage>): Progress {
  const startMs = performance.now();
  const n = (value: number) => value.toLocaleString('en');
  return showLine(() => {
    const seconds = (performance.now() - startMs) / 1000;
    const { rollouts, policyTokens } = usage;
    return `${n(rollouts)} rollouts · ${n(policyTokens)} tokens · ${durationText(seconds)}`;
  });
}

function terminal(): SolveTextOptions {
  const { isTTY, columns } = process.stdout;
  // Some terminals say that they have no columns.
  return { color: isTTY === true && process.env.NO_COLOR === undefined, width: columns || 100 };
}

const EXAMPLES = `
Examples:
  $ steptree figmath --count 10 --out problems
  $ steptree solve --problem problems/problems.jsonl --id figmath-test-1-000000 --n 16
  $ steptree solve --question "How many cubes are there?" --image cubes.png \\
      --policy http://localhost:8000/v1 --strategy best-of-n --prm http://localhost:8001/v1
  $ steptree solve --problem p.jsonl --id a7 --strategy beam --prm-kind rules --n 8 --beam-width 4
  $ steptree solve --problem p.jsonl --id a7 --strategy refined-best-of-n --critic http://localhost:8002/v1

Without --prm, and without an embedded reward model, the strategy is majority. An option that belongs
to another strategy is refused. With --store DIR a killed or interrupted command (exit code 130) goes
on where it was. Exits with 1 if no answer was found; the warnings say why.`;
