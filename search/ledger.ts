import { affordable, type Budget, emptyUsage, spentLimit } from './budget.js';
import type { Usage } from './types.js';

/** What one problem's search has spent, against its budget. */
export class Ledger {
  readonly usage: Usage = emptyUsage();
  private readonly startedMs: number;
  /** Time that an interrupted run had already spent on this problem. */
  private earlierMs = 0;

  /** @param now milliseconds from any fixed point */
  constructor(
    private readonly budget: Budget,
    private readonly now: () => number,
  ) {
    this.startedMs = now();
  }

  elapsedMs(): number {
    return this.earlierMs + this.sinceStartMs();
  }

  /** Takes note of how long the problem had taken when a stored reply came in. */
  noteEarlier(elapsedMs: number): void {
    this.earlierMs = Math.max(this.earlierMs, elapsedMs - this.sinceStartMs());
  }

  /** Whether any limit is set. */
  get limited(): boolean {
    return Object.values(this.budget).some((limit) => limit > 0);
  }

  exhausted(): keyof Budget | null {
    return spentLimit(this.budget, this.usage, this.elapsedMs());
  }

  affordable(wanted: number): number {
    return affordable(this.budget, this.usage, this.elapsedMs(), wanted);
  }

  private sinceStartMs(): number {
    return this.now() - this.startedMs;
  }
}
