/** bench prm on sets whose steps people have judged. */
import { join } from 'node:path';
import { SteptreeError } from '../../search/index.js';
import { samplingOptions } from '../config/options.js';
import { pickOptions } from '../config/shapes.js';
import { packageVersion } from '../config/version.js';
import { writeFileAtomic } from '../data/files.js';
import { type JudgedReport, measureJudged } from '../evaluate/judged-bench.js';
import { readJudgedSet } from '../sets/read-judged.js';
import type { JudgedSet } from '../sets/step-sets.js';
import { aggregationOptions } from './aggregates.js';
import type { AllPrmBenchOptions } from './bench-options.js';
import { showCount } from './count-progress.js';
import { writeLog } from './live-line.js';
import type { CommandIo } from './main.js';
import type { Progress } from './progress.js';
import { openStoredModels } from './stored-models.js';

export async function benchJudgedSet(
  set: JudgedSet,
  dir: string,
  all: AllPrmBenchOptions,
  io: CommandIo,
  quiet: boolean,
): Promise<JudgedReport> {
  if (all.problems === '') {
    throw new SteptreeError(
      'OPTION_INVALID',
      `${set.name} needs its authors' files; name them with --problems FILE`,
      { option: 'problems' },
    );
  }
  const items = await readJudgedSet(set, all.problems.split(','), {
    limit: all.limit,
    checkImages: all.checkImages,
    signal: io.signal,
  });
  const log = writeLog;
  const request = { all, needsScorer: true, needsCritic: false };
  const open = await openStoredModels(request, dir, { signal: io.signal, log });
  const { models, store } = open;
  let progress: Progress | null = null;
  try {
    const { scorer } = models;
    if (!scorer) throw new TypeError('no reward model was opened');
    let done = 0;
    if (!quiet) progress = showCount(`of ${items.length}`, () => ({ done, failed: 0 }));
    const sampling = pickOptions(samplingOptions, all);
    const aggregation = pickOptions(aggregationOptions, all);
    const { threshold, concurrency, seed } = all;
    const report = await measureJudged(
      set,
      items,
      { threshold, aggregation, concurrency },
      {
        scorer,
        repliesOf: (problem) => store.replies({ problem, seed, sampling, ...models.identities }),
        signal: io.signal,
        onDone: () => done++,
      },
    );
    const facts = { prm: models.identities.prm, threshold, steptree: packageVersion() };
    const { name, title, source } = set;
    const text = JSON.stringify({ set: name, title, source, ...report, ...facts }, null, 2);
    await writeFileAtomic(join(dir, 'prm.json'), `${text}\n`);
    return report;
  } finally {
    progress?.stop();
    await open.close();
  }
}

export function judgedText(set: JudgedSet, report: JudgedReport): string {
  const three = (value: number) => value.toFixed(3);
  const measured = {
    'step-f1': 'macro F1 of steps',
    'first-error': 'first error F1',
    pairs: 'pair accuracy',
  };
  const { stepF1, firstError, pairAccuracy } = report;
  return [
    `${set.title}: ${report.solutions.toLocaleString('en')} ${set.measure === 'pairs' ? 'pairs' : 'solutions'}, ${report.steps.toLocaleString('en')} labelled steps`,
    ...(pairAccuracy
      ? [
          `pair accuracy           ${three(pairAccuracy.mean)}  (${three(pairAccuracy.low)} to ${three(pairAccuracy.high)})`,
        ]
      : [
          `step F1                 ${three(stepF1.macro)}  (right ${three(stepF1.right)}, wrong ${three(stepF1.wrong)})`,
          `first error F1          ${three(firstError.f1)}  (found ${three(firstError.erroneous)}, right ones left alone ${three(firstError.correct)})`,
          `step AUC                ${three(report.stepAuc)}`,
          `calibration error       ${three(report.calibrationError)}`,
        ]),
    `${measured[set.measure]}, mean over groups  ${three(report.macro)}`,
    ...Object.entries(report.groups).map(
      ([group, { value, solutions }]) => `  ${group || 'all'}  ${three(value)}  (${solutions})`,
    ),
  ].join('\n');
}
