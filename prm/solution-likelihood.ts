/** How likely a server finds a solution, out of its `prompt_logprobs`. */
import { SteptreeError } from '../search/errors.js';
import type { PromptPlace } from './chat.js';
import type { ServerCall } from './ports.js';
import { type ChatMessage, withoutPictures } from './prompt.js';
import type { Vocabulary } from './vocabulary.js';
import { LEAST_LOG_P } from './weighed-score.js';

/** A prompt as the server read it, its last message the assistant's: a solution with markers. */
export interface ReadPrompt {
  readonly messages: readonly ChatMessage[];
  readonly ids: readonly number[];
  /** Chances of each of these tokens given those before it. */
  readonly places: readonly PromptPlace[];
  /** The place behind each marker. */
  readonly answers: readonly number[];
}

/** Log-likelihood of the solution up to each marker in nats, prompt and markers left out. The token
 *  after a marker is predicted there, and counts.
 *  @throws SteptreeError SCORE_MODE_UNSUPPORTED if the prompt doesn't show where the solution begins,
 *  or lacks the chance of one of its tokens */
export async function solutionLikelihoods(
  prompt: ReadPrompt,
  vocabulary: Vocabulary,
  call: ServerCall,
): Promise<number[]> {
  const { ids, places, answers } = prompt;
  const start = await solutionStart(prompt, vocabulary, call);
  let sum = 0;
  return answers.map((answer, index) => {
    for (let place = answers[index - 1] ?? start; place < answer - 1; place++) {
      const logprob = places[place]?.[ids[place] ?? -1]?.logprob;
      if (logprob === undefined) {
        throw promptError(vocabulary, `no chance of the token at place ${place}`);
      }
      sum += Math.max(logprob, LEAST_LOG_P);
    }
    return sum;
  });
}

/** Where the assistant's text begins: behind the opening of its turn. A question may spell that out
 *  where the template has no control tokens, so what stands before the turn is looked through too. */
async function solutionStart(
  { messages, ids, answers }: ReadPrompt,
  vocabulary: Vocabulary,
  call: ServerCall,
): Promise<number> {
  const header = await vocabulary.assistantHeader();
  const openings = placesOf(header, ids.slice(0, answers[0]));
  if (openings.length > 1) {
    const question = messages.slice(0, -1).map(withoutPictures);
    const opened = await vocabulary.conversation(question, true, call);
    openings.splice(0, placesOf(header, opened).length - 1);
  }
  const [opening] = openings;
  if (opening === undefined) throw promptError(vocabulary, "no opening of the assistant's turn");
  return opening + header.length;
}

/** Where a pattern begins. */
export function placesOf(pattern: readonly number[], ids: readonly number[]): number[] {
  return ids.flatMap((_, index) =>
    pattern.every((id, offset) => ids[index + offset] === id) ? [index] : [],
  );
}

function promptError({ serverName }: Vocabulary, lacks: string): SteptreeError {
  return new SteptreeError(
    'SCORE_MODE_UNSUPPORTED',
    `the prompt of ${serverName} shows ${lacks}, which the likelihood of a solution is read from; use a vLLM with a plain chat template, or leave --prm-likelihood-weight out`,
    { server: serverName },
  );
}
