/** Options of the reward models, one schema for each area. On the command line each area has a
 *  prefix of its own (src/scorer/options.ts). */
import { z } from 'zod';
import { OUTCOME_ROUTES } from './outcome.js';
import { POOLING_TEMPLATES } from './pooling.js';
import { TEMPLATE_NAMES } from './templates.js';

/** What a chat server is shown. */
export const promptOptions = z.strictObject({
  systemPrompt: z
    .string()
    .optional()
    .describe(
      'system prompt of the reward model, best the one that it was trained with; default: ours',
    ),
  images: z
    .boolean()
    .default(true)
    .describe('show the pictures to the reward model; off for models that read text only'),
});

export const tokenLogitsOptions = z.strictObject({
  template: z
    .enum(TEMPLATE_NAMES)
    .default('plain')
    .describe('how problem and steps are put before the reward model'),
  mode: z
    .enum(['per-step', 'prompt-logprobs'])
    .default('per-step')
    .describe('one generated token a step, or one call a path (vLLM only)'),
  tokens: z
    .array(z.string().min(1))
    .refine((pair) => pair.length === 0 || pair.length === 2, 'must be two tokens')
    .default([])
    .describe("positive and negative token, white space counts; default: the template's"),
  marker: z
    .string()
    .refine((text) => text.length !== 1, 'must be longer than one character')
    .default('')
    .describe("special token at the end of a step; default: the template's"),
  topLogprobs: z
    .int()
    .min(2)
    .default(20)
    .describe('likeliest tokens asked for; a token that is not among them gets the lowest chance'),
  knownSteps: z
    .int()
    .min(0)
    .default(100_000)
    .describe('step scores remembered, so that a path asks only for its new steps (per-step)'),
  likelihoodWeight: z
    .number()
    .optional()
    .describe(
      "weight of the solution's log-likelihood by the same model in a score; default: the folder's, else 0 (off). From a server: --prm-mode prompt-logprobs, template plain",
    ),
  valueWeight: z
    .number()
    .optional()
    .describe("weight of the log-odds of the two tokens in a score; default: the folder's, else 1"),
  bias: z
    .number()
    .optional()
    .describe("what is added before the logistic function; default: the folder's, else 0"),
});

export const poolingOptions = z.strictObject({
  template: z
    .enum(POOLING_TEMPLATES)
    .default('qwen-prm')
    .describe('which published reward model the server runs'),
  rows: z
    .enum(['auto', 'steps', 'tokens'])
    .default('auto')
    .describe('whether the server returns a row per step or per token; auto: as the template does'),
  task: z
    .string()
    .default('token_classify')
    .describe('task field of the request; empty leaves it out, for servers that do not know it'),
});

export const outcomeOptions = z.strictObject({
  route: z
    .enum(OUTCOME_ROUTES)
    .default('token-logits')
    .describe('how the server gives one score for a whole solution'),
  activation: z
    .enum(['none', 'sigmoid'])
    .default('none')
    .describe('sigmoid for rewards on a scale of their own, so that scores lie in [0, 1]'),
  class: z.int().min(0).default(1).describe('index of the class "correct" (route classify)'),
  task: z
    .string()
    .default('')
    .describe('task field of the request (route pooling); empty leaves it out'),
  labelIds: z
    .array(z.coerce.number().int().min(0))
    .refine((ids) => ids.length === 0 || ids.length === 2, 'must be two token ids')
    .default([])
    .describe('ids of the positive and the negative token (route label-score)'),
  suffix: z
    .string()
    .default('\n\nIs this solution correct? ')
    .describe('text after the solution at whose end the labels are read (route label-score)'),
});

export const criticOptions = z.strictObject({
  maxTokens: z
    .int()
    .min(1)
    .default(4_096)
    .describe('tokens that the critic may write about one solution'),
  probability: z
    .enum(['auto', 'token', 'stated'])
    .default('auto')
    .describe(
      'take P(correct) from the verdict token, as the critic states it, or the first if there',
    ),
  topLogprobs: z.int().min(2).default(20).describe('likeliest tokens asked for at the verdicts'),
  knownCritiques: z
    .int()
    .min(0)
    .default(1_000)
    .describe('critiques remembered, so that a solution is not judged again to be scored'),
  systemPrompt: z.string().optional().describe('system prompt of the critic; default: ours'),
  images: z
    .boolean()
    .default(true)
    .describe('show the pictures to the critic; off for models that read text only'),
});

