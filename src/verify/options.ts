import { z } from 'zod';
import { prefixShape } from '../config/shapes.js';
import { type ReplicaOptions, replicaOptions } from '../policy/openai/options.js';

/** Limits of the processes that compare answers. */
export const verifyOptions = z.strictObject({
  checkWorkers: z.int().min(1).max(64).default(1).describe('processes that compare answers'),
  checkTimeoutMs: z
    .int()
    .min(10)
    .default(10_000)
    .describe('an answer whose check takes longer is ungraded, ms'),
  checkMemoryMb: z
    .int()
    .min(32)
    .default(256)
    .describe('an answer whose check needs more heap is ungraded, MB'),
  checkMaxChars: z
    .int()
    .min(1)
    .max(10_000)
    .default(10_000)
    .describe('longer answers are ungraded, in characters'),
});

/** How strictly answers are compared, where a line or problem doesn't say. */
export const ruleOptions = z.strictObject({
  precision: z
    .int()
    .min(0)
    .max(30)
    .optional()
    .describe('decimal places to which decimals must agree; default: one part in a million'),
  strict: z
    .boolean()
    .optional()
    .describe('tell sets from tuples and upper from lower case letters'),
  allowSetRelation: z
    .boolean()
    .default(false)
    .describe('let an inequality answer a gold set or interval'),
});

/** How replicas of the judge share its calls. */
const judgeReplicaShape = prefixShape('judge', replicaOptions.shape) as {
  readonly [Name in keyof ReplicaOptions as `judge${Capitalize<Name>}`]: (typeof replicaOptions.shape)[Name];
};

/** A chat server that judges answers or steps; its URLs are the run's `judge` option. */
export const judgeOptions = z.strictObject({
  judgeMode: z
    .enum(['off', 'fallback', 'always'])
    .default('off')
    .describe('let the judge grade answers: never, only those that rules cannot decide, or all'),
  judgeModel: z
    .string()
    .min(1)
    .optional()
    .describe('model name of the judge; default: the first that its /v1/models lists'),
  judgeApiKeyEnv: z
    .string()
    .min(1)
    .optional()
    .describe("name of the environment variable that holds the judge's API key"),
  judgeTimeoutMs: z.int().min(1).default(120_000).describe('deadline of one call of the judge, ms'),
  judgeMaxRetries: z.int().min(0).default(5).describe('retries of a failed call of the judge'),
  judgeMaxTokens: z
    .int()
    .min(1)
    .default(4_096)
    .describe('tokens that the judge may write about the steps of one solution'),
  judgeImages: z
    .boolean()
    .default(true)
    .describe('show the pictures to the judge of steps; off for judges that read text only'),
  ...judgeReplicaShape,
});

export type VerifyOptions = z.infer<typeof verifyOptions>;
export type JudgeOptions = z.infer<typeof judgeOptions>;
export type JudgeMode = JudgeOptions['judgeMode'];
