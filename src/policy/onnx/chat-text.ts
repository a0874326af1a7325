import { errorMessage, SteptreeError } from '../../../search/errors.js';
import type { Problem } from '../../../search/types.js';
import type { ModelFolder } from './folder.js';
import type { ImageLayout } from './image.js';
import { tileCount, tileText } from './tiles.js';

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
   *  @param images one for each of the problem's pictures
   *  @param systemPrompt empty for none
   *  @throws SteptreeError ONNX_CONFIG if the template fails */
  opening(
    problem: Problem,
    images: readonly ImageLayout[],
    question: string,
    systemPrompt: string,
  ): string {
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
      return wrapImages(text, this.folder, images);
    } catch (error) {
      throw new SteptreeError(
        'ONNX_CONFIG',
        `the chat template of ${this.folder.path} failed: ${errorMessage(error)}`,
        { path: this.folder.path },
        { cause: error },
      );
    }
  }

  /** Token ids of a text; each image token stands as often as its picture, or tile of one, has feature
   *  rows.
   *  @throws SteptreeError ONNX_CONFIG if it doesn't show every picture */
  encode(text: string, images: readonly ImageLayout[], problemId: string): number[] {
    const { folder } = this;
    const ids: number[] = folder.tokenizer.encode(text, { add_special_tokens: false }).ids;
    const rows = images.flatMap(({ rows: all, grid }) => {
      const tiles = tileCount(grid);
      return new Array<number>(tiles).fill(all / tiles);
    });
    const shown = ids.filter((id) => id === folder.imageToken).length;
    if (shown !== rows.length) {
      throw new SteptreeError(
        'ONNX_CONFIG',
        `the chat template of ${folder.path} shows ${shown} pictures of the ${rows.length} of problem ${problemId}${rows.length === images.length ? '' : ', tiles counted'}`,
        { path: folder.path, shown, images: rows.length },
      );
    }
    let image = 0;
    return ids.flatMap((id) => {
      if (id !== folder.imageToken) return [id];
      image += 1;
      return new Array<number>(rows[image - 1] ?? 0).fill(id);
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

/** Idefics3 and SmolVLM frame the tokens of a picture and of its tiles, which their processors add to
 *  the text. */
function wrapImages(text: string, folder: ModelFolder, images: readonly ImageLayout[]): string {
  if (folder.modelType !== 'idefics3' && folder.modelType !== 'smolvlm') return text;
  let image = 0;
  return text.replaceAll(folder.imageTokenText, () => {
    image += 1;
    return tileText(images[image - 1]?.grid ?? null, folder.imageTokenText);
  });
}
