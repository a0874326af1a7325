import type { ServerResponse } from 'node:http';

/** Replies of which the client has not taken everything yet, whatever they are. */
export class OpenReplies {
  private count = 0;
  private readonly waiting: (() => void)[] = [];

  add(raw: ServerResponse): void {
    this.count++;
    raw.once('close', () => {
      this.count--;
      if (this.count === 0) for (const resolve of this.waiting.splice(0)) resolve();
    });
  }

  /** Resolves once there is none. */
  whenNone(): Promise<void> {
    if (this.count === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.waiting.push(resolve);
    });
  }
}
