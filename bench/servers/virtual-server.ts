import type { PolicyModel, SampleReply, SampleRequest } from '../../search/types.js';
import { type SimulatedOptions, simulateRollouts } from '../../src/policy/simulated.js';
import { type BatchOptions, BatchSimulation } from './batch-simulation.js';
import { type OccupancyStats, occupancyStats } from './occupancy-stats.js';
import { VirtualClock } from './virtual-clock.js';

/** The simulated server without HTTP and without real time, see `VirtualClock`. */
export interface VirtualServer extends PolicyModel {
  /** Moves the clock from event to event until `work` is done. */
  drive<T>(work: Promise<T>): Promise<T>;
  stats(): OccupancyStats & { readonly sequences: number; readonly tokens: number };
}

export interface VirtualServerOptions extends BatchOptions {
  readonly policy: SimulatedOptions;
  /** Virtual time between the end of a call and the client's reaction to it, ms: what HTTP, the
   *  store and the answer check take. */
  readonly clientLatencyMs: number;
}

export function createVirtualServer(options: VirtualServerOptions): VirtualServer {
  const batch = new BatchSimulation(options);
  const clock = new VirtualClock([batch], options.clientLatencyMs);
  return {
    name: 'virtual',
    sample(request: SampleRequest): Promise<SampleReply> {
      clock.noteActivity();
      const rollouts = simulateRollouts(request, options.policy);
      return new Promise((resolve) => {
        let left = rollouts.length;
        const deliver = () => resolve({ rollouts, promptTokens: 0, cachedTokens: 0 });
        for (const { policyTokens } of rollouts) {
          batch.submit(policyTokens, clock.nowMs, () => {
            if (--left === 0) clock.deliverLater(deliver);
          });
        }
      });
    },
    drive: (work) => clock.drive(work),
    stats() {
      const { segments, finished, tokens } = batch.stats();
      return { ...occupancyStats(segments, options.slots), sequences: finished, tokens };
    },
  };
}
