import { Heap } from '../../search/heap.js';
import type { PolicyModel, SampleReply, SampleRequest, Step } from '../../search/types.js';
import { whenAborted } from '../policy/when-aborted.js';

/** A policy that can be told of calls which a stored reply answered. */
export interface SkippingPolicy extends PolicyModel {
  skip?(problemId: string, prefix: readonly Step[], count: number): void;
}

export interface SchedulerStats {
  /** Sequences now at the policy. */
  readonly inFlight: number;
  readonly maxInFlight: number;
  /** Sequences that wait for a place. */
  readonly waiting: number;
}

/** A policy behind one queue for all trees: at most `maxInFlight` sequences are at the host.
 *
 *  The problem with the fewest rollouts so far goes first, then the call that came first.
 *  So the trees that are active together also end together, and a run has no long tail in
 *  which one late tree leaves the server idle. */
export class ScheduledPolicy implements SkippingPolicy {
  readonly name: string;
  private readonly queue = new Heap<Waiting>(goesBefore);
  /** Sequences that each active problem has asked for so far. */
  private readonly asked = new Map<string, number>();
  private arrivals = 0;
  private inFlight = 0;
  private waitingSequences = 0;

  /** @param maxInFlight sequences, at least 1; a single larger call is let through alone */
  constructor(
    private readonly policy: SkippingPolicy,
    private readonly maxInFlight: number,
  ) {
    this.name = policy.name;
  }

  async sample(request: SampleRequest, signal?: AbortSignal): Promise<SampleReply> {
    signal?.throwIfAborted();
    const sequences = request.seeds.length;
    await this.place(request.problem.id, sequences, signal);
    try {
      return await this.policy.sample(request, signal);
    } finally {
      this.inFlight -= sequences;
      this.admit();
    }
  }

  skip(problemId: string, prefix: readonly Step[], count: number): void {
    this.policy.skip?.(problemId, prefix, count);
  }

  /** Forgets a finished problem, so that memory stays flat. */
  release(problemId: string): void {
    this.asked.delete(problemId);
  }

  stats(): SchedulerStats {
    return {
      inFlight: this.inFlight,
      maxInFlight: this.maxInFlight,
      waiting: this.waitingSequences,
    };
  }

  /** Resolves once `sequences` places are taken. */
  private place(problemId: string, sequences: number, signal?: AbortSignal): Promise<void> {
    const progress = this.asked.get(problemId) ?? 0;
    this.asked.set(problemId, progress + sequences);
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        progress,
        arrival: this.arrivals++,
        sequences,
        cancelled: false,
        start: () => {
          forget();
          resolve();
        },
      };
      const forget = whenAborted(signal, () => {
        waiting.cancelled = true;
        this.waitingSequences -= sequences;
        reject(signal?.reason);
      });
      this.waitingSequences += sequences;
      this.queue.push(waiting);
      this.admit();
    });
  }

  private admit(): void {
    for (let next = this.queue.peek(); next; next = this.queue.peek()) {
      if (!next.cancelled) {
        const fits = this.inFlight + next.sequences <= this.maxInFlight || this.inFlight === 0;
        if (!fits) return;
        this.inFlight += next.sequences;
        this.waitingSequences -= next.sequences;
        next.start();
      }
      this.queue.pop();
    }
  }
}

interface Waiting {
  readonly progress: number;
  readonly arrival: number;
  readonly sequences: number;
  cancelled: boolean;
  start(): void;
}

function goesBefore(a: Waiting, b: Waiting): boolean {
  return a.progress < b.progress || (a.progress === b.progress && a.arrival < b.arrival);
}
