import { errorMessage, SteptreeError } from '../../../search/errors.js';
import type { Problem, Rollout, Step } from '../../../search/types.js';
import { fillTemplate } from '../openai/prompt.js';
import { findStop, type StepSplitter } from '../splitter.js';
import type { ModelFolder } from './folder.js';
import type { GeneratedSequence } from './sequence.js';

export interface PromptSettings {
  readonly systemPrompt: string;
  readonly promptTemplate: string;
}

/** Turns problems into token ids and generated ids into steps, by a folder's chat template and
 *  tokenizer. */
export class PromptText {
  /** Texts that the tokenizer would read as special tokens. */
  private readonly specials: readonly string[];
  /** Per token id: 1 if its text may close a stop string, 2 if not; 0 is unknown yet. */
  private readonly closing: Uint8Array;
  private readonly closingCharacters: string;

  constructor(
    private readonly folder: ModelFolder,
    private readonly splitter: StepSplitter,
    private readonly settings: PromptSettings,
  ) {
    this.specials = [...folder.tokenizer.get_added_tokens_decoder().values()]
      .filter((token) => token.special)
      .map((token) => token.content);
    this.closing = new Uint8Array(folder.shape.vocab);
    this.closingCharacters = splitter.stop.map((stop) => stop.slice(-1)).join('');
  }

  /** Token ids of the prompt with the prefix as the start of the assistant's text; each image
   *  token stands as often as its picture has feature rows.
   *  @throws SteptreeError ONNX_CONFIG if the template fails or doesn't show every picture,
   *  ONNX_PROMPT_TOO_LONG if no position is left to generate at */
  encode(problem: Problem, prefix: readonly Step[], imageRows: readonly number[]): number[] {
    const { folder } = this;
    const started = this.withoutSpecials(this.splitter.join(prefix));
    const text = wrapImages(this.render(problem), folder) + started;
    const ids: number[] = folder.tokenizer.encode(text, { add_special_tokens: false }).ids;
    const shown = ids.filter((id) => id === folder.imageToken).length;
    if (shown !== imageRows.length) {
      throw new SteptreeError(
        'ONNX_CONFIG',
        `the chat template of ${folder.path} shows ${shown} pictures of the ${imageRows.length} of problem ${problem.id}`,
        { path: folder.path, shown, images: imageRows.length },
      );
    }
    let image = 0;
    const expanded = ids.flatMap((id) => {
      if (id !== folder.imageToken) return [id];
      image += 1;
      return new Array<number>(imageRows[image - 1] ?? 0).fill(id);
    });
    if (expanded.length >= folder.shape.maxPositions) {
      throw new SteptreeError(
        'ONNX_PROMPT_TOO_LONG',
        `problem ${problem.id} with ${prefix.length} steps takes ${expanded.length} tokens, and the model has ${folder.shape.maxPositions} positions; shorten the question`,
        { problemId: problem.id, tokens: expanded.length, limit: folder.shape.maxPositions },
      );
    }
    return expanded;
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

  private render(problem: Problem): string {
    const question = this.withoutSpecials(fillTemplate(this.settings.promptTemplate, problem));
    const messages = [
      ...(this.settings.systemPrompt === ''
        ? []
        : [{ role: 'system', content: [{ type: 'text', text: this.settings.systemPrompt }] }]),
      {
        role: 'user',
        content: [
          ...problem.images.map(() => ({ type: 'image' })),
          { type: 'text', text: question },
        ],
      },
    ];
    try {
      return this.folder.chatTemplate.render({ messages, add_generation_prompt: true });
    } catch (error) {
      throw new SteptreeError(
        'ONNX_CONFIG',
        `the chat template of ${this.folder.path} failed: ${errorMessage(error)}`,
        { path: this.folder.path },
        { cause: error },
      );
    }
  }

  // A question that spells out a special token would end its own turn or ask for a picture.
  private withoutSpecials(text: string): string {
    return this.specials.reduce((rest, special) => rest.replaceAll(special, ''), text);
  }
}

/** Idefics3 and SmolVLM frame the tokens of a whole picture, which their processors add to the
 *  text. */
function wrapImages(text: string, folder: ModelFolder): string {
  if (folder.modelType !== 'idefics3' && folder.modelType !== 'smolvlm') return text;
  const framed = `<fake_token_around_image><global-img>${folder.imageTokenText}<fake_token_around_image>`;
  return text.replaceAll(folder.imageTokenText, framed);
}
