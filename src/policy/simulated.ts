import { z } from 'zod';
import { SteptreeError } from '../../search/errors.js';
import { contentHash, createRandom } from '../../search/rng.js';
import type {
  FinishReason,
  PolicyModel,
  Problem,
  Rollout,
  SampleReply,
  SampleRequest,
  Step,
} from '../../search/types.js';
import { sleep } from './sleep.js';

const rate = () => z.number().min(0).max(1);

/** Options of the `simulated` policy host. */
export const simulatedOptions = z
  .strictObject({
    minSteps: z.int().min(1).default(3).describe('least steps of a solution, its answer included'),
    maxSteps: z.int().min(1).default(7).describe('most steps of a solution, its answer included'),
    stepSpread: z
      .int()
      .min(0)
      .default(1)
      .describe("how many steps a solution may be longer or shorter than its problem's own length"),
    minStepTokens: z.int().min(4).default(12).describe('least tokens (words) of a step'),
    maxStepTokens: z.int().min(4).default(40).describe('most tokens (words) of a step'),
    stepLengths: z
      .enum(['even', 'long-tail'])
      .default('even')
      .describe(
        'even: all lengths from least to most alike; long-tail: exponential above the least with the same mean, as the steps of recorded solutions are',
      ),
    errorRate: rate().default(0.2).describe('chance that a step after right steps is wrong'),
    recoverRate: rate().default(0.08).describe('chance that a step after an error corrects it'),
    difficultySpread: rate()
      .default(0.5)
      .describe('how much the error rate differs between problems: up to this share either way'),
    wrongAnswers: z.int().min(1).default(4).describe('number of different wrong answers'),
    latencyMs: z.number().min(0).default(0).describe('time that every call takes, ms'),
  })
  .refine((o) => o.minSteps <= o.maxSteps, 'minSteps must not exceed maxSteps')
  .refine((o) => o.minStepTokens <= o.maxStepTokens, 'minStepTokens must not exceed maxStepTokens');

export type SimulatedOptions = z.infer<typeof simulatedOptions>;

export interface SimulatedPolicy extends PolicyModel {
  stats(): { readonly calls: number; readonly rollouts: number; readonly policyTokens: number };
  describe(): Record<string, unknown>;
  /** Idempotent. */
  close(): Promise<void>;
}

/** A policy that knows the gold answers and errs on purpose, for tests and benchmarks of the
 *  machinery. A rollout is a pure function of (problem, prefix, seed); at temperature 0 of
 *  (problem, prefix).
 *
 *  Step i of a problem has one right value; a step shows the value that it reached, so a prefix
 *  tells by itself whether an error is in force. From then on only a self-correction, drawn at
 *  every step, leads back to the gold answer. Steps of foreign origin count as right.
 *  @throws from `sample`: SteptreeError SIMULATED_NO_ANSWER, POLICY_CLOSED */
export function createSimulatedPolicy(options: SimulatedOptions): SimulatedPolicy {
  const stats = { calls: 0, rollouts: 0, policyTokens: 0 };
  let closed = false;
  return {
    name: 'simulated',
    async sample(request: SampleRequest, signal?: AbortSignal): Promise<SampleReply> {
      signal?.throwIfAborted();
      if (closed) throw new SteptreeError('POLICY_CLOSED', 'the simulated policy was closed');
      const rollouts = simulateRollouts(request, options);
      if (options.latencyMs > 0) await sleep(options.latencyMs, signal);
      stats.calls++;
      stats.rollouts += rollouts.length;
      for (const rollout of rollouts) stats.policyTokens += rollout.policyTokens;
      return { rollouts, promptTokens: promptTokens(request), cachedTokens: 0 };
    },
    stats: () => ({ ...stats }),
    describe: () => ({ host: 'simulated', ...options }),
    close: async () => {
      closed = true;
    },
  };
}

/** The rollouts of one request, without waiting: one per seed.
 *  @throws SteptreeError SIMULATED_NO_ANSWER */
export function simulateRollouts(request: SampleRequest, options: SimulatedOptions): Rollout[] {
  const { problem, prefix, seeds, sampling } = request;
  const answer = problem.answer;
  if (answer === undefined) {
    throw new SteptreeError(
      'SIMULATED_NO_ANSWER',
      `the simulated policy makes solutions out of gold answers, and problem ${problem.id} has none; add "answer" to it`,
      { problemId: problem.id },
    );
  }
  const place = contentHash([problem.id, ...prefix]);
  const errorRate = problemErrorRate(problem.id, options);
  return seeds.map((seed) => {
    const draw = createRandom(`${place} ${sampling.temperature === 0 ? 'greedy' : seed}`);
    return simulateRollout({ request, options, errorRate, draw, answer });
  });
}

interface Simulation {
  readonly request: SampleRequest;
  readonly options: SimulatedOptions;
  readonly errorRate: number;
  readonly draw: () => number;
  readonly answer: string;
}

