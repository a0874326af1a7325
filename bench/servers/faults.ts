/** Failures that a simulated server puts into its replies, drawn with a seed. */
import type { ServerResponse } from 'node:http';
import { createRandom } from '../../search/rng.js';
import { errorBody, sendJson } from './json-http.js';

/** Shares of the completion requests that fail, each in [0, 1], together at most 1. */
export interface Faults {
  /** HTTP 500. */
  readonly error500?: number;
  /** HTTP 429 with `Retry-After`. */
  readonly busy429?: number;
  /** The connection is reset before a reply. */
  readonly reset?: number;
  /** A reply that ends in the middle of its JSON. */
  readonly cutJson?: number;
  /** No reply, ever. */
  readonly hang?: number;
}

export type FaultKind = keyof Faults;

export const FAULT_KINDS: readonly FaultKind[] = [
  'error500',
  'busy429',
  'reset',
  'cutJson',
  'hang',
];

export interface FaultsOptions {
  readonly faults?: Faults;
  readonly faultSeed?: number;
  /** Told of every request that is left hanging. */
  readonly onHang?: () => void;
  /** Seconds that a 429 asks to wait. */
  readonly retryAfterSeconds?: number;
}

export class FaultDraw {
  private readonly draw: () => number;
  private faults: Faults;
  private counts: Record<string, number> = {};

  constructor(private readonly options: FaultsOptions) {
    this.faults = options.faults ?? {};
    this.draw = createRandom(`faults ${options.faultSeed ?? 0}`);
  }

  set(faults: Faults): void {
    this.faults = faults;
  }

  counted(): Record<string, number> {
    return { ...this.counts };
  }

  resetCounts(): void {
    this.counts = {};
  }

  /** What becomes of the next request; null: nothing bad. */
  next(): FaultKind | null {
    let chance = this.draw();
    for (const kind of FAULT_KINDS) {
      const share = this.faults[kind] ?? 0;
      if (chance < share) {
        this.counts[kind] = (this.counts[kind] ?? 0) + 1;
        return kind;
      }
      chance -= share;
    }
    return null;
  }

  /** Answers with a failure in the place of a reply. */
  fail(kind: FaultKind, response: ServerResponse): void {
    if (kind === 'error500') sendJson(response, 500, errorBody('the simulated model stumbled'));
    if (kind === 'reset') response.socket?.resetAndDestroy();
    if (kind === 'busy429') {
      response.setHeader('retry-after', String(this.options.retryAfterSeconds ?? 1));
      sendJson(response, 429, errorBody('the simulated server is busy'));
    }
    // A hanging request just stays open.
    if (kind === 'hang') this.options.onHang?.();
  }
}
