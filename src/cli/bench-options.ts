import type { Command } from 'commander';
import { z } from 'zod';
import { readConfigFile } from '../config/config-file.js';
import { addFlags, parseOptions } from '../config/flags.js';
import { budgetOptions, policyOptions, runOptions, samplingOptions } from '../config/options.js';
import { problemOptions } from '../data/problems.js';
import { figmathOptions } from '../figmath/index.js';
import { SCORER_AREAS, scorerShape } from '../scorer/index.js';
import { judgeOptions, verifyOptions } from '../verify/options.js';
import { aggregationOptions } from './aggregates.js';
import { extractorOptions } from './extractor-options.js';
import { POLICY_HOST_AREAS, policyHostShape, simulatedShape } from './policy-flags.js';
import type { ModelRequest } from './solve-models.js';
import { CRITIC_HELP } from './solve-options.js';

const commaList = (text: string) => text.split(',').map((part) => part.trim());

export const benchOptions = z.strictObject({
  strategy: z
    .string()
    .default('greedy,majority')
    .describe(
      'strategies, separated by commas, each perhaps with options of its own: best-of-n:selection=weighted',
    ),
  n: z
    .string()
    .regex(/^\s*[1-9]\d*\s*(,\s*[1-9]\d*\s*)*$/, 'expected whole numbers from 1 on, as 1,4,16')
    .default('1,4,16')
    .describe('values of N, separated by commas'),
  baseline: z
    .string()
    .default('majority')
    .describe('strategy with which the others are compared, problem by problem'),
  seeds: z.int().min(1).default(1).describe('runs of every problem, each with seeds of its own'),
  seed: runOptions.shape.seed,
  concurrency: z
    .int()
    .min(0)
    .default(0)
    .describe('problems under way at the same time; 0 is 32 for each replica of the policy'),
  limit: z.int().min(0).default(0).describe('only the first n problems of a file; 0 is all'),
  problems: z
    .string()
    .default('')
    .describe(
      'files or folder of a benchmark set as its authors publish them, separated by commas',
    ),
  shard: z
    .string()
    .regex(/^([1-9]\d*)\/([1-9]\d*)$/, 'expected K/N, as 1/4')
    .refine((text) => Number(text.split('/')[0]) <= Number(text.split('/')[1]), 'K is at most N')
    .default('1/1')
    .describe('run every N-th problem from the K-th on; bench report joins the folders'),
  format: runOptions.shape.format,
  splitter: runOptions.shape.splitter,
  critic: z.string().default('').describe(CRITIC_HELP),
});

/** Problems of a benchmark that keep one server busy: each runs several strategies. */
export const BENCH_PROBLEMS_PER_REPLICA = 32;

const prmBenchOptions = z.strictObject({
  samples: z.int().min(1).default(8).describe('solutions sampled per problem'),
  threshold: z
    .number()
    .min(0)
    .max(1)
    .default(0.5)
    .describe('a step scored below it is taken for wrong (first-error detection)'),
  ...aggregationOptions.shape,
  concurrency: z.int().min(1).default(32).describe('problems under way at the same time'),
  ...benchOptions.pick({
    seed: true,
    limit: true,
    problems: true,
    shard: true,
    format: true,
    splitter: true,
  }).shape,
});

const labelBenchOptions = z.strictObject({
  method: z
    .string()
    .default(
      'step-rollouts:numRollouts=4,step-rollouts:numRollouts=8,step-rollouts:numRollouts=16,step-rollouts:numRollouts=16:adaptive=true',
    )
    .describe(
      'labellers, separated by commas, each perhaps with options of its own: step-rollouts:numRollouts=8, omegaprm',
    ),
  truthRollouts: z
    .int()
    .min(2)
    .default(512)
    .describe('rollouts of each state that its labels are held against'),
  repeats: z
    .int()
    .min(1)
    .default(1)
    .describe('labellings of each problem, of the same solutions with rollouts of their own'),
  maxStates: z
    .int()
    .min(0)
    .default(0)
    .describe('states of a problem and method that are measured at most; 0 is all'),
  baseline: z
    .string()
    .default('step-rollouts:numRollouts=16')
    .describe('method with which the others are compared, problem by problem'),
  ...benchOptions.pick({ seed: true, concurrency: true, limit: true, format: true, splitter: true })
    .shape,
});

