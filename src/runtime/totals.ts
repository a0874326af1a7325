import { addUsage, emptyUsage, subtractUsage } from '../../search/budget.js';
import type { Usage } from '../../search/types.js';
import type { ProblemRecord } from './run-store.js';

/** Sums over all settled problems of a run, its earlier sessions included. */
export class Totals {
  done = 0;
  failed = 0;
  labels = 0;
  /** Of the failed: bad input. */
  badInput = 0;
  readonly usage: Usage = emptyUsage();

  add(record: ProblemRecord): void {
    addUsage(this.usage, record.usage);
    if (record.status === 'failed') {
      this.failed++;
      if (record.failure.kind === 'input') this.badInput++;
      return;
    }
    this.done++;
    this.labels += record.labels;
  }

  /** Takes a failed problem back that is tried again. */
  retract(record: ProblemRecord): void {
    if (record.status !== 'failed') return;
    this.failed--;
    if (record.failure.kind === 'input') this.badInput--;
    subtractUsage(this.usage, record.usage);
  }
}
