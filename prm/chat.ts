/** One call of `/chat/completions`, and its reply with token probabilities. */
import { z } from 'zod';
import { SteptreeError } from '../search/errors.js';
import type { ModelServer, ServerCall } from './ports.js';
import type { ChatMessage } from './prompt.js';

/** A token with its natural log-probability. */
export interface TokenChance {
  readonly token: string;
  readonly logprob: number;
}

export interface WrittenToken extends TokenChance {
  /** The likeliest tokens at this place, the written one among them or beside them. */
  readonly top: readonly TokenChance[];
}

/** What vLLM says of one place of the prompt: log-probabilities by token id. */
export type PromptPlace = Readonly<Record<string, { readonly logprob: number }>> | null;

export interface ChatReply {
  readonly text: string;
  /** The tokens written; empty where the server gives no log-probabilities. */
  readonly tokens: readonly WrittenToken[];
  /** Tokens computed: prompt without its cached part, and reply. */
  readonly computedTokens: number;
  /** One per token of the prompt: the chances of that token given those before it. */
  readonly promptLogprobs?: readonly PromptPlace[];
  readonly promptTokenIds?: readonly number[];
}

export interface ChatRequest {
  readonly messages: readonly ChatMessage[];
  readonly maxTokens: number;
  /** Further fields of the body, such as `logprobs` or `response_format`. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** For -Infinity, which servers write as this or as null: the token can't come. */
const IMPOSSIBLE = -9999;

const chance = z.object({ token: z.string(), logprob: z.number().nullish() });
const writtenToken = chance.extend({ top_logprobs: z.array(chance).nullish() });
const choice = z.object({
  message: z.object({ content: z.string().nullish() }),
  logprobs: z.object({ content: z.array(writtenToken).nullish() }).nullish(),
});
const promptPlace = z
  .record(
    z.string(),
    z.object({ logprob: z.number().nullable() }).transform(({ logprob }) => ({
      logprob: logprob ?? IMPOSSIBLE,
    })),
  )
  .nullable();
const completion = z.object({
  choices: z.array(choice).min(1),
  prompt_logprobs: z.array(promptPlace).nullish(),
  prompt_token_ids: z.array(z.number()).nullish(),
  usage: z
    .object({
      prompt_tokens: z.number().nullish(),
      completion_tokens: z.number().nullish(),
      prompt_tokens_details: z.object({ cached_tokens: z.number().nullish() }).nullish(),
    })
    .nullish(),
});

/** Asks for one reply at temperature 0.
 *  @throws SteptreeError SCORE_REPLY_INVALID and what the server's `post` throws */
export async function chat(
  server: ModelServer,
  { messages, maxTokens, fields }: ChatRequest,
  call: ServerCall,
): Promise<ChatReply> {
  const body = {
    model: await server.model(call.signal),
    messages,
    stream: false,
    ...greedySampling,
    max_tokens: maxTokens,
    ...fields,
  };
  const reply = readChatReply(await server.post('/chat/completions', body, call));
  if (reply !== null) return reply;
  throw new SteptreeError(
    'SCORE_REPLY_INVALID',
    `${server.name} replied without choices[0].message; expected a chat completion. Check that the URL is an OpenAI-compatible chat server`,
    { server: server.name },
  );
}

// All of them, since servers fill absent ones from the model's generation_config.json, and a
// repetition penalty moves the probabilities that are read here.
const greedySampling = {
  temperature: 0,
  top_p: 1,
  top_k: -1,
  min_p: 0,
  repetition_penalty: 1,
  seed: 0,
};

/** The reply read, or null if it is no chat completion. */
export function readChatReply(value: unknown): ChatReply | null {
  const parsed = completion.safeParse(value);
  const first = parsed.data?.choices[0];
  if (!parsed.success || first === undefined) return null;
  const { usage, prompt_logprobs, prompt_token_ids } = parsed.data;
  const cached = usage?.prompt_tokens_details?.cached_tokens ?? 0;
  const prompt = Math.max(0, (usage?.prompt_tokens ?? 0) - cached);
  return {
    text: first.message.content ?? '',
    tokens: (first.logprobs?.content ?? []).map((token) => ({
      ...toChance(token),
      top: (token.top_logprobs ?? []).map(toChance),
    })),
    computedTokens: prompt + (usage?.completion_tokens ?? 0),
    ...(prompt_logprobs ? { promptLogprobs: prompt_logprobs } : {}),
    ...(prompt_token_ids ? { promptTokenIds: prompt_token_ids } : {}),
  };
}

function toChance({ token, logprob }: z.infer<typeof chance>): TokenChance {
  return { token, logprob: logprob ?? IMPOSSIBLE };
}

/** P(positive) among two tokens, and whether one of them was not in the list. */
export interface PairReading {
  readonly probability: number;
  /** l+ - l-, whose logistic function that is. */
  readonly logOdds: number;
  readonly missing: 'positive' | 'negative' | null;
}

/** P(+) / (P(+) + P(-)) = 1 / (1 + exp(l- - l+)). A server returns only its likeliest tokens: a
 *  token that it leaves out takes the lowest returned log-probability, an upper bound of its own
 *  (as GenPRM, arXiv 2504.00891, reads its judgements).
 *  @param lowest of all log-probabilities returned for this place
 *  @returns null if neither token is in the list: then nothing is known */
export function readPair(
  positive: number | undefined,
  negative: number | undefined,
  lowest: number,
): PairReading | null {
  if (positive === undefined && negative === undefined) return null;
  const logOdds = (positive ?? lowest) - (negative ?? lowest);
  return {
    probability: 1 / (1 + Math.exp(-logOdds)),
    logOdds,
    missing: positive === undefined ? 'positive' : negative === undefined ? 'negative' : null,
  };
}