export const figmathSetOptions = z.strictObject({
  figmathSplit: figmathOptions.shape.split,
  figmathCount: figmathOptions.shape.count.default(500),
  figmathSeed: figmathOptions.shape.seed,
});

type Area = readonly [string, z.ZodObject];

/** Areas that all benchmarks share. */
const SHARED_AREAS: readonly Area[] = [
  ['Benchmark', problemOptions],
  ['Set figmath', figmathSetOptions],
  ['Policy', policyOptions.omit({ record: true })],
  ['Sampling', samplingOptions],
  ['Budget per problem and strategy', budgetOptions],
  ['Answer checking', verifyOptions],
  ['Extraction by a model', extractorOptions],
  ['Judge of answers', judgeOptions],
  ...POLICY_HOST_AREAS,
];

const sharedShape = {
  ...problemOptions.shape,
  ...figmathSetOptions.shape,
  ...policyOptions.omit({ record: true }).shape,
  ...samplingOptions.shape,
  ...budgetOptions.shape,
  ...verifyOptions.shape,
  ...extractorOptions.shape,
  ...judgeOptions.shape,
  ...policyHostShape,
};

const plainOptions = z.strictObject({ ...benchOptions.shape, ...sharedShape });

/** Every option of `steptree bench run` in one strict schema. */
const benchRunOptions = z.strictObject({
  ...plainOptions.shape,
  ...scorerShape,
  ...simulatedShape,
});

/** The options of reward models and of the simulated policy are there too. */
export type AllBenchOptions = z.infer<typeof plainOptions> & ModelRequest['all'];

export function addBenchFlags(command: Command): void {
  addAreas(command, benchOptions, [...SHARED_AREAS, ...SCORER_AREAS]);
}

export function addPrmBenchFlags(command: Command): void {
  addAreas(command, prmBenchOptions, [...SHARED_AREAS, ...SCORER_AREAS]);
}

export function addLabelBenchFlags(command: Command): void {
  addAreas(command, labelBenchOptions, SHARED_AREAS);
}

function addAreas(command: Command, own: z.ZodObject, areas: readonly Area[]): void {
  const seen = new Set<string>();
  addFlags(command, own, 'Benchmark', seen);
  for (const [heading, schema] of areas) addFlags(command, schema, heading, seen);
}

/** Command line over --config file over defaults.
 *  @throws SteptreeError OPTION_… */
export function parseBenchOptions(given: Readonly<Record<string, unknown>>) {
  const file = typeof given.config === 'string' ? readConfigFile(given.config) : {};
  const all = parseOptions(benchRunOptions, given, file) as unknown as AllBenchOptions;
  const ns = [...new Set(commaList(all.n).map(Number))].sort((a, b) => a - b);
  return { all, strategies: commaList(all.strategy), ns };
}

/** Every option of `steptree bench prm` in one strict schema. */
const allPrmBenchOptions = z.strictObject({
  ...prmBenchOptions.shape,
  ...sharedShape,
  ...scorerShape,
  ...simulatedShape,
});

export type AllPrmBenchOptions = AllBenchOptions & z.infer<typeof prmBenchOptions>;

/** @throws SteptreeError OPTION_… */
export function parsePrmBenchOptions(given: Readonly<Record<string, unknown>>): AllPrmBenchOptions {
  const file = typeof given.config === 'string' ? readConfigFile(given.config) : {};
  const all = parseOptions(allPrmBenchOptions, given, file);
  // Only the reward model is asked to judge here.
  return { ...all, critic: '' } as unknown as AllPrmBenchOptions;
}

/** Every option of `steptree bench labels` in one strict schema. */
const allLabelBenchOptions = z.strictObject({
  ...labelBenchOptions.shape,
  ...sharedShape,
  ...simulatedShape,
});

export type AllLabelBenchOptions = AllBenchOptions & z.infer<typeof labelBenchOptions>;

/** @throws SteptreeError OPTION_… */
export function parseLabelBenchOptions(given: Readonly<Record<string, unknown>>) {
  const file = typeof given.config === 'string' ? readConfigFile(given.config) : {};
  const all = parseOptions(allLabelBenchOptions, given, file);
  return {
    all: { ...all, critic: '' } as unknown as AllLabelBenchOptions,
    methods: commaList(String(all.method)),
  };
}