/** Of a critic in a model folder; it has no words, and so no prompt. */
export const markerCriticOptions = z.strictObject({
  wrongBelow: z
    .number()
    .min(0)
    .max(1)
    .default(0.5)
    .describe('a step scored below it may be the wrong one'),
  wrongShare: z
    .number()
    .min(0)
    .max(1)
    .default(0.5)
    .describe('and is the wrong one if its score is below this share of the score before it'),
  correctionTokens: z.int().min(1).default(64).describe('tokens of a corrected step, at most'),
});

export const pairwiseOptions = z.strictObject({
  maxPairs: z
    .int()
    .min(1)
    .default(64)
    .describe('pairs compared in one tournament; everyone meets everyone up to it'),
  seed: z
    .int()
    .min(0)
    .default(0)
    .describe('seed of the choice of pairs where not all are compared'),
  maxTokens: z
    .int()
    .min(1)
    .default(1)
    .describe('tokens that the judge may write before its verdict; 1 for a verdict alone'),
  topLogprobs: z.int().min(2).default(20).describe('likeliest tokens asked for at the verdict'),
  maxInFlight: z.int().min(1).default(64).describe('comparisons under way at once'),
  systemPrompt: z.string().optional().describe('system prompt of the judge; default: ours'),
  images: z
    .boolean()
    .default(true)
    .describe('show the pictures to the judge; off for models that read text only'),
});

export const rulesOptions = z.strictObject({
  format: z
    .number()
    .min(0)
    .default(1)
    .describe('weight of the form: an answer is stated and no step repeats'),
  length: z.number().min(0).default(0.5).describe('weight of staying within maxChars'),
  agreement: z
    .number()
    .min(0)
    .default(1)
    .describe('weight of the share of solutions with the same answer'),
  maxChars: z
    .int()
    .min(1)
    .default(4_000)
    .describe('characters from which on a solution counts as too long'),
});

export const hybridOptions = z.strictObject({
  parts: z
    .array(z.string().min(1))
    .default([])
    .describe(
      'reward models of a hybrid as weight:kind or weight:kind:where, such as 0.3:rules 0.7:pooling:http://localhost:8000/v1',
    ),
  aggregate: z
    .enum(['mean', 'min', 'last', 'product'])
    .default('mean')
    .describe('how step scores become one number beside parts that score whole solutions'),
});

export const rolloutsOptions = z.strictObject({
  count: z
    .int()
    .min(1)
    .default(16)
    .describe('rollouts per step whose share of right ones is the score'),
  seed: z.int().min(0).default(0).describe('seed of these rollouts'),
  knownStates: z
    .int()
    .min(0)
    .default(100_000)
    .describe('values remembered, so that a path asks only for its new steps'),
});

export const batchingOptions = z.strictObject({
  maxBatch: z
    .int()
    .min(1)
    .default(64)
    .describe('paths in one batch, for reward models that profit from batches'),
  maxWaitMs: z
    .number()
    .min(0)
    .default(2)
    .describe('time that a path waits for others to fill a batch, ms'),
  maxInFlight: z.int().min(1).default(256).describe('paths that are scored at once'),
  cachedPaths: z
    .int()
    .min(0)
    .default(10_000)
    .describe('paths whose scores are remembered by content; 0 remembers none'),
  deadlineMs: z
    .number()
    .min(1)
    .default(1_800_000)
    .describe('a request for scores that takes longer fails, ms'),
});

export type PromptOptions = z.infer<typeof promptOptions>;
export type TokenLogitsOptions = z.infer<typeof tokenLogitsOptions>;
export type PoolingOptions = z.infer<typeof poolingOptions>;
export type OutcomeOptions = z.infer<typeof outcomeOptions>;
export type CriticOptions = z.infer<typeof criticOptions>;
export type MarkerCriticOptions = z.infer<typeof markerCriticOptions>;
export type PairwiseOptions = z.infer<typeof pairwiseOptions>;
export type RulesOptions = z.infer<typeof rulesOptions>;
export type HybridOptions = z.infer<typeof hybridOptions>;
export type RolloutsOptions = z.infer<typeof rolloutsOptions>;
export type BatchingOptions = z.infer<typeof batchingOptions>;
