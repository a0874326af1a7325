import { z } from 'zod';
import { strategyShape } from '../cli/strategy-flags.js';
import { samplingOptions } from '../config/options.js';

const NO_TOOLS = 'models behind a search are given no tools';

const textPart = z.strictObject({ type: z.literal('text'), text: z.string() });

const imagePart = z.strictObject({
  type: z.literal('image_url'),
  image_url: z.strictObject({
    url: z
      .string()
      .min(1)
      .describe('data: URL; http(s) and file: only where the service allows it'),
    detail: z
      .enum(['auto', 'high'], {
        error:
          'pictures are given as they are, which is auto and high; for less send a smaller picture',
      })
      .nullish()
      .describe('auto or high: pictures are given as they are'),
  }),
});

const message = z.strictObject({
  role: z.enum(['system', 'developer', 'user', 'assistant']),
  content: z.union([
    z.string(),
    z.array(z.discriminatedUnion('type', [textPart, imagePart])).min(1),
  ]),
  name: z.string().nullish(),
  // Clients give answers back with these; ours never hold any.
  refusal: z.null().optional(),
  audio: z.null().optional(),
  function_call: z.null().optional(),
  tool_calls: z.array(z.unknown()).max(0, NO_TOOLS).nullish(),
  annotations: z.array(z.unknown()).max(0).nullish(),
});

export type ChatMessage = z.infer<typeof message>;

export const budgetWish = z.strictObject({
  tokens: z.int().min(1).optional().describe('tokens that the policy may generate'),
  seconds: z.number().gt(0).optional().describe('seconds after which no new round begins'),
});

export const steptreeWish = z.strictObject({
  strategy: z.string().optional().describe('strategy; also by model name or path'),
  budget: budgetWish.optional(),
  trace: z.boolean().default(true).describe('keep the tree for GET /v1/traces/:id'),
  ...strategyShape,
});

const { temperature, topP } = samplingOptions.shape;

/** A field whose only honest value is its default.
 *  @param why said of any other one */
const only = <const V extends string | number | boolean>(value: V, why: string) =>
  z.literal(value, { error: why }).nullish();

const NO_PENALTY = 'not passed on to the policy; it can only be 0';

/** A request of OpenAI's clients. Strict: what isn't here is refused and never dropped in silence;
 *  fields whose only honest value is their default are taken with that value. */
export const chatRequest = z.strictObject({
  model: z.string().describe('steptree/NAME of a strategy, or steptree for the default one'),
  messages: z.array(message).min(1),
  n: z.int().min(1).nullish().describe('answers returned; the search width is steptree.n'),
  stream: z.boolean().nullish(),
  stream_options: z
    .strictObject({
      include_usage: z.boolean().optional(),
      include_obfuscation: only(false, 'chunks are not padded').optional(),
    })
    .nullish()
    .describe('include_usage: a last chunk with the usage'),
  max_tokens: z.int().min(1).nullish().describe('generated tokens of one answer, at most'),
  max_completion_tokens: z.int().min(1).nullish().describe('the newer name of max_tokens'),
  temperature: temperature.unwrap().nullish(),
  top_p: topP.unwrap().nullish(),
  seed: z
    .int()
    .nullish()
    .describe('the same seed gives the same answer where the policy can; default 0'),
  stop: z
    .union([z.string().min(1), z.array(z.string().min(1)).max(4)])
    .nullish()
    .describe('strings that end an answer; they are not part of it'),
  user: z.string().max(512).nullish().describe('noted in the trace'),
  frequency_penalty: only(0, NO_PENALTY),
  presence_penalty: only(0, NO_PENALTY),
  logit_bias: z
    .record(z.string(), z.number())
    .refine((biases) => Object.keys(biases).length === 0, 'not passed on to the policy')
    .nullish(),
  logprobs: only(false, 'a search has no log-probabilities of one answer'),
  top_logprobs: only(0, 'a search has no log-probabilities of one answer'),
  response_format: z
    .strictObject({ type: z.literal('text', { error: 'answers are texts: only text' }) })
    .nullish(),
  modalities: z.tuple([z.literal('text', { error: 'answers are texts: only text' })]).nullish(),
  tools: z.array(z.unknown()).max(0, NO_TOOLS).nullish(),
  tool_choice: only('none', NO_TOOLS),
  store: only(false, 'answers are not stored'),
  steptree: steptreeWish.optional(),
});

export type ChatRequest = z.infer<typeof chatRequest>;
export type SteptreeWish = z.infer<typeof steptreeWish>;

/** Names of the fields of the object at a path of the body, to find the nearest one. */
export function knownFields(path: readonly PropertyKey[]): readonly string[] {
  const [first, ...rest] = path;
  if (first === undefined) return Object.keys(chatRequest.shape);
  if (first !== 'steptree') return [];
  return Object.keys(rest[0] === 'budget' ? budgetWish.shape : steptreeWish.shape);
}
