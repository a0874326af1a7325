import { z } from 'zod';

const count = z.int().min(1);
const share = z.number().min(0).max(1);

/** How a state's Monte Carlo value is estimated; shared by all labellers. */
export const estimateOptions = z.strictObject({
  numRollouts: count
    .default(16)
    .describe('rollouts sampled per state; the most that an adaptive state may take'),
  adaptive: z
    .boolean()
    .default(false)
    .describe('stop sampling a state once its label is sure enough (see --interval-width)'),
  adaptiveRule: z
    .enum(['width', 'gain'])
    .default('width')
    .describe(
      'an adaptive state stops when its interval is narrow (--interval-width), or when one more rollout would gain less than the last one of a state of value 1/2 with --num-rollouts: then rollouts go where they lower the error most',
    ),
  adaptiveStep: count.default(4).describe('rollouts per round of an adaptive state'),
  intervalWidth: share
    .default(0.35)
    .describe('an adaptive state stops when its 95 % credible interval is at most this wide'),
  labelThreshold: share
    .default(0)
    .describe(
      'a hard label is 1 above this value; an adaptive state stops when its label cannot cross it (hard labels only)',
    ),
  label: z
    .enum(['soft', 'hard', 'progress'])
    .default('soft')
    .describe(
      'what labels.jsonl holds: the Monte Carlo value, 0/1 by --label-threshold, or 0/1 by relative progress (GenPRM)',
    ),
});

/** OmegaPRM's options carry MM-PRM's names and defaults. */
export const omegaPrmOptions = z.strictObject({
  cPuct: z.number().min(0).default(0.125).describe('weight of exploration U in the priority Q + U'),
  alpha: z
    .number()
    .gt(0)
    .max(1)
    .default(0.5)
    .describe('Q = alpha^(1 - mcValue) * beta^(words / length-scale)'),
  beta: z.number().gt(0).max(1).default(0.9).describe('length penalty in Q, see --alpha'),
  lengthScale: z.number().gt(0).default(500).describe('words at which beta applies once'),
  maxSearchCount: z.int().min(0).default(20).describe('binary searches per problem at most'),
  rolloutBudget: z
    .int()
    .min(1)
    .default(200)
    .describe('rollouts per problem after which no new search starts'),
});

export const stepRolloutsOptions = z.strictObject({
  numSolutions: count.default(4).describe('solutions sampled per problem, each labelled by step'),
  maxSteps: z
    .int()
    .min(0)
    .default(0)
    .describe('merge runs of steps so that a solution has at most so many; 0 keeps all'),
  earlyStop: z
    .boolean()
    .default(false)
    .describe('after a step with value 0 give the later steps 0 without sampling'),
  shareRollouts: z
    .boolean()
    .default(false)
    .describe(
      'count a rollout, and a sampled solution, also for every later labelled prefix that it passes through; states are then estimated one depth after the other',
    ),
  priorStrength: z
    .number()
    .min(0)
    .default(0)
    .describe(
      "take a parent's value as a prior of its next step's, which weighs so many rollouts at 1/2 and more near 0 and 1; it goes into soft labels, intervals and --adaptive-rule gain; 0 is off, 1 is usual",
    ),
});

export const consensusOptions = z.strictObject({
  consensusRule: z
    .enum(['and', 'agree'])
    .default('and')
    .describe(
      'and: a step keeps its value only before the judged first error, else 0 (VL-PRM); agree: also drop solutions where judge and rollouts differ about the first error (Qwen)',
    ),
});

/** How a finished tree becomes training paths. */
export const pathOptions = z.strictObject({
  pathRule: z
    .enum(['all', 'mm-prm'])
    .default('all')
    .describe(
      'all: every path of the tree; mm-prm: as its traverse.py (no tree with root value 0 or 1, cut at the first 0, no short texts, no duplicates)',
    ),
  balance: z
    .boolean()
    .default(false)
    .describe('per tree keep at most as many positive paths as negative ones (seeded)'),
  minWords: z
    .int()
    .min(0)
    .default(10)
    .describe('mm-prm rule: texts of so many space-separated words or fewer are dropped'),
  labelUnit: z
    .enum(['segment', 'step'])
    .default('segment')
    .describe(
      'one label per segment, as the binary search leaves them, or one per step: a step inside a segment takes the value of the next known prefix of its path',
    ),
  progressThreshold: z
    .number()
    .min(0)
    .default(0.8)
    .describe('progress label is 1 if value / previous value reaches this (GenPRM, Table 3)'),
});

export type EstimateOptions = z.infer<typeof estimateOptions>;
export type OmegaPrmOptions = z.infer<typeof omegaPrmOptions> & EstimateOptions;
export type StepRolloutsOptions = z.infer<typeof stepRolloutsOptions> & EstimateOptions;
export type ConsensusOptions = z.infer<typeof consensusOptions> & StepRolloutsOptions;
export type PathOptions = z.infer<typeof pathOptions> &
  z.infer<typeof consensusOptions> &
  Pick<EstimateOptions, 'label' | 'labelThreshold'> &
  Partial<Pick<StepRolloutsOptions, 'priorStrength'>>;
