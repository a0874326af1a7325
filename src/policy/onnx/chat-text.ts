import { errorMessage, SteptreeError } from '../../../search/errors.js';
import type { Problem } from '../../../search/types.js';
import type { ModelFolder } from './folder.js';

/** Problems as text and token ids, by a folder's chat template and tokenizer. */
export class ChatText {
  /** Texts that the tokenizer would read as special tokens. */
  private readonly specials: readonly string[];

  constructor(private readonly folder: ModelFolder) {
    this.specials = [...folder.tokenizer.get_added_tokens_decoder().values()]
      .filter((token) => token.special)
      .map((token) => token.content);
  }

  /** Text without special tokens: one that is spelt out would end its own turn or ask for a
   *  picture. */
  withoutSpecials(text: string): string {
    return this.specials.reduce((rest, special) => rest.replaceAll(special, ''), text);
  }

  /** Everything up to the assistant's first word; the pictures stand before the question.
   *  @param systemPrompt empty for none
   *  @throws SteptreeError ONNX_CONFIG if the template fails */
  opening(problem: Problem, question: string, systemPrompt: string): string {
    const messages = [
      ...(systemPrompt === ''
        ? []
        : [{ role: 'system', content: [{ type: 'text', text: systemPrompt }] }]),
      {
        role: 'user',
        content: [
          ...problem.images.map(() => ({ type: 'image' })),
          { type: 'text', text: this.withoutSpecials(question) },
        ],
      },
    ];
    try {
      const text = this.folder.chatTemplate.render({ messages, add_generation_prompt: true });
      return wrapImages(text, this.folder);
    } catch (error) {
      throw new SteptreeError(
        'ONNX_CONFIG',
        `the chat template of ${this.folder.path} failed: ${errorMessage(error)}`,
        { path: this.folder.path },
        { cause: error },
      );
    }
  }

  /** Token ids of a text; each image token stands as often as its picture has feature rows.
   *  @throws SteptreeError ONNX_CONFIG if it doesn't show every picture */
  encode(text: string, imageRows: readonly number[], problemId: string): number[] {
    const { folder } = this;
    const ids: number[] = folder.tokenizer.encode(text, { add_special_tokens: false }).ids;
    const pictures = ids.filter((id) => id === folder.imageToken).length;
    if (pictures !== imageRows.length) {
      throw new SteptreeError(
        'ONNX_CONFIG',
        `the chat template of ${folder.path} shows ${pictures} pictures of the ${imageRows.length} of problem ${problemId}`,
        { path: folder.path, shown: pictures, images: imageRows.length },
      );
    }
    let image = 0;
    return ids.flatMap((id) => {
      if (id !== folder.imageToken) return [id];
      image += 1;
      return new Array<number>(imageRows[image - 1] ?? 0).fill(id);
    });
  }

  /** @param spare positions that must be free behind the tokens
   *  @throws SteptreeError ONNX_PROMPT_TOO_LONG if the model has too few positions */
  checkLength(
    tokens: number,
    { problemId, steps, spare }: { problemId: string; steps: number; spare: number },
  ): void {
    const limit = this.folder.shape.maxPositions;
    if (tokens + spare <= limit) return;
    throw new SteptreeError(
      'ONNX_PROMPT_TOO_LONG',
      `problem ${problemId} with ${steps} steps takes ${tokens} tokens, and the model has ${limit} positions; shorten the question${steps === 0 ? '' : ' or leave out long solutions'}`,
      { problemId, tokens, limit },
    );
  }
}

/** Idefics3 and SmolVLM frame the tokens of a whole picture, which their processors add to the
 *  text. */
function wrapImages(text: string, folder: ModelFolder): string {
  if (folder.modelType !== 'idefics3' && folder.modelType !== 'smolvlm') return text;
  const framed = `<fake_token_around_image><global-img>${folder.imageTokenText}<fake_token_around_image>`;
  return text.replaceAll(folder.imageTokenText, framed);
}
