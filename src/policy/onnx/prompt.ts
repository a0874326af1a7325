import type { Problem, Rollout, Step } from '../../../search/types.js';
import { fillTemplate } from '../openai/prompt.js';
import { findStop, type StepSplitter } from '../splitter.js';
import { ChatText } from './chat-text.js';
import type { ModelFolder } from './folder.js';
import type { ImageLayout } from './image.js';
import type { GeneratedSequence } from './sequence.js';

export interface PromptSettings {
  readonly systemPrompt: string;
  readonly promptTemplate: string;
}

/** Turns problems into token ids and generated ids into steps, by a folder's chat template and
 *  tokenizer. */
export class PromptText {
  private readonly chat: ChatText;
  /** Per token id: 1 if its text may close a stop string, 2 if not; 0 is unknown yet. */
  private readonly closing: Uint8Array;
  private readonly closingCharacters: string;

  constructor(
    private readonly folder: ModelFolder,
    private readonly splitter: StepSplitter,
    private readonly settings: PromptSettings,
  ) {
    this.chat = new ChatText(folder);
    this.closing = new Uint8Array(folder.shape.vocab);
    this.closingCharacters = splitter.stop.map((stop) => stop.slice(-1)).join('');
  }

  /** Token ids of the prompt with the prefix as the start of the assistant's text; each image
   *  token stands as often as its picture has feature rows.
   *  @throws SteptreeError ONNX_CONFIG if the template fails or doesn't show every picture,
   *  ONNX_PROMPT_TOO_LONG if no position is left to generate at */
  encode(problem: Problem, prefix: readonly Step[], images: readonly ImageLayout[]): number[] {
    const question = fillTemplate(this.settings.promptTemplate, problem);
    const opening = this.chat.opening(problem, images, question, this.settings.systemPrompt);
    const started = this.chat.withoutSpecials(this.splitter.join(prefix));
    const ids = this.chat.encode(opening + started, images, problem.id);
    this.chat.checkLength(ids.length, { problemId: problem.id, steps: prefix.length, spare: 1 });
    return ids;
  }

  /** Whether the generated tokens hold a step and the separator after it. */
  endsStep(tokens: readonly number[]): boolean {
    const last = tokens[tokens.length - 1];
    if (last === undefined || !this.mayClose(last)) return false;
    return findStop(this.decode(tokens), this.splitter.stop) !== null;
  }

  /** The rollout of a generated sequence; at most one step if `until` is 'step'. */
  rollout(sequence: GeneratedSequence, until: 'step' | 'end'): Rollout {
    const { tokens, finish, logprob } = sequence;
    const text = this.decode(tokens);
    const stop = until === 'step' ? findStop(text, this.splitter.stop) : null;
    const steps = this.splitter.split(stop === null ? text : text.slice(0, stop.index));
    return {
      steps: until === 'step' ? steps.slice(0, 1) : steps,
      finish,
      policyTokens: tokens.length,
      meanLogprob: logprob / tokens.length,
    };
  }

  private decode(tokens: readonly number[]): string {
    return this.folder.tokenizer.decode([...tokens], {
      skip_special_tokens: true,
      clean_up_tokenization_spaces: false,
    });
  }

  // Decoding is linear in the text, so it is done only for tokens that can complete a separator.
  private mayClose(token: number): boolean {
    if (this.closing[token] === 0) {
      const text = this.decode([token]);
      const may = [...this.closingCharacters].some((character) => text.includes(character));
      this.closing[token] = may ? 1 : 2;
    }
    return this.closing[token] === 1;
  }
}
