import type { Segment } from './batch-simulation.js';

/** How full a server was, over virtual time from its first to its last busy moment. */
export interface OccupancyStats {
  readonly virtualSeconds: number;
  /** Mean share of the slots that were busy, over the whole time. */
  readonly busyShare: number;
  /** The same until the work ran out: up to the last moment at which every slot was busy. */
  readonly busyShareUntilDrain: number;
  /** When that was, as a share of the whole time; 0 if the server was never full. */
  readonly drainStartsAt: number;
  /** Mean busy share in each twentieth of the time. */
  readonly series: readonly number[];
}

const SERIES_LENGTH = 20;

export function occupancyStats(all: readonly Segment[], slots: number): OccupancyStats {
  const busy = all.filter((segment) => segment.running > 0);
  const fromMs = busy[0]?.fromMs ?? 0;
  const toMs = busy.at(-1)?.toMs ?? 0;
  const lastFullMs = busy.findLast((segment) => segment.running >= slots)?.toMs ?? fromMs;
  const share = (a: number, b: number) => (b > a ? busyMs(busy, a, b) / ((b - a) * slots) : 0);
  const width = (toMs - fromMs) / SERIES_LENGTH;
  return {
    virtualSeconds: (toMs - fromMs) / 1000,
    busyShare: share(fromMs, toMs),
    busyShareUntilDrain: share(fromMs, lastFullMs),
    drainStartsAt: toMs > fromMs ? (lastFullMs - fromMs) / (toMs - fromMs) : 0,
    series: Array.from({ length: SERIES_LENGTH }, (_, i) =>
      share(fromMs + i * width, fromMs + (i + 1) * width),
    ),
  };
}

/** Slot-milliseconds in use between two moments. */
function busyMs(segments: readonly Segment[], fromMs: number, toMs: number): number {
  let sum = 0;
  for (const segment of segments) {
    const overlap = Math.min(segment.toMs, toMs) - Math.max(segment.fromMs, fromMs);
    if (overlap > 0) sum += overlap * segment.running;
  }
  return sum;
}
