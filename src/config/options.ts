import { z } from 'zod';
import { SPLITTER_NAMES } from '../policy/splitter.js';

/** Options that no single host or labeller owns. */

export const METHODS = ['omegaprm', 'step-rollouts', 'consensus'] as const;

export const samplingOptions = z.strictObject({
  temperature: z.number().min(0).max(10).default(1).describe('0 is greedy'),
  topK: z.int().min(0).default(0).describe('sample among the k likeliest tokens; 0 is off'),
  topP: z.number().gt(0).max(1).default(1).describe('nucleus share; 1 is off'),
  minP: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe('drop tokens under this share of the best; 0 is off'),
  repetitionPenalty: z.number().gt(0).max(10).default(1).describe('1 is off'),
  maxTokens: z.int().min(1).default(1024).describe('generated tokens per rollout at most'),
});

export const budgetOptions = z.strictObject({
  maxCalls: z.int().min(0).default(0).describe('policy calls per problem at most; 0 is no limit'),
  maxTotalRollouts: z.int().min(0).default(0).describe('rollouts per problem; 0 is no limit'),
  maxPolicyTokens: z
    .int()
    .min(0)
    .default(0)
    .describe('generated tokens per problem; 0 is no limit'),
  maxSeconds: z
    .number()
    .min(0)
    .default(0)
    .describe('wall time per problem; 0 is no limit; not reproducible by nature'),
});

/** Trees that keep the slots of one server busy. */
export const TREES_PER_REPLICA = 64;

/** What a `--concurrency` of 0 means.
 *  @param policy as `--policy` has it: URLs of replicas are separated by commas */
export function problemsAtOnce(concurrency: number, policy: string, perReplica: number): number {
  if (concurrency > 0) return concurrency;
  const replicas = /^https?:/.test(policy)
    ? new Set(policy.split(',').map((url) => url.trim()))
    : null;
  return perReplica * (replicas?.size ?? 1);
}

export const runOptions = z.strictObject({
  method: z.enum(METHODS).default('omegaprm').describe('how labels are made'),
  seed: z.int().min(0).default(0).describe('seed of the run; every sample derives its own from it'),
  concurrency: z
    .int()
    .min(0)
    .default(0)
    .describe('problems whose trees grow at the same time; 0 is 64 for each replica of the policy'),
  limit: z.int().min(0).default(0).describe('label only the first n problems; 0 is all'),
  format: z
    .enum(['auto', 'steptree', 'mm-prm', 'mathvista', 'math-vision', 'gsm8k'])
    .default('auto')
    .describe('format of the problem file'),
  strict: z.boolean().default(false).describe('stop at the first bad problem'),
  splitter: z
    .enum(SPLITTER_NAMES)
    .default('blank-line')
    .describe('how the policy separates its steps'),
  keepReplies: z
    .boolean()
    .default(false)
    .describe('keep all replies in the store after a problem is finished'),
  maxFailuresInARow: z
    .int()
    .min(1)
    .default(50)
    .describe('stop the run when so many problems fail one after the other: the server is gone'),
});

export const policyOptions = z.strictObject({
  policy: z
    .string()
    .default('embedded')
    .describe(
      'embedded, simulated, recorded:FILE, a model folder with ONNX files, or one or more URLs of OpenAI-compatible servers, separated by commas',
    ),
  record: z.string().default('').describe('write all replies to this file, for recorded:FILE'),
  judge: z
    .string()
    .default('')
    .describe('URL of a chat server that judges steps (consensus) or answers (--judge-mode)'),
});
