import { z } from 'zod';
import { ROUTINGS } from './routing.js';

export const CONTINUATION_MODES = ['auto', 'prefill', 'restate', 'completions'] as const;

/** How a prefix is given to the server; `auto` finds out at start. */
export type ContinuationMode = (typeof CONTINUATION_MODES)[number];

/** How several servers of one model share its calls: of policies, reward models, critics and judges. */
export const replicaOptions = z.strictObject({
  routing: z
    .enum(ROUTINGS)
    .default('affinity')
    .describe(
      "which replica serves a call: its problem's own (prefix cache), or one by load or turn",
    ),
  loadFactor: z
    .number()
    .min(1)
    .default(1.1)
    .describe('a replica takes calls while it has less than this many times the mean in flight'),
  ejectAfter: z
    .int()
    .min(1)
    .default(3)
    .describe('failures in a row after which a replica is left out until it answers a probe'),
  probeIntervalMs: z
    .int()
    .min(0)
    .default(5_000)
    .describe('a replica silent for this long, ms, is asked whether it lives; 0 never'),
  outagePatienceMs: z
    .int()
    .min(0)
    .default(300_000)
    .describe('how long calls wait while all replicas are down, ms'),
});
export type ReplicaOptions = z.infer<typeof replicaOptions>;

/** Options of the `openai` policy host. */
export const openaiOptions = z.strictObject({
  model: z
    .string()
    .min(1)
    .optional()
    .describe('model name; default: the first that /v1/models lists'),
  apiKeyEnv: z
    .string()
    .min(1)
    .optional()
    .describe('name of the environment variable that holds the API key'),
  continuation: z
    .enum(CONTINUATION_MODES)
    .default('auto')
    .describe('how a prefix is continued; auto probes the server at start'),
  systemPrompt: z
    .string()
    .optional()
    .describe('system prompt; default: one that asks for steps as the splitter cuts them'),
  promptTemplate: z
    .string()
    .refine((text) => text.includes('{question}'), 'must contain {question}')
    .default('{question}{choices}')
    .describe('user prompt; {question} and {choices} are filled in'),
  stop: z.array(z.string().min(1)).default([]).describe('further strings that end a solution'),
  samplesPerRequest: z
    .int()
    .min(0)
    .default(0)
    .describe('rollouts asked for in one HTTP request; 0 asks for all of a call at once'),
  logprobs: z.boolean().default(false).describe('ask for log-probabilities of the tokens'),
  // A call's rollouts count until its last one has ended, and most have by then. With 64 trees
  // 320 in flight keep 256 slots 68 % busy, 512 92 % and 768 95 % (bench/speed/virtual-occupancy).
  maxInFlight: z
    .int()
    .min(1)
    .default(768)
    .describe('rollouts in flight on one replica; about three times its batch slots'),
  ...replicaOptions.shape,
  requestTimeoutMs: z
    .int()
    .min(1)
    .default(600_000)
    .describe('deadline of one HTTP request, ms, to the last byte of its reply'),
  connectTimeoutMs: z.int().min(1).default(10_000).describe('deadline of a new connection, ms'),
  maxRetries: z.int().min(0).default(8).describe('retries of a failed request'),
  retryBaseMs: z
    .number()
    .min(0)
    .default(250)
    .describe('bound of the first wait before a retry, ms; doubles each time'),
  retryCapMs: z.number().min(0).default(20_000).describe('bound of any wait before a retry, ms'),
  imageCacheMb: z
    .number()
    .min(0)
    .default(256)
    .describe('memory for encoded images, MB; the least recently used are dropped'),
});

export type OpenAiOptions = z.infer<typeof openaiOptions>;
