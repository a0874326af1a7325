/** A reward model on solutions whose steps people have judged, and on pairs. */

import { type Aggregation, pathScore } from '../../search/aggregate.js';
import { contentHash, SteptreeError } from '../../search/index.js';
import type { PathScores, Problem, ReplyStore, StepScorer } from '../../search/types.js';
import { Gate } from '../runtime/gate.js';
import type { JudgedProblem, JudgedSet } from '../sets/step-sets.js';
import { groupBy } from './group-by.js';
import {
  areaUnderCurve,
  type CalibrationBin,
  calibrationBins,
  calibrationError,
  firstBelow,
  firstErrorScores,
  type Labelled,
  type StepF1,
  stepF1,
} from './prm-metrics.js';
import { average, bootstrapMean, type Estimate } from './statistics.js';

export interface JudgedSettings {
  readonly threshold: number;
  readonly aggregation: Aggregation;
  readonly concurrency: number;
}

export interface JudgedPorts {
  readonly scorer: StepScorer;
  /** Scores that are known already. */
  readonly repliesOf?: (problem: Problem) => Promise<ReplyStore>;
  readonly signal: AbortSignal;
  readonly onDone?: () => void;
}

export interface JudgedReport {
  readonly solutions: number;
  /** Steps with a label. */
  readonly steps: number;
  readonly stepAuc: number;
  readonly calibrationError: number;
  readonly calibration: readonly CalibrationBin[];
  readonly stepF1: StepF1;
  readonly firstError: ReturnType<typeof firstErrorScores>;
  /** Of pairs: how often the better one scores higher, ties counted half. */
  readonly pairAccuracy?: Estimate;
  /** The mean over the groups of what the authors report. */
  readonly macro: number;
  readonly groups: Readonly<Record<string, { readonly value: number; readonly solutions: number }>>;
}

interface Scored {
  readonly item: JudgedProblem;
  readonly scores: readonly PathScores[];
}

/** @throws SteptreeError OPTION_INVALID where no step was scored; what the reward model throws; the signal's
 *  reason */
export async function measureJudged(
  set: JudgedSet,
  items: readonly JudgedProblem[],
  settings: JudgedSettings,
  ports: JudgedPorts,
): Promise<JudgedReport> {
  const gate = new Gate(settings.concurrency);
  const tasks: Promise<Scored>[] = [];
  for (const item of items) {
    await gate.enter();
    ports.signal.throwIfAborted();
    const task = scoresOf(item, ports)
      .then((scores) => ({ item, scores }))
      .finally(() => gate.leave());
    // Met again by Promise.all; a rejection before that must not end the process.
    task.catch(() => {});
    tasks.push(task);
  }
  return judgedReport(set, await Promise.all(tasks), settings);
}

async function scoresOf(
  { problem, solutions }: JudgedProblem,
  { scorer, repliesOf, signal, onDone }: JudgedPorts,
): Promise<readonly PathScores[]> {
  const store = await repliesOf?.(problem);
  const key = `score judged ${contentHash([JSON.stringify(solutions)])}`;
  const known = store?.get(key) as readonly PathScores[] | undefined;
  const scores = known ?? (await scorer.score({ problem, paths: solutions }, signal)).paths;
  if (!known) await store?.put(key, scores);
  onDone?.();
  return scores;
}

function judgedReport(
  set: JudgedSet,
  scored: readonly Scored[],
  { threshold, aggregation }: JudgedSettings,
): JudgedReport {
  const steps = scored.flatMap(labelledSteps);
  if (set.measure !== 'pairs' && steps.length === 0) {
    throw new SteptreeError(
      'OPTION_INVALID',
      `the reward model gave no score to any labelled step of ${set.name}; expected one that scores steps. Whole solutions are compared by bench prm vl-reward-bench`,
      { set: set.name },
    );
  }
  const measure = (some: readonly Scored[]): number => {
    if (set.measure === 'pairs') return average(some.map((one) => pairWin(one, aggregation)));
    return set.measure === 'step-f1'
      ? stepF1(some.flatMap(labelledSteps), threshold).macro
      : firstErrors(some, threshold).f1;
  };
  const groups = [...groupBy(scored, ({ item }) => item.group)].map(
    ([group, some]) => [group, { value: measure(some), solutions: some.length }] as const,
  );
  return {
    solutions: scored.length,
    steps: steps.length,
    stepAuc: areaUnderCurve(steps),
    calibrationError: calibrationError(steps),
    calibration: calibrationBins(steps),
    stepF1: stepF1(steps, threshold),
    firstError: firstErrors(scored, threshold),
    ...(set.measure === 'pairs'
      ? { pairAccuracy: bootstrapMean(scored.map((one) => pairWin(one, aggregation))) }
      : {}),
    macro: average(groups.map(([, { value }]) => value)),
    groups: Object.fromEntries(groups),
  };
}

function labelledSteps({ item, scores }: Scored): Labelled[] {
  return item.labels.flatMap((right, at) => {
    const score = scores[0]?.steps[at];
    return right === null || score === undefined ? [] : [{ score, right }];
  });
}

function firstErrors(scored: readonly Scored[], threshold: number) {
  const judged = scored.filter(({ item }) => item.labels.length > 0);
  return firstErrorScores(
    judged.map(({ item, scores }) => {
      const truth = item.labels.indexOf(false);
      return {
        predicted: firstBelow(scores[0]?.steps ?? [], threshold),
        truth: truth < 0 ? null : truth,
      };
    }),
  );
}

/** 1 where the better one scores higher, 0.5 for a tie or where neither has a score. */
function pairWin({ scores }: Scored, aggregation: Aggregation): number {
  const [better, worse] = scores.map((one) => pathScore(one, aggregation));
  if (better === worse) return 0.5;
  // Scores may be negative; one that is missing is below them all.
  return (better ?? -Infinity) > (worse ?? -Infinity) ? 1 : 0;
}
