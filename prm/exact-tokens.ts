/** Asking a server for the chances of certain tokens, however unlikely they are. */
import { SteptreeError } from '../search/errors.js';
import type { Vocabulary } from './vocabulary.js';

/** vLLM's `logprob_token_ids`. A reward model that was trained on the difference of two tokens alone
 *  (MM-PRM, arXiv 2505.13427) may well hold ten others for likelier, and servers return twenty at most. */
export class ExactTokens {
  private ids: readonly number[] | null = null;
  private hopeless = false;

  constructor(
    private readonly vocabulary: Vocabulary,
    private readonly texts: readonly string[],
  ) {}

  /** Fields of a chat request; none before `learn`. */
  get fields(): Readonly<Record<string, unknown>> {
    return this.ids === null ? {} : { logprob_token_ids: this.ids };
  }

  /** Finds the ids out.
   *  @returns whether asking again is worth it: the fields are there now */
  async learn(signal: AbortSignal): Promise<boolean> {
    if (this.hopeless) return false;
    try {
      this.ids = await Promise.all(this.texts.map((text) => this.vocabulary.tokenOf(text)));
      return true;
    } catch (error) {
      signal.throwIfAborted();
      // A server that is in trouble may know them later; one that has no such route never will.
      this.hopeless = error instanceof SteptreeError && error.code !== 'POLICY_CALL_FAILED';
      return false;
    }
  }

  /** The server gives what it gave before. */
  giveUp(): void {
    this.hopeless = true;
    this.ids = null;
  }
}
