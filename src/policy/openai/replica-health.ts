import type { HttpFailure } from './http.js';

/** `well` takes its share, `out` gets nothing but probes, `returning` answered a probe and is given
 *  more and more until it has its share again. */
export type ReplicaState = 'well' | 'out' | 'returning';

export interface HealthOptions {
  /** Failures in a row after which a replica is out. */
  readonly ejectAfter: number;
}

export interface HealthClock {
  /** Milliseconds from any fixed point. */
  now(): number;
  /** Uniform in [0, 1): spreads the probes of processes that lost a replica together. */
  random(): number;
}

const FIRST_COOLDOWN_MS = 500;
const MAX_COOLDOWN_MS = 30_000;

/** What the calls and probes of one replica tell about it. Ejection, half-open trial and growing
 *  pauses as in a circuit breaker; the growing allowance of a returning one is slow start. */
export class ReplicaHealth {
  state: ReplicaState = 'well';
  /** Goes up with every ejection: what a call from before it says is no news. */
  epoch = 0;
  /** When the next probe of one that is out is due. */
  probeAtMs = 0;
  /** Rollouts that a returning replica may have in flight before another call is added. */
  allowance = Infinity;
  private failuresInARow = 0;
  /** Ejections and failed probes since it was last well. */
  private setbacks = 0;
  private readonly counts = { ejections: 0, returns: 0 };

  constructor(
    private readonly options: HealthOptions,
    private readonly clock: HealthClock,
  ) {}

  get ejections(): number {
    return this.counts.ejections;
  }

  get returns(): number {
    return this.counts.returns;
  }

  /** @param epoch that of the call's start
   *  @param share rollouts in flight that are its full share now */
  succeeded(epoch: number, rollouts: number, share: number): void {
    if (epoch !== this.epoch || this.state === 'out') return;
    this.failuresInARow = 0;
    if (this.state !== 'returning') return;
    // What was in flight has proved bearable; next time up to three times as much.
    this.allowance += 2 * rollouts;
    if (this.allowance < share) return;
    this.state = 'well';
    this.allowance = Infinity;
    this.setbacks = 0;
    this.counts.returns++;
  }

  /** @returns whether the replica is out because of this */
  failed(epoch: number, failure: HttpFailure): boolean {
    if (epoch !== this.epoch || this.state === 'out') return false;
    this.failuresInARow++;
    const { gone = false, retryAfterMs = 0 } = failure.facts;
    const enough = this.failuresInARow >= this.options.ejectAfter;
    if (!enough && !gone && retryAfterMs === 0 && this.state === 'well') return false;
    this.eject(retryAfterMs);
    return true;
  }

  /** @param atLeastMs what the server asked to be left alone */
  eject(atLeastMs = 0): void {
    this.state = 'out';
    this.epoch++;
    this.counts.ejections++;
    this.setBack(atLeastMs);
  }

  /** A probe of one that is out came back. */
  probed(answered: boolean): void {
    if (this.state !== 'out') return;
    if (!answered) {
      this.setBack(0);
      return;
    }
    this.state = 'returning';
    this.failuresInARow = 0;
    // Anything below one call: the first goes alone.
    this.allowance = 1;
  }

  private setBack(atLeastMs: number): void {
    const growing = FIRST_COOLDOWN_MS * 2 ** Math.min(this.setbacks++, 10);
    const spread = 0.75 + this.clock.random() / 2;
    const pause = Math.min(MAX_COOLDOWN_MS, Math.max(growing * spread, atLeastMs));
    this.probeAtMs = this.clock.now() + pause;
  }
}
