import { abortable } from '../policy/abortable.js';

/** One after the other, in the order of asking. */
export class Turns {
  private last: Promise<void> = Promise.resolve();

  /** Resolves when it is one's turn, with what ends the turn. @throws the signal's reason */
  async take(signal: AbortSignal): Promise<() => void> {
    const before = this.last;
    let end = () => {};
    const mine = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.last = before.then(() => mine);
    try {
      await abortable(before, signal);
      return end;
    } catch (error) {
      end();
      throw error;
    }
  }
}
