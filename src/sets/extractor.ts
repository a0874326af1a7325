/** A chat model that extracts final answers where rules find none, or always; off unless asked for. */
import type { JudgeContext } from '../verify/judge.js';
import { createChatServer } from '../verify/judge.js';
import type { JudgeOptions } from '../verify/options.js';
import { choicesOf, letterAt } from './fields.js';
import type { SetProblem } from './types.js';

export interface AnswerExtractor {
  readonly name: string;
  /** The extracted answer; null where the model says that there is none.
   *  @throws what the server's calls throw */
  extract(response: string, problem: SetProblem, signal?: AbortSignal): Promise<string | null>;
  close(): Promise<void>;
}

const instruction =
  'You read a solution and write down its final answer, nothing else. Never solve the problem and never ' +
  'correct the solution. For a multiple-choice problem write the letter of the choice that the solution ' +
  'settles on; for a number write the number without its unit. If the solution gives no final answer, ' +
  'write NONE.';

/** @throws SteptreeError POLICY_URL_INVALID, POLICY_API_KEY_MISSING */
export function createExtractor(
  url: string,
  options: JudgeOptions,
  context: JudgeContext = {},
): AnswerExtractor {
  const server = createChatServer(url, options, context);
  return {
    name: server.name.replace(/^judge/, 'extractor'),
    extract: async (response, problem, signal) => {
      const messages = [
        { role: 'system', content: instruction },
        { role: 'user', content: question(response, problem) },
      ];
      const reply = await server.chat({ messages, maxTokens: 256, affinity: problem.id }, signal);
      const answer = (reply.split('</think>').at(-1) ?? '').trim();
      return answer === '' || /^none\b/i.test(answer) ? null : answer;
    },
    close: () => server.close(),
  };
}

function question(response: string, problem: SetProblem): string {
  const choices = choicesOf(problem).map((one, index) => `(${letterAt(index)}) ${one}`);
  return [
    `Problem:\n${problem.question}`,
    ...(choices.length > 0 ? [`Choices:\n${choices.join('\n')}`] : []),
    `Solution:\n${response.slice(-12_000)}`,
    'Final answer:',
  ].join('\n\n');
}
