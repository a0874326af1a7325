import { isComplete } from '../../search/expand.js';
import type {
  AnswerGrouper,
  Problem,
  ReplyStore,
  SamplingOptions,
  Step,
  StepScorer,
} from '../../search/types.js';
import { createStepTruth, problemOfId, type StepTruthKind } from '../figmath/truth.js';
import { Gate } from '../runtime/gate.js';
import type { SkippingPolicy } from '../runtime/scheduler.js';
import { solveProblem } from '../runtime/solve.js';
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

export interface PrmBenchPorts {
  readonly policy: SkippingPolicy;
  readonly scorer: StepScorer;
  readonly grouper: AnswerGrouper;
  /** Where a problem's replies are kept, so that an interrupted measurement resumes; default: in
   *  memory. */
  readonly repliesOf?: (problem: Problem) => Promise<ReplyStore>;
  readonly signal: AbortSignal;
  /** Told of every finished problem. */
  readonly onDone?: () => void;
}

export interface PrmBenchSettings {
  /** Solutions sampled per problem; equal ones are scored once. */
  readonly samples: number;
  readonly seed: number;
  readonly sampling: SamplingOptions;
  /** A step scored below it is taken for wrong. */
  readonly threshold: number;
  readonly concurrency: number;
}

export interface PrmReport {
  readonly problems: number;
  readonly solutions: number;
  /** Steps whose truth the generator knows. */
  readonly steps: number;
  /** P(right) against "this step and all before it are right". */
  readonly stepAuc: number;
  readonly stepAucByKind: Readonly<Partial<Record<StepTruthKind, number>>>;
  readonly calibrationError: number;
  readonly calibration: readonly CalibrationBin[];
  /** Of steps scored at or above the threshold against those below. */
  readonly stepF1: StepF1;
  readonly firstError: {
    readonly erroneous: number;
    readonly correct: number;
    readonly f1: number;
  };
  /** Of mean step scores, right solutions against wrong ones of the same problem; 95 % bootstrap over
   *  problems that have both. */
  readonly withinProblemAuc: Estimate;
}

interface ScoredSolution {
  readonly id: string;
  readonly scores: readonly number[];
  readonly rights: readonly (boolean | null)[];
  readonly kinds: readonly StepTruthKind[];
}

/** Measures a reward model on steps whose truth figmath's generator knows: the policy's own
 *  solutions, so that the errors are those that a search meets.
 *  @throws what the models throw */
export async function measurePrm(
  problems: readonly Problem[],
  settings: PrmBenchSettings,
  ports: PrmBenchPorts,
): Promise<PrmReport> {
  const gate = new Gate(settings.concurrency);
  const tasks: Promise<ScoredSolution[]>[] = [];
  for (const problem of problems) {
    await gate.enter();
    ports.signal.throwIfAborted();
    const task = scoredSolutions(problem, settings, ports).finally(() => gate.leave());
    // Met again by Promise.all; a rejection before that must not end the process.
    task.catch(() => {});
    tasks.push(task);
  }
  const solutions = (await Promise.all(tasks)).flat();
  return report(problems.length, solutions, settings.threshold);
}

async function scoredSolutions(
  problem: Problem,
  { samples, seed, sampling }: PrmBenchSettings,
  { policy, scorer, grouper, repliesOf, signal, onDone }: PrmBenchPorts,
): Promise<ScoredSolution[]> {
  const figure = problemOfId(problem.id);
  if (!figure) return [];
  const result = await solveProblem(problem, {
    strategy: 'best-of-n',
    options: { n: samples },
    policy,
    scorer,
    grouper,
    ...(repliesOf ? { store: await repliesOf(problem) } : {}),
    seed,
    sampling,
    signal,
  });
  const truthOf = createStepTruth(figure);
  const distinct = new Map<string, { steps: readonly Step[]; scores: readonly number[] }>();
  for (const candidate of result.candidates) {
    const { steps, stepScores } = candidate;
    if (isComplete(candidate) && stepScores?.length) {
      distinct.set(JSON.stringify(steps), { steps, scores: stepScores });
    }
  }
  onDone?.();
  return [...distinct.values()].map(({ steps, scores }) => {
    const truths = truthOf(steps);
    return {
      id: problem.id,
      scores,
      rights: truths.map(({ right }) => right),
      kinds: truths.map(({ kind }) => kind),
    };
  });
}

function report(
  problems: number,
  solutions: readonly ScoredSolution[],
  threshold: number,
): PrmReport {
  const steps = solutions.flatMap(({ scores, rights, kinds }) =>
    rights.flatMap((right, i) =>
      right === null ? [] : [{ right, score: scores[i] ?? 0, kind: kinds[i] ?? 'other' }],
    ),
  );
  const judged = solutions.filter(({ rights }) => !rights.includes(null));
  const byKind = groupBy(steps, ({ kind }) => kind);
  return {
    problems,
    solutions: solutions.length,
    steps: steps.length,
    stepAuc: areaUnderCurve(steps),
    stepAucByKind: Object.fromEntries(
      [...byKind].map(([kind, items]) => [kind, areaUnderCurve(items)]),
    ),
    calibrationError: calibrationError(steps),
    calibration: calibrationBins(steps),
    stepF1: stepF1(steps, threshold),
    firstError: firstErrorScores(
      judged.map(({ scores, rights }) => ({
        predicted: firstBelow(scores, threshold),
        truth: indexOrNull(rights.indexOf(false)),
      })),
    ),
    withinProblemAuc: withinProblems(judged),
  };
}

function withinProblems(solutions: readonly ScoredSolution[]): Estimate {
  const areas = [...groupBy(solutions, ({ id }) => id).values()].flatMap((same) => {
    const items = same.map(
      ({ scores, rights }): Labelled => ({ score: average(scores), right: rights.at(-1) === true }),
    );
    const area = areaUnderCurve(items);
    return Number.isNaN(area) ? [] : [area];
  });
  return bootstrapMean(areas);
}

function indexOrNull(index: number): number | null {
  return index < 0 ? null : index;
}
