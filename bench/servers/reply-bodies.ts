/** What the simulated server's models answer, in the shapes that vLLM gives them. */
import type { ModelReply } from './simulated-model.js';
import type { ReadText } from './simulated-scorer.js';

/** @param chat whether `/chat/completions` was asked, else `/completions` */
export function completionBody(
  model: string,
  reply: ModelReply,
  chat: boolean,
  cachedTokens: number,
): Record<string, unknown> {
  return {
    object: chat ? 'chat.completion' : 'text_completion',
    model,
    choices: reply.choices.map((choice, index) => ({
      index,
      ...(chat ? { message: { role: 'assistant', content: choice.text } } : { text: choice.text }),
      finish_reason: choice.finishReason,
      stop_reason: choice.stopReason,
    })),
    usage: {
      prompt_tokens: reply.prompt.tokens,
      completion_tokens: reply.choices.reduce((sum, choice) => sum + choice.tokens, 0),
      prompt_tokens_details: { cached_tokens: cachedTokens },
    },
  };
}

/** One token of a reward model that generates, with the chances of both. */
export function yesNoBody(model: string, text: ReadText): Record<string, unknown> {
  const [no, yes] = text.rows.at(-1) ?? [0.5, 0.5];
  const chances = [
    { token: 'Yes', logprob: Math.log(yes) },
    { token: 'No', logprob: Math.log(no) },
  ];
  return {
    object: 'chat.completion',
    model,
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: 'Yes' },
        logprobs: { content: [{ ...chances[0], top_logprobs: chances }] },
        finish_reason: 'length',
      },
    ],
    usage: {
      prompt_tokens: text.tokens,
      completion_tokens: 1,
      prompt_tokens_details: { cached_tokens: text.cachedTokens },
    },
  };
}

export function poolingBody(texts: readonly ReadText[]): Record<string, unknown> {
  return {
    data: texts.map(({ rows }) => ({ data: rows })),
    usage: { prompt_tokens: texts.reduce((sum, { tokens }) => sum + tokens, 0) },
  };
}
