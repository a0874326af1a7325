import { z } from 'zod';
import {
  estimateOptions,
  omegaPrmOptions,
  pathOptions,
  stepRolloutsOptions,
} from '../../search/labels/options.js';
import { benchOptions, figmathSetOptions } from '../cli/bench-options.js';
import { budgetOptions, runOptions, samplingOptions } from '../config/options.js';

/** Problems as `label` reads them, pictures as data: URLs only: a path would name a file of ours. */
const problem = z.strictObject({
  id: z.string().min(1).max(200),
  question: z.string().min(1),
  answer: z.union([z.string().min(1), z.number()]),
  image: z.string().optional(),
  images: z.array(z.string()).optional(),
  choices: z.array(z.string()).optional(),
  answerType: z.string().optional(),
  precision: z.int().min(0).max(20).optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
});

const problems = z.array(problem).min(1).max(100_000);

/** Models, keys, files and addresses are the service's own; the rest is as on the command line. */
const labelJobOptions = z
  .strictObject({
    ...runOptions.pick({ seed: true, limit: true, concurrency: true, strict: true }).shape,
    method: z.enum(['omegaprm', 'step-rollouts']).default('omegaprm'),
    ...samplingOptions.shape,
    ...estimateOptions.shape,
    ...omegaPrmOptions.shape,
    ...stepRolloutsOptions.shape,
    ...pathOptions.shape,
    ...budgetOptions.shape,
  })
  .partial();

const benchJobOptions = z
  .strictObject({
    ...benchOptions.pick({
      strategy: true,
      n: true,
      baseline: true,
      seeds: true,
      seed: true,
      concurrency: true,
      limit: true,
    }).shape,
    ...figmathSetOptions.shape,
    ...samplingOptions.shape,
    ...budgetOptions.shape,
  })
  .partial();

export const jobRequest = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('label'),
    problems,
    options: labelJobOptions.default({}),
  }),
  z.strictObject({
    kind: z.literal('bench'),
    set: z.literal('figmath').optional().describe('a set by name, or problems'),
    problems: problems.optional(),
    options: benchJobOptions.default({}),
  }),
]);

export type JobRequest = z.infer<typeof jobRequest>;
