import { SteptreeError } from '../../search/errors.js';

/** A request's place among those that are worked on. */
export interface Place {
  /** Milliseconds that it waited. */
  readonly waitedMs: number;
  /** Gives the place to the next one. Idempotent. */
  leave(): void;
}

interface Waiting {
  readonly arrivedMs: number;
  start(): void;
}

/** At most `maxConcurrent` requests are worked on, at most `maxQueue` wait, and further ones are
 *  refused. Places go round among clients, so that one with many requests does not stall others. */
export class Admission {
  private running = 0;
  private waiting = 0;
  /** Per client, in order of arrival; a Map keeps the round's order. */
  private readonly lines = new Map<string, Waiting[]>();
  /** Moving mean of how long a request holds its place. */
  private holdMs = 1000;
  private readonly idle: (() => void)[] = [];

  constructor(
    private readonly limits: { readonly maxConcurrent: number; readonly maxQueue: number },
    private readonly now: () => number,
  ) {}

  stats(): { readonly running: number; readonly waiting: number } {
    return { running: this.running, waiting: this.waiting };
  }

  /** Whether the next one would be refused, told before its body is read.
   *  @throws SteptreeError SERVE_BUSY */
  check(): void {
    if (this.running >= this.limits.maxConcurrent && this.waiting >= this.limits.maxQueue) {
      throw new SteptreeError(
        'SERVE_BUSY',
        `${this.running} requests are worked on and ${this.waiting} wait, which is the limit; try again in ${this.retryAfterSeconds()} s`,
        { retryAfterSeconds: this.retryAfterSeconds() },
      );
    }
  }

  /** @param client whose turn it takes
   *  @throws SteptreeError SERVE_BUSY; the signal's reason if it gave up waiting */
  async enter(client: string, signal: AbortSignal): Promise<Place> {
    signal.throwIfAborted();
    this.check();
    const arrivedMs = this.now();
    if (this.running < this.limits.maxConcurrent) this.running++;
    else await this.wait(client, arrivedMs, signal);
    const startedMs = this.now();
    let isHeld = true;
    return {
      waitedMs: startedMs - arrivedMs,
      leave: () => {
        if (!isHeld) return;
        isHeld = false;
        this.holdMs += (this.now() - startedMs - this.holdMs) / 16;
        this.next();
      },
    };
  }

  /** Resolves when nobody is worked on and nobody waits. */
  whenIdle(): Promise<void> {
    if (this.running === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.idle.push(resolve);
    });
  }

  private wait(client: string, arrivedMs: number, signal: AbortSignal): Promise<void> {
    const line = this.lines.get(client) ?? [];
    this.lines.set(client, line);
    this.waiting++;
    return new Promise((resolve, reject) => {
      const waiting = {
        arrivedMs,
        start: () => {
          signal.removeEventListener('abort', giveUp);
          resolve();
        },
      };
      const giveUp = () => {
        line.splice(line.indexOf(waiting), 1);
        if (line.length === 0 && this.lines.get(client) === line) this.lines.delete(client);
        this.waiting--;
        reject(signal.reason);
      };
      signal.addEventListener('abort', giveUp, { once: true });
      line.push(waiting);
    });
  }

  /** The place goes to the client whose turn it is, which then goes to the end of the round. */
  private next(): void {
    const first = this.lines.entries().next();
    if (first.done) {
      this.running--;
      if (this.running === 0) for (const resolve of this.idle.splice(0)) resolve();
      return;
    }
    const [client, line] = first.value;
    const chosen = line.shift();
    this.lines.delete(client);
    if (line.length > 0) this.lines.set(client, line);
    this.waiting--;
    chosen?.start();
  }

  private retryAfterSeconds(): number {
    const rounds = 1 + this.waiting / this.limits.maxConcurrent;
    return Math.min(60, Math.max(1, Math.ceil((rounds * this.holdMs) / 1000)));
  }
}
