/** A chat server as judge of answers, where rules can't decide or shouldn't. */
import { z } from 'zod';
import { SteptreeError } from '../../search/errors.js';
import type { Problem } from '../../search/types.js';
import { pickOptions } from '../config/shapes.js';
import { abortable } from '../policy/abortable.js';
import { createModelServer, type ModelServerContext } from '../policy/openai/index.js';
import { replicaOptions } from '../policy/openai/options.js';
import type { Comparison } from './equivalence.js';
import type { JudgeOptions } from './options.js';

export interface AnswerJudge {
  /** Never throws but for the signal: a failed call is `ungraded` with reason `judge-failed`, a reply
   *  that is neither yes nor no `ungraded` with `judge-unclear`. Equal questions are asked once. */
  judge(problem: Problem, predicted: string, signal?: AbortSignal): Promise<Comparison>;
  /** Ends calls in flight. Idempotent. */
  /** Counts of each replica of the judge. */
  replicas(): readonly object[];
  close(): Promise<void>;
}

/** What a judge takes from the world. */
export type JudgeContext = ModelServerContext;

export interface ChatServer {
  readonly name: string;
  /** The text of the reply to a conversation, at temperature 0. */
  chat(request: ChatRequest, signal?: AbortSignal): Promise<string>;
  /** Counts of each replica. */
  replicas(): readonly object[];
  close(): Promise<void>;
}

export interface ChatRequest {
  readonly messages: readonly unknown[];
  readonly maxTokens: number;
  readonly responseFormat?: unknown;
  /** Calls of one problem go to one replica while it is well. */
  readonly affinity: string;
}

const answerPrompt =
  'You compare a final answer with the reference answer of a problem. Say Yes if both mean the same ' +
  'thing, whatever the notation, unit or wording, and No if they do not. Do not solve the problem. ' +
  'Reply with one word: Yes or No.';
/** Room for a model that can't help saying more than one word. */
const answerMaxTokens = 32;
const maxRemembered = 20_000;

const chatReply = z.object({
  choices: z.array(z.object({ message: z.object({ content: z.string().nullish() }) })).min(1),
});

/** @param url of an OpenAI-compatible server
 *  @throws SteptreeError POLICY_URL_INVALID, POLICY_API_KEY_MISSING */
export function createAnswerJudge(
  url: string,
  options: JudgeOptions,
  context: JudgeContext = {},
): AnswerJudge {
  const server = createChatServer(url, options, context);
  const known = new Map<string, Promise<Comparison>>();
  const ask = async (problem: Problem, predicted: string): Promise<Comparison> => {
    try {
      const messages = answerMessages(problem, predicted);
      return verdictOf(
        await server.chat({ messages, maxTokens: answerMaxTokens, affinity: problem.id }),
      );
    } catch {
      return { verdict: 'ungraded', reason: 'judge-failed' };
    }
  };
  const remembered = (problem: Problem, predicted: string): Promise<Comparison> => {
    const key = JSON.stringify([problem.question, problem.answer, problem.choices, predicted]);
    const earlier = known.get(key);
    if (earlier) return earlier;
    const asked = ask(problem, predicted).then((comparison) => {
      // A failure is no knowledge; the next one to ask may have more luck.
      if (comparison.reason === 'judge-failed') known.delete(key);
      return comparison;
    });
    known.set(key, asked);
    if (known.size > maxRemembered) known.delete(known.keys().next().value ?? '');
    return asked;
  };
  return {
    judge: (problem, predicted, signal) => {
      const answer = remembered(problem, predicted);
      return signal ? abortable(answer, signal) : answer;
    },
    replicas: () => server.replicas(),
    close: () => server.close(),
  };
}

/** A chat server with retries, its model found on the first call where none is named.
 *  @param urls of replicas of one model, separated by commas */
export function createChatServer(
  urls: string,
  options: JudgeOptions,
  context: JudgeContext = {},
): ChatServer {
  const server = createModelServer(
    urls.split(',').map((url) => url.trim()),
    {
      model: options.judgeModel,
      apiKeyEnv: options.judgeApiKeyEnv,
      requestTimeoutMs: options.judgeTimeoutMs,
      maxRetries: options.judgeMaxRetries,
      retryBaseMs: 250,
      retryCapMs: 20_000,
      sharing: pickOptions(replicaOptions, options, 'judge'),
      flagPrefix: 'judge',
    },
    context,
  );
  return {
    name: `judge ${server.name}`,
    chat: async ({ messages, maxTokens, responseFormat, affinity }, signal) => {
      const body = {
        model: await server.model(signal),
        messages,
        temperature: 0,
        top_p: 1,
        seed: 0,
        max_tokens: maxTokens,
        ...(responseFormat === undefined ? {} : { response_format: responseFormat }),
      };
      const reply = chatReply.safeParse(
        await server.post('/chat/completions', body, { affinity, signal }),
      );
      if (reply.success) return reply.data.choices[0]?.message.content ?? '';
      throw new SteptreeError(
        'JUDGE_REPLY_INVALID',
        `${server.name} replied without choices[0].message.content; expected a chat completion. Check that the URL is an OpenAI-compatible chat server`,
        { url: server.name },
      );
    },
    replicas: () => server.replicas?.() ?? [],
    close: () => server.close(),
  };
}

function answerMessages(problem: Problem, predicted: string): unknown[] {
  const choices = (problem.choices ?? []).map(
    (choice, index) => `(${String.fromCharCode(65 + index)}) ${choice}`,
  );
  const content = [
    `Problem:\n${problem.question}`,
    ...(choices.length > 0 ? [`Choices:\n${choices.join('\n')}`] : []),
    `Reference answer:\n${problem.answer ?? ''}`,
    `Answer to compare:\n${predicted}`,
    'Do both mean the same thing? Reply Yes or No.',
  ].join('\n\n');
  return [
    { role: 'system', content: answerPrompt },
    { role: 'user', content },
  ];
}

/** The first yes or no after any thinking. */
function verdictOf(reply: string): Comparison {
  const said = reply.split('</think>').at(-1) ?? '';
  const word = /\b(yes|no)\b/i.exec(said)?.[1]?.toLowerCase();
  if (word === undefined) return { verdict: 'ungraded', reason: 'judge-unclear' };
  return { verdict: word === 'yes' ? 'equal' : 'different', reason: 'judge' };
}