function simulateRollout(simulation: Simulation): Rollout {
  const { request, options, draw } = simulation;
  const { problem, prefix, until, sampling } = request;
  if (isAnswer(prefix.at(-1))) return { steps: [], finish: 'end', policyTokens: 1 };
  const length = drawLength(problem.id, options, draw);
  let right = isRight(problem.id, prefix);
  const steps: Step[] = [];
  let tokens = 0;
  for (;;) {
    const position = prefix.length + steps.length + 1;
    const last = position >= length;
    const before = right;
    if (!last) right = right ? draw() >= simulation.errorRate : draw() < options.recoverRate;
    const step = last
      ? answerStep(simulation, right)
      : workStep(problem.id, position, { before, right }, options, draw);
    const words = countWords(step);
    if (tokens + words + 1 > sampling.maxTokens) {
      // What is left of the limit is spent on part of this step.
      const part = step
        .split(' ')
        .slice(0, sampling.maxTokens - tokens)
        .join(' ');
      if (part !== '') steps.push(part);
      return { steps, finish: 'length', policyTokens: Math.max(1, sampling.maxTokens) };
    }
    steps.push(step);
    tokens += words;
    const finish: FinishReason | null = last ? 'end' : until === 'step' ? 'step' : null;
    if (finish !== null) return { steps, finish, policyTokens: tokens + 1 };
  }
}

const PHRASES = ['adding the parts', 'reading the figure', 'taking the ratio', 'comparing both'];
const FILLER_WORDS =
  'so that the base and the side of the figure give with the height a value which we carry on'.split(
    ' ',
  );

function workStep(
  problemId: string,
  position: number,
  state: { readonly before: boolean; readonly right: boolean },
  options: SimulatedOptions,
  draw: () => number,
): Step {
  const value = state.right
    ? rightValue(problemId, position)
    : wrongValue(problemId, position, draw);
  const start =
    !state.before && state.right ? 'correcting the slip' : PHRASES[Math.floor(draw() * 4)];
  const head = `(${position}) ${start} = ${value}`;
  const count = drawStepTokens(options, draw) - countWords(head);
  // A turn through a fixed sentence: one random number a step, not one a word.
  const turn = Math.floor(draw() * FILLER_WORDS.length);
  const filler = Array.from(
    { length: Math.max(0, count) },
    (_, index) => FILLER_WORDS[(turn + index) % FILLER_WORDS.length],
  );
  return [head, ...filler].join(' ');
}

function answerStep({ request, options, draw, answer }: Simulation, right: boolean): Step {
  return `Answer: ${right ? answer : wrongAnswer(request.problem, answer, options, draw)}`;
}

function wrongAnswer(
  problem: Problem,
  gold: string,
  options: SimulatedOptions,
  draw: () => number,
): string {
  const which = Math.floor(draw() * options.wrongAnswers);
  if (/^[A-Z]$/.test(gold) && problem.choices?.length) {
    const letters = problem.choices.map((_, index) => String.fromCharCode(65 + index));
    return pick(
      letters.filter((letter) => letter !== gold),
      () => which / options.wrongAnswers,
      gold,
    );
  }
  const others = problem.choices?.filter((choice) => choice !== gold) ?? [];
  if (others.length > 0) return others[which % others.length] ?? gold;
  const value = Number(gold);
  if (gold.trim() === '' || !Number.isFinite(value)) return `not ${gold}, case ${which + 1}`;
  return String(Number((value + which + 1).toPrecision(12)));
}

/** Steps of one solution. Solutions of one problem are of like length, as a model's are, so the
 *  rollouts of one call end at about the same time. */
function drawLength(problemId: string, options: SimulatedOptions, draw: () => number): number {
  const { minSteps, maxSteps, stepSpread } = options;
  const hash = Number.parseInt(contentHash([problemId, 'length']).slice(0, 8), 16);
  const usual = minSteps + (hash % (maxSteps - minSteps + 1));
  const length = usual + drawBetween(-stepSpread, stepSpread, draw);
  return Math.min(maxSteps, Math.max(minSteps, length));
}

/** Whether no error is in force after the prefix: its last step shows the right value. */
export function isRight(problemId: string, prefix: readonly Step[]): boolean {
  const shown = /^\((\d+)\) .*? = (\d+)/.exec(prefix.at(-1) ?? '');
  return shown === null || Number(shown[2]) === rightValue(problemId, Number(shown[1]));
}

function isAnswer(step: Step | undefined): boolean {
  return step?.startsWith('Answer:') ?? false;
}

function rightValue(problemId: string, position: number): number {
  const hash = contentHash([problemId, 'value', String(position)]);
  return 1000 + (Number.parseInt(hash.slice(0, 8), 16) % 9000);
}

function wrongValue(problemId: string, position: number, draw: () => number): number {
  const right = rightValue(problemId, position);
  return 1000 + ((right - 1000 + 1 + Math.floor(draw() * 8999)) % 9000);
}

function problemErrorRate(problemId: string, options: SimulatedOptions): number {
  const hash = contentHash([problemId, 'difficulty']);
  const difficulty = Number.parseInt(hash.slice(0, 8), 16) / 2 ** 32;
  return Math.min(1, options.errorRate * (1 + options.difficultySpread * (2 * difficulty - 1)));
}

function promptTokens(request: SampleRequest): number {
  const prefixTokens = request.prefix.reduce((sum, step) => sum + countWords(step), 0);
  return countWords(request.problem.question) + prefixTokens;
}

function countWords(text: string): number {
  return text.split(' ').length;
}

function drawStepTokens(options: SimulatedOptions, draw: () => number): number {
  const { minStepTokens: least, maxStepTokens: most } = options;
  if (options.stepLengths === 'even') return drawBetween(least, most, draw);
  return least + Math.floor((-Math.log(1 - draw()) * (most - least)) / 2);
}

function drawBetween(least: number, most: number, draw: () => number): number {
  return least + Math.floor(draw() * (most - least + 1));
}

function pick(words: readonly string[], draw: () => number, otherwise = ''): string {
  return words[Math.floor(draw() * words.length)] ?? otherwise;
}
