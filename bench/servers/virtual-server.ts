import { setImmediate as turn } from 'node:timers/promises';
import type { PolicyModel, SampleReply, SampleRequest } from '../../search/types.js';
import { type SimulatedOptions, simulateRollouts } from '../../src/policy/simulated.js';
import { type BatchOptions, BatchSimulation } from './batch-simulation.js';
import { type OccupancyStats, occupancyStats } from './occupancy-stats.js';

/** The simulated server without HTTP and without real time: its clock stands still while the
 *  client works and jumps when all that is left is waiting. So the result depends on the order of
 *  the calls alone, not on the machine or its load. */
export interface VirtualServer extends PolicyModel {
  /** Moves the clock from event to event until `work` is done. */
  drive<T>(work: Promise<T>): Promise<T>;
  /** A reward model reads a text of so many tokens. */
  read(tokens: number): Promise<void>;
  /** Virtual ms since the start. */
  nowMs(): number;
  stats(): OccupancyStats & { readonly sequences: number; readonly tokens: number };
}

export interface VirtualServerOptions extends BatchOptions {
  readonly policy: SimulatedOptions;
  /** Virtual time between the end of a call and the client's reaction to it, ms: what HTTP, the
   *  store and the answer check take. */
  readonly clientLatencyMs: number;
  /** Whether texts are read by the policy's machine, or by one of their own; default: the policy's. */
  readonly readDevice?: 'shared' | 'own';
}

// Turns of the event loop after which a client that only awaits promises has come to rest.
const QUIET_TURNS = 3;

export function createVirtualServer(options: VirtualServerOptions): VirtualServer {
  const batch = new BatchSimulation(options);
  const reader = options.readDevice === 'own' ? new BatchSimulation(options) : batch;
  /** Replies that are on their way back. */
  const returning: { readonly atMs: number; readonly deliver: () => void }[] = [];
  let nowMs = 0;
  let activity = 0;

  const sample = (request: SampleRequest): Promise<SampleReply> => {
    activity++;
    const rollouts = simulateRollouts(request, options.policy);
    return new Promise((resolve) => {
      let left = rollouts.length;
      const deliver = () => resolve({ rollouts, promptTokens: 0, cachedTokens: 0 });
      for (const { policyTokens } of rollouts) {
        batch.submit(policyTokens, nowMs, () => {
          if (--left > 0) return;
          returning.push({ atMs: nowMs + options.clientLatencyMs, deliver });
        });
      }
    });
  };

  const read = (tokens: number): Promise<void> => {
    activity++;
    return new Promise((deliver) => {
      reader.read(tokens, nowMs, () => {
        returning.push({ atMs: nowMs + options.clientLatencyMs, deliver });
      });
    });
  };

  /** @returns false when nothing can happen any more */
  const step = (): boolean => {
    const events = [batch.nextEventMs(), reader.nextEventMs(), returning[0]?.atMs ?? null];
    const next = Math.min(...events.map((ms) => ms ?? Infinity));
    if (next === Infinity) return false;
    nowMs = Math.max(nowMs, next);
    batch.advance(nowMs);
    if (reader !== batch) reader.advance(nowMs);
    // In order of time, as the latency is the same for all.
    while (returning[0] !== undefined && returning[0].atMs <= nowMs) returning.shift()?.deliver();
    return true;
  };

  const settle = async () => {
    for (let quiet = 0; quiet < QUIET_TURNS; quiet++) {
      const before = activity;
      await turn();
      if (activity !== before) quiet = -1;
    }
  };

  return {
    name: 'virtual',
    sample,
    read,
    nowMs: () => nowMs,
    async drive(work) {
      let done = false;
      const outcome = work.finally(() => {
        done = true;
      });
      // A failure is thrown by the return below; it must not count as unhandled before that.
      outcome.catch(() => {});
      while (!done) {
        await settle();
        if (!done && !step()) throw new Error('the work waits for something else than the server');
      }
      return outcome;
    },
    stats() {
      const { segments, finished, tokens } = batch.stats();
      return { ...occupancyStats(segments, options.slots), sequences: finished, tokens };
    },
  };
}
