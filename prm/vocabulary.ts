/** Token ids, asked of vLLM's `/tokenize`. What every path needs is asked once and for all: such a call
 *  belongs to nobody, so none of those who wait for it ends it for the others. */
import { z } from 'zod';
import { SteptreeError } from '../search/errors.js';
import type { ModelServer, ServerCall } from './ports.js';
import type { ChatMessage } from './prompt.js';

const tokenized = z.object({ tokens: z.array(z.number()) });

/** One server's vocabulary and chat template. */
export class Vocabulary {
  private readonly known = new Map<string, Promise<readonly number[]>>();

  constructor(private readonly server: ModelServer) {}

  get serverName(): string {
    return this.server.name;
  }

  /** The one token that a text is.
   *  @throws SteptreeError SCORE_TOKEN_INVALID if it is several */
  async tokenOf(text: string): Promise<number> {
    const ids = await this.once(JSON.stringify(text), () =>
      this.tokenize({ prompt: text, add_special_tokens: false }, {}),
    );
    if (ids.length === 1 && ids[0] !== undefined) return ids[0];
    throw new SteptreeError(
      'SCORE_TOKEN_INVALID',
      `${JSON.stringify(text)} is ${ids.length} tokens for ${this.server.name}, and must be one to have a probability; choose other tokens or another marker, white space counts`,
      { server: this.server.name, text, tokens: [...ids] },
    );
  }

  /** The tokens that the chat template puts before an assistant's text.
   *  @throws SteptreeError SCORE_MODE_UNSUPPORTED if the template has no such opening */
  async assistantHeader(): Promise<readonly number[]> {
    return this.once('header', async () => {
      const messages: ChatMessage[] = [{ role: 'user', content: 'a' }];
      const closed = await this.conversation(messages, false, {});
      const opened = await this.conversation(messages, true, {});
      const header = opened.slice(closed.length);
      if (header.length > 0 && closed.every((id, index) => id === opened[index])) return header;
      throw new SteptreeError(
        'SCORE_MODE_UNSUPPORTED',
        `the chat template of ${this.server.name} does not open an assistant's turn with tokens of its own, so the answers can't be found in the prompt; use the per-step mode`,
        { server: this.server.name },
      );
    });
  }

  conversation(
    messages: readonly ChatMessage[],
    addGenerationPrompt: boolean,
    call: ServerCall,
  ): Promise<readonly number[]> {
    return this.tokenize({ messages, add_generation_prompt: addGenerationPrompt }, call);
  }

  /** @throws SteptreeError SCORE_MODE_UNSUPPORTED if the reply holds no tokens */
  async tokenize(fields: Record<string, unknown>, call: ServerCall): Promise<readonly number[]> {
    const { server } = this;
    const body = { model: await server.model(call.signal), ...fields };
    const reply = tokenized.safeParse(await server.post('../tokenize', body, call));
    if (reply.success) return reply.data.tokens;
    throw new SteptreeError(
      'SCORE_MODE_UNSUPPORTED',
      `${server.name} has no /tokenize as vLLM has, which is needed to find the steps in the prompt; use the per-step mode`,
      { server: server.name },
    );
  }

  private once(key: string, ask: () => Promise<readonly number[]>): Promise<readonly number[]> {
    const earlier = this.known.get(key);
    if (earlier) return earlier;
    const asked = ask().catch((error: unknown) => {
      this.known.delete(key);
      throw error;
    });
    this.known.set(key, asked);
    return asked;
  }
}
