import { setImmediate as turn } from 'node:timers/promises';

/** Something that goes on in virtual time. */
export interface TimedSource {
  /** When something happens there next; null if nothing does. */
  nextEventMs(): number | null;
  advance(untilMs: number): void;
}

// Turns of the event loop after which a client that only awaits promises has come to rest.
const QUIET_TURNS = 3;

/** A clock that stands still while the client works and jumps when all that is left is waiting. So
 *  results depend on the order of the calls alone, not on the machine or its load. */
export class VirtualClock {
  nowMs = 0;
  private activity = 0;
  /** Replies that are on their way back, in order of time: the latency is the same for all. */
  private readonly returning: { readonly atMs: number; readonly deliver: () => void }[] = [];
  private head = 0;

  /** @param latencyMs between the end of a call and the client's reaction to it: what HTTP, the
   *  store and the answer check take */
  constructor(
    private readonly sources: readonly TimedSource[],
    private readonly latencyMs: number,
  ) {}

  /** The client did something: it has not come to rest. */
  noteActivity(): void {
    this.activity++;
  }

  /** Calls `deliver` one latency from now. */
  deliverLater(deliver: () => void): void {
    this.returning.push({ atMs: this.nowMs + this.latencyMs, deliver });
  }

  /** Moves the clock from event to event until `work` is done. */
  async drive<T>(work: Promise<T>): Promise<T> {
    let done = false;
    const outcome = work.finally(() => {
      done = true;
    });
    // A failure is thrown by the return below; it must not count as unhandled before that.
    outcome.catch(() => {});
    while (!done) {
      await this.settle();
      if (!done && !this.step()) {
        throw new Error('the work waits for something else than the server');
      }
    }
    return outcome;
  }

  /** @returns false when nothing can happen any more */
  private step(): boolean {
    const events = this.sources.map((source) => source.nextEventMs() ?? Infinity);
    const next = Math.min(...events, this.returning[this.head]?.atMs ?? Infinity);
    if (next === Infinity) return false;
    this.nowMs = Math.max(this.nowMs, next);
    for (const source of this.sources) source.advance(this.nowMs);
    for (let first = this.returning[this.head]; first; first = this.returning[this.head]) {
      if (first.atMs > this.nowMs) break;
      this.head++;
      first.deliver();
    }
    if (this.head > 1024) {
      this.returning.splice(0, this.head);
      this.head = 0;
    }
    return true;
  }

  private async settle(): Promise<void> {
    for (let quiet = 0; quiet < QUIET_TURNS; quiet++) {
      const before = this.activity;
      await turn();
      if (this.activity !== before) quiet = -1;
    }
  }
}
