import type { SamplingOptions } from '../../../search/types.js';

export type ServerKind = 'vllm' | 'sglang' | 'llamacpp' | 'other';

/** What one replica was found to understand. Starts hopeful, learns from refusals. */
export interface Dialect {
  server: ServerKind;
  /** Fields that the server refused as unknown; never sent to it again. */
  readonly dropped: Set<string>;
  /** The server wants `max_completion_tokens` in place of `max_tokens`. */
  completionTokens: boolean;
  /** The server answers with one choice, whatever `n` says. */
  singleChoice: boolean;
  /** The chat template trims the prefix's last separator and the model writes it again, so that
   *  a step's stop string fires before the step. */
  separatorLost: boolean;
}

/** What a request asks of the server, before its dialect. */
export interface GenerationWish {
  readonly model: string;
  readonly n: number;
  readonly seed: number;
  readonly sampling: SamplingOptions;
  readonly stop: readonly string[];
  readonly logprobs: boolean;
  /** The stop strings end a step; keep them in the text where the server can. */
  readonly untilStep: boolean;
  /** The last message is the assistant's and is to be continued. */
  readonly continueLast: boolean;
}

// Fields that OpenAI's own API does not have, or not on every server, and that can be left out.
const DROPPABLE_FIELDS = [
  'add_generation_prompt',
  'continue_final_message',
  'include_stop_str_in_output',
  'logprob_token_ids',
  'logprobs',
  'min_p',
  'min_tokens',
  'no_stop_trim',
  'repetition_penalty',
  'seed',
  'stop',
  'top_k',
] as const;

// Words by which servers say that they don't know a field, as against a value they don't like.
const UNKNOWN_FIELD =
  /unknown|unrecogni[sz]ed|unexpected|extra[ _](inputs?|fields?|forbidden)|not permitted|unsupported|not supported|additional propert|does not support/i;

export function createDialect(server: ServerKind = 'other'): Dialect {
  return {
    server,
    dropped: new Set(),
    completionTokens: false,
    singleChoice: false,
    separatorLost: false,
  };
}

/** Which server it is, by the `owned_by` that its model list carries. */
export function serverKind(ownedBy: unknown): ServerKind {
  const kinds: readonly ServerKind[] = ['vllm', 'sglang', 'llamacpp'];
  return kinds.find((kind) => kind === ownedBy) ?? 'other';
}

/** The request fields beside messages or prompt, flat. Every sampling field is always there:
 *  vLLM and SGLang fill absent ones from the model's generation_config.json, llama.cpp from
 *  defaults of its own. */
export function generationFields(wish: GenerationWish, dialect: Dialect): Record<string, unknown> {
  const { sampling } = wish;
  const fields: Record<string, unknown> = {
    model: wish.model,
    n: dialect.singleChoice ? 1 : wish.n,
    stream: false,
    temperature: sampling.temperature,
    top_p: sampling.topP,
    // Older vLLM and SGLang take -1 for "off" and refuse 0; llama.cpp takes both.
    top_k: sampling.topK === 0 ? -1 : sampling.topK,
    min_p: sampling.minP,
    repetition_penalty: sampling.repetitionPenalty,
    [dialect.completionTokens ? 'max_completion_tokens' : 'max_tokens']: sampling.maxTokens,
    seed: wish.seed,
    stop: wish.stop.length === 0 ? null : wish.stop,
  };
  // llama.cpp's own name for the same thing; it ignores the other one.
  if (dialect.server === 'llamacpp') fields.repeat_penalty = sampling.repetitionPenalty;
  if (wish.logprobs) fields.logprobs = true;
  if (wish.untilStep && dialect.server === 'vllm') fields.include_stop_str_in_output = true;
  if (wish.untilStep && dialect.server === 'sglang') fields.no_stop_trim = true;
  // vLLM and SGLang look for stop strings only after this many tokens.
  if (wish.untilStep && wish.continueLast && dialect.separatorLost) fields.min_tokens = 1;
  if (wish.continueLast) {
    fields.continue_final_message = true;
    fields.add_generation_prompt = false;
  }
  for (const name of dialect.dropped) delete fields[name];
  return fields;
}

/** Reads a refusal (HTTP 400 or 422). If it names fields of the request as unknown, they are
 *  dropped from now on.
 *  @returns the newly dropped or renamed fields; empty if the refusal is about something else */
export function learnFromRefusal(
  dialect: Dialect,
  fields: Readonly<Record<string, unknown>>,
  reply: string,
): string[] {
  if (!UNKNOWN_FIELD.test(reply)) return [];
  if ('max_tokens' in fields && /max_completion_tokens/.test(reply)) {
    dialect.completionTokens = true;
    return ['max_tokens'];
  }
  const named = DROPPABLE_FIELDS.filter((name) => name in fields && namesField(reply, name));
  for (const name of named) dialect.dropped.add(name);
  return named;
}

// "stop" is an ordinary word too: it counts only in quotes, as servers write field names.
function namesField(reply: string, name: string): boolean {
  const quoted = `["'\`]${name}["'\`]`;
  const bare = name.includes('_') ? `|\\b${name}\\b` : `|: ${name}\\b`;
  return new RegExp(quoted + bare).test(reply.replaceAll('\\"', '"'));
}
