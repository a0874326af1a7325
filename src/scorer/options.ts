import { z } from 'zod';
import {
  batchingOptions,
  criticOptions,
  hybridOptions,
  markerCriticOptions,
  outcomeOptions,
  pairwiseOptions,
  poolingOptions,
  promptOptions,
  rolloutsOptions,
  rulesOptions,
  tokenLogitsOptions,
} from '../../prm/index.js';
import { pickOptions, prefixShape } from '../config/shapes.js';
import { replicaOptions } from '../policy/openai/options.js';
import { onnxPrmOptions } from './onnx/options.js';

/** Kinds of reward models; `auto` reads a URL with `token-logits` and a folder with `onnx`. */
export const SCORER_KINDS = [
  'auto',
  'onnx',
  'token-logits',
  'pooling',
  'critic',
  'outcome',
  'pairwise',
  'rules',
  'hybrid',
  'rollouts',
] as const;
export type ScorerKind = Exclude<(typeof SCORER_KINDS)[number], 'auto'>;

/** Which reward model, and how its server is called. */
export const scorerOptions = z.strictObject({
  prm: z
    .string()
    .default('embedded')
    .describe(
      'reward model: embedded, a model folder with ONNX files, or URLs of servers of one model, separated by commas; not looked at by the kinds rules, hybrid and rollouts',
    ),
  prmKind: z
    .enum(SCORER_KINDS)
    .default('auto')
    .describe('how the reward model is read; auto: token-logits from a URL, onnx from a folder'),
});

/** A server of a judge, critic or reward model. */
export const modelServerOptions = z.strictObject({
  model: z
    .string()
    .min(1)
    .optional()
    .describe('model name; default: the first that its /v1/models lists'),
  apiKeyEnv: z
    .string()
    .min(1)
    .optional()
    .describe('name of the environment variable that holds its API key'),
  timeoutMs: z
    .int()
    .min(1)
    // Longer ones are over at once: timers count to 2^31 ms.
    .max(2 ** 31 - 1)
    .default(120_000)
    .describe('deadline of one HTTP request to it, ms'),
  maxRetries: z.int().min(0).default(8).describe('retries of a failed request to it'),
  ...replicaOptions.shape,
});

/** The areas of a scorer's options: heading in --help, prefix of the flags, schema. */
const AREAS = [
  ['Reward model', 'prm', modelServerOptions],
  ['Reward model', 'prm', promptOptions],
  ['Reward model', 'prm', batchingOptions],
  ['Reward model read by tokens (token-logits, onnx, outcome)', 'prm', tokenLogitsOptions],
  ['Reward model in a folder (embedded, --prm DIR)', 'prm', onnxPrmOptions],
  ['Reward model behind /pooling (--prm-kind pooling)', 'pooling', poolingOptions],
  ['Outcome reward model (--prm-kind outcome)', 'outcome', outcomeOptions],
  ['Critic (--critic, --prm-kind critic)', 'critic', criticOptions],
  ['Critic (--critic, --prm-kind critic)', 'critic', modelServerOptions],
  ['Critic in a folder (--critic embedded, --critic DIR)', 'critic', markerCriticOptions],
  ['Pairwise judge (--prm-kind pairwise)', 'pairwise', pairwiseOptions],
  ['Rules (--prm-kind rules)', 'rules', rulesOptions],
  ['Hybrid (--prm-kind hybrid)', 'hybrid', hybridOptions],
  ['Monte Carlo values (--prm-kind rollouts)', 'rollouts', rolloutsOptions],
] as const;

/** Headings and schemas for `addFlags`, in the order of --help. */
export const SCORER_AREAS: readonly (readonly [string, z.ZodObject])[] = [
  ['Reward model', scorerOptions],
  ...AREAS.map(
    ([heading, prefix, schema]) =>
      [heading, z.strictObject(prefixShape(prefix, schema.shape))] as const,
  ),
];

/** Fields of all areas, to be spread into a command's strict schema. */
export const scorerShape: z.ZodRawShape = Object.assign(
  {},
  ...SCORER_AREAS.map(([, schema]) => schema.shape),
);

/** A scorer's part of a command's options, each area by its own schema. */
export interface ScorerSettings extends z.infer<typeof scorerOptions> {
  readonly server: ModelServerOptions;
  /** Of a critic beside the reward model (`--critic`). */
  readonly criticServer: ModelServerOptions;
  readonly prompt: z.infer<typeof promptOptions>;
  readonly batching: z.infer<typeof batchingOptions>;
  readonly tokenLogits: z.infer<typeof tokenLogitsOptions>;
  readonly onnx: z.infer<typeof onnxPrmOptions>;
  readonly pooling: z.infer<typeof poolingOptions>;
  readonly outcome: z.infer<typeof outcomeOptions>;
  readonly critic: z.infer<typeof criticOptions>;
  readonly markerCritic: z.infer<typeof markerCriticOptions>;
  readonly pairwise: z.infer<typeof pairwiseOptions>;
  readonly rules: z.infer<typeof rulesOptions>;
  readonly hybrid: z.infer<typeof hybridOptions>;
  readonly rollouts: z.infer<typeof rolloutsOptions>;
}

export type ModelServerOptions = z.infer<typeof modelServerOptions>;

export function scorerSettings(all: Readonly<Record<string, unknown>>): ScorerSettings {
  return {
    ...pickOptions(scorerOptions, all),
    server: pickOptions(modelServerOptions, all, 'prm'),
    criticServer: pickOptions(modelServerOptions, all, 'critic'),
    prompt: pickOptions(promptOptions, all, 'prm'),
    batching: pickOptions(batchingOptions, all, 'prm'),
    tokenLogits: pickOptions(tokenLogitsOptions, all, 'prm'),
    onnx: pickOptions(onnxPrmOptions, all, 'prm'),
    pooling: pickOptions(poolingOptions, all, 'pooling'),
    outcome: pickOptions(outcomeOptions, all, 'outcome'),
    critic: pickOptions(criticOptions, all, 'critic'),
    markerCritic: pickOptions(markerCriticOptions, all, 'critic'),
    pairwise: pickOptions(pairwiseOptions, all, 'pairwise'),
    rules: pickOptions(rulesOptions, all, 'rules'),
    hybrid: pickOptions(hybridOptions, all, 'hybrid'),
    rollouts: pickOptions(rolloutsOptions, all, 'rollouts'),
  };
}
