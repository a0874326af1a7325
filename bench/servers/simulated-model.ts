import type { Problem, Rollout, SamplingOptions, Step } from '../../search/types.js';
import { type SimulatedOptions, simulateRollouts } from '../../src/policy/simulated.js';
import { createSplitter } from '../../src/policy/splitter.js';
import { TokenHasher } from './prefix-cache.js';

/** How the server treats a last message of the assistant: `flags` continues it when asked to
 *  (vLLM, SGLang), `always` unasked (llama.cpp), `never` starts a new message (hosted APIs). */
export type ServerContinuation = 'flags' | 'always' | 'never';

export interface ModelChoice {
  readonly text: string;
  readonly tokens: number;
  readonly finishReason: 'stop' | 'length';
  readonly stopReason: string | null;
}

export interface ModelReply {
  readonly choices: readonly ModelChoice[];
  /** Hashed block by block, for a prefix cache. */
  readonly prompt: TokenHasher;
  /** The problem that was recognised, or null for the counting question. */
  readonly problemId: string | null;
}

/** The model behind the simulated server: reads a request as any server would get it. It finds
 *  the problem by its question and the prefix by its text; nothing else is passed to it. */
export interface SimulatedModel {
  /** Null for a question that it doesn't know. */
  reply(body: Record<string, unknown>): ModelReply | null;
}

/** What a vision-language model of today makes of a picture of 900 x 900. */
const PICTURE_TOKENS = 1_024;

const splitter = createSplitter('blank-line');

export function createSimulatedModel(
  problems: readonly Problem[],
  policy: SimulatedOptions,
  continuation: ServerContinuation,
): SimulatedModel {
  const byQuestion = new Map(problems.map((problem) => [problem.question, problem]));
  const find = (text: string) =>
    byQuestion.get(text) ?? problems.find((problem) => text.includes(problem.question));
  return {
    reply(body) {
      const { userText, assistantText } = readPrompt(body, continuation);
      const prompt = hashPrompt(body, userText, assistantText);
      if (/count from 1/i.test(userText)) return countingReply(assistantText, prompt);
      const problem = find(userText);
      if (problem === undefined) return null;
      const given =
        assistantText === ''
          ? stepsAfterQuestion(userText, problem)
          : splitter.split(assistantText);
      const untilStep = Array.isArray(body.stop) && body.stop.includes('\n\n');
      const rollouts = simulateRollouts(
        {
          problem,
          prefix: given,
          until: untilStep ? 'step' : 'end',
          seeds: Array.from({ length: numberOr(body.n, 1) }, (_, i) => numberOr(body.seed, 0) + i),
          sampling: samplingOf(body),
        },
        policy,
      );
      const keepStop = body.include_stop_str_in_output === true;
      return {
        choices: rollouts.map((rollout) => toChoice(rollout, keepStop)),
        prompt,
        problemId: problem.id,
      };
    },
  };
}

interface PromptText {
  readonly userText: string;
  /** The assistant's text to be continued; empty for a new message. */
  readonly assistantText: string;
}

function readPrompt(body: Record<string, unknown>, continuation: ServerContinuation): PromptText {
  if (typeof body.prompt === 'string') {
    const [userText = '', assistantText = ''] = body.prompt.split('\n\nSolution:\n\n');
    return { userText, assistantText };
  }
  const messages = Array.isArray(body.messages) ? body.messages : [];
  const user = messages.filter((message) => message?.role === 'user').map(messageText);
  const last = messages.at(-1);
  const continues =
    last?.role === 'assistant' &&
    (continuation === 'always' ||
      (continuation === 'flags' && body.continue_final_message === true));
  return { userText: user.join('\n'), assistantText: continues ? messageText(last) : '' };
}

function messageText(message: { content?: unknown }): string {
  if (typeof message.content === 'string') return message.content;
  if (!Array.isArray(message.content)) return '';
  return message.content.map((part) => (part?.type === 'text' ? String(part.text) : '')).join('');
}

/** Steps of ours that the user's text gives back, wherever the wording puts them. */
function stepsAfterQuestion(userText: string, problem: Problem): Step[] {
  const rest = userText.slice(userText.indexOf(problem.question) + problem.question.length);
  return splitter.split(rest).filter((step) => /^\(\d+\) .* = \d+|^Answer: /.test(step));
}

function toChoice(rollout: Rollout, keepStop: boolean): ModelChoice {
  const stopped = rollout.finish === 'step';
  return {
    text: rollout.steps.join('\n\n') + (stopped && keepStop ? '\n\n' : ''),
    tokens: rollout.policyTokens,
    finishReason: rollout.finish === 'length' ? 'length' : 'stop',
    stopReason: stopped ? '\n\n' : null,
  };
}

function countingReply(assistantText: string, prompt: TokenHasher): ModelReply {
  const text = assistantText === '' ? '1, 2, 3, 4, 5, 6' : ' 4, 5, 6, 7';
  const choice: ModelChoice = { text, tokens: 8, finishReason: 'length', stopReason: null };
  return { choices: [choice], prompt, problemId: null };
}

function samplingOf(body: Record<string, unknown>): SamplingOptions {
  return {
    temperature: numberOr(body.temperature, 1),
    topK: numberOr(body.top_k, -1),
    topP: numberOr(body.top_p, 1),
    minP: numberOr(body.min_p, 0),
    repetitionPenalty: numberOr(body.repetition_penalty, 1),
    maxTokens: numberOr(body.max_tokens, 16),
  };
}

function numberOr(value: unknown, otherwise: number): number {
  return typeof value === 'number' ? value : otherwise;
}

/** Pictures first, as `prompt.ts` sends them, then the words of the user and of the assistant. */
function hashPrompt(
  body: Record<string, unknown>,
  userText: string,
  assistantText: string,
): TokenHasher {
  const prompt = new TokenHasher();
  for (const message of Array.isArray(body.messages) ? body.messages : []) {
    for (const part of Array.isArray(message?.content) ? message.content : []) {
      if (part?.type === 'image_url') prompt.addPicture(part.image_url?.url ?? '', PICTURE_TOKENS);
    }
  }
  prompt.addText(userText);
  prompt.addText(assistantText);
  return prompt;
}
