import { z } from 'zod';
import { SteptreeError } from '../../../search/errors.js';
import { generationFields, learnFromRefusal } from './dialect.js';
import { HttpFailure } from './http.js';
import type { ChatMessage } from './prompt.js';
import type { Replica } from './replicas.js';
import { parseReply } from './replies.js';
import { type RetryOptions, type Timing, withRetries } from './retry.js';

export interface ProbeResult {
  readonly continues: boolean;
  /** The server's reply or refusal, shortened, for the log. */
  readonly saw: string;
}

const PROBE_MESSAGES: readonly ChatMessage[] = [
  { role: 'user', content: 'Count from 1 to 9. Write only the numbers, separated by commas.' },
  { role: 'assistant', content: '1, 2, 3,' },
];

/** Asks the server to go on with "1, 2, 3," and looks whether it does so with 4, or at least shows
 *  the model a text that ends there. Hosted APIs start a new message instead, and some chat
 *  templates drop or close the assistant's text.
 *  @throws SteptreeError like `withRetries`; HTTP 400 and 422 are an answer, not an error */
export async function probeContinuation(
  replica: Replica,
  model: string,
  options: RetryOptions,
  timing: Timing,
  signal?: AbortSignal,
): Promise<ProbeResult> {
  const { endpoint, dialect } = replica;
  const attempt = async (): Promise<ProbeResult> => {
    for (;;) {
      const fields = generationFields(probeWish(model), dialect);
      try {
        const body = { ...fields, messages: PROBE_MESSAGES };
        const reply = parseReply(await endpoint.post('/chat/completions', body, signal));
        const text = reply.choices[0]?.text ?? '';
        const continues = /^\s*4\b/.test(text) || (await templateContinues(replica, model, signal));
        return { continues, saw: JSON.stringify(text.slice(0, 60)) };
      } catch (error) {
        if (!isRefusal(error)) throw error;
        if (learnFromRefusal(dialect, fields, error.facts.reply ?? '').length > 0) continue;
        return { continues: false, saw: error.message };
      }
    }
  };
  return withRetries(attempt, endpoint.url, options, timing, { signal });
}

const tokenized = z.object({ tokens: z.array(z.number()) });
const detokenized = z.object({ prompt: z.string() });

/** Whether the text that the server makes of the messages ends where the assistant's text does. vLLM
 *  alone can tell: so a model that can't count, being small or trained on something else, is not
 *  taken for a server that starts a new message. */
async function templateContinues(
  { endpoint, dialect }: Replica,
  model: string,
  signal?: AbortSignal,
): Promise<boolean> {
  if (dialect.server !== 'vllm' || dialect.dropped.has('continue_final_message')) return false;
  const flags = { continue_final_message: true, add_generation_prompt: false };
  try {
    const body = { model, messages: PROBE_MESSAGES, ...flags };
    const { tokens } = tokenized.parse(await endpoint.post('../tokenize', body, signal));
    const read = await endpoint.post('../detokenize', { model, tokens }, signal);
    return detokenized.parse(read).prompt.endsWith('1, 2, 3,');
  } catch {
    signal?.throwIfAborted();
    // Gateways pass on less than vLLM has: what the model wrote is all there is to go by.
    return false;
  }
}

/** True for a server that understood the request and doesn't want it. */
export function isRefusal(error: unknown): error is HttpFailure {
  return error instanceof HttpFailure && (error.facts.status === 400 || error.facts.status === 422);
}

/** `completions` sends raw text: a server has no place for a picture there.
 *  @throws SteptreeError POLICY_CONTINUATION_UNSUPPORTED */
export function refuseImages(imageCount: number, problemId: string): void {
  if (imageCount === 0) return;
  throw new SteptreeError(
    'POLICY_CONTINUATION_UNSUPPORTED',
    `problem ${problemId} has ${imageCount} image(s), and /completions takes none; use --continuation prefill or restate`,
    { problemId, images: imageCount },
  );
}

function probeWish(model: string) {
  return {
    model,
    n: 1,
    seed: 0,
    sampling: { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, maxTokens: 8 },
    stop: [],
    logprobs: false,
    untilStep: false,
    continueLast: true,
  };
}
