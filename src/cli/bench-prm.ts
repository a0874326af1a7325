import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { SteptreeError } from '../../search/index.js';
import { samplingOptions } from '../config/options.js';
import { pickOptions } from '../config/shapes.js';
import { packageVersion } from '../config/version.js';
import { writeFileAtomic } from '../data/files.js';
import { measurePrm, type PrmReport } from '../evaluate/prm-bench.js';
import { problemOfId } from '../figmath/truth.js';
import { policyLine } from '../policy/create.js';
import { findJudgedSet } from '../sets/step-sets.js';
import { addPrmBenchFlags, parsePrmBenchOptions } from './bench-options.js';
import { benchJudgedSet, judgedText } from './bench-prm-judged.js';
import { loadSet } from './bench-set.js';
import { showCount } from './count-progress.js';
import { writeLog } from './live-line.js';
import type { CommandIo } from './main.js';
import type { Progress } from './progress.js';
import { openStoredModels } from './stored-models.js';

/** Measures a reward model where the truth of steps is known. */
export function benchPrmCommand(io: CommandIo): Command {
  const command = new Command('prm')
    .description('measure a reward model on steps whose truth is known')
    .argument(
      '<set>',
      'figmath, a file of figmath problems, or with --problems one of visual-process-bench, process-bench, vlrm-bench, vl-reward-bench',
    )
    .requiredOption('--out <dir>', 'folder of the run; the same command on it resumes')
    .option('--config <file>', 'JSON file of options in camel case; flags override it')
    .option('--json', 'print one JSON object on stdout')
    .option('--quiet', 'no progress on stderr')
    .addHelpText('after', EXAMPLES);
  addPrmBenchFlags(command);
  return command.action(async (set: string, given: PrmBenchFlags) => {
    const judged = findJudgedSet(set);
    if (judged) {
      const all = parsePrmBenchOptions({ ...given });
      const report = await benchJudgedSet(
        judged,
        resolve(given.out),
        all,
        io,
        given.quiet === true,
      );
      process.stdout.write(
        given.json ? `${JSON.stringify(report)}\n` : `${judgedText(judged, report)}\n`,
      );
      return;
    }
    const report = await benchPrm(set, { ...given }, io);
    process.stdout.write(given.json ? `${JSON.stringify(report)}\n` : `${reportText(report)}\n`);
  });
}

interface PrmBenchFlags {
  readonly out: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

async function benchPrm(
  set: string,
  given: PrmBenchFlags & Record<string, unknown>,
  io: CommandIo,
): Promise<PrmReport> {
  const all = parsePrmBenchOptions(given);
  const dir = resolve(given.out);
  const { problems } = await loadSet(set, dir, all, io.signal);
  if (!problems.some(({ id }) => problemOfId(id))) {
    throw new SteptreeError(
      'OPTION_INVALID',
      `${set} holds no problem of figmath, whose steps can be judged; give figmath, or a file that steptree figmath wrote`,
      { set },
    );
  }
  const log = writeLog;
  const request = { all, needsScorer: true, needsCritic: false };
  const open = await openStoredModels(request, dir, { signal: io.signal, log });
  const { models, store } = open;
  let progress: Progress | null = null;
  try {
    const { scorer } = models;
    if (!scorer) throw new TypeError('no reward model was opened');
    if (!given.quiet) log(policyLine(models.host));
    let done = 0;
    if (!given.quiet) progress = showCount('problems', () => ({ done, failed: 0 }));
    const { samples, seed, threshold, concurrency } = all;
    const sampling = pickOptions(samplingOptions, all);
    const report = await measurePrm(
      problems,
      { samples, seed, threshold, concurrency, sampling },
      {
        ...models,
        scorer,
        repliesOf: (problem) => store.replies({ problem, seed, sampling, ...models.identities }),
        signal: io.signal,
        onDone: () => done++,
      },
    );
    const facts = { ...models.identities, samples, seed, sampling, steptree: packageVersion() };
    const text = `${JSON.stringify({ set, ...report, ...facts }, null, 2)}\n`;
    await writeFileAtomic(join(dir, 'prm.json'), text);
    return report;
  } finally {
    progress?.stop();
    await open.close();
  }
}

function reportText(report: PrmReport): string {
  const n = (value: number) => value.toLocaleString('en');
  const three = (value: number) => value.toFixed(3);
  const { firstError, withinProblemAuc: within } = report;
  const kinds = Object.entries(report.stepAucByKind)
    .filter(([, auc]) => !Number.isNaN(auc))
    .map(([kind, auc]) => `${kind} ${three(auc)}`);
  return [
    `${n(report.problems)} problems, ${n(report.solutions)} different solutions, ${n(report.steps)} steps of known truth`,
    `step AUC                ${three(report.stepAuc)}  (${kinds.join(', ')})`,
    `calibration error       ${three(report.calibrationError)}`,
    `step F1                 ${three(report.stepF1.macro)}  (right ${three(report.stepF1.right)}, wrong ${three(report.stepF1.wrong)})`,
    `first error F1          ${three(firstError.f1)}  (found ${three(firstError.erroneous)}, right ones left alone ${three(firstError.correct)})`,
    `within-problem AUC      ${three(within.mean)}  (${three(within.low)} to ${three(within.high)})`,
  ].join('\n');
}

const EXAMPLES = `
Examples:
  $ steptree bench prm figmath --out prm-bench
  $ steptree bench prm process-bench --problems gsm8k.json,math.json --out prm-bench --prm http://localhost:8000/v1
  $ steptree bench prm figmath --out prm-bench --prm http://localhost:8000/v1 --figmath-count 200

The policy's own solutions are scored, and each step is held against what figmath's generator knows.
step AUC: the chance that a right step scores above a wrong one; a step is right if it and all before
it are. OUT/prm.json holds the figures. Replies are kept in OUT/store: the same command resumes, and
with another reward model the solutions are there already.`;
