import type {
  PolicyModel,
  Problem,
  Rollout,
  SampleReply,
  SampleRequest,
} from '../../search/types.js';
import { createReplica } from '../../src/policy/openai/connect.js';
import type { JsonEndpoint } from '../../src/policy/openai/http.js';
import {
  createReplicaSet,
  type Replica,
  type ReplicaSetOptions,
  type ReplicaStats,
} from '../../src/policy/openai/replicas.js';
import { type SimulatedOptions, simulateRollouts } from '../../src/policy/simulated.js';
import { type BatchOptions, BatchSimulation } from './batch-simulation.js';
import { type OccupancyStats, occupancyStats } from './occupancy-stats.js';
import { type CacheStats, type HeldBlocks, PrefixCache, TokenHasher } from './prefix-cache.js';
import { VirtualClock } from './virtual-clock.js';

export interface FleetOptions extends BatchOptions {
  readonly replicas: number;
  /** Factor on the step time of one replica each; 1 where absent. */
  readonly slowdown?: readonly number[];
  readonly policy: SimulatedOptions;
  readonly clientLatencyMs: number;
  readonly routing: ReplicaSetOptions;
  /** KV memory of a replica, in blocks of 16 tokens. */
  readonly cacheBlocks: number;
  /** Tokens of a problem's picture and of the system prompt. */
  readonly pictureTokens: number;
  readonly systemTokens: number;
  readonly prefillMsPerToken: number;
}

export interface FleetReplicaStats extends OccupancyStats, CacheStats {
  readonly sequences: number;
  readonly tokens: number;
  readonly routed: ReplicaStats;
}

/** Several simulated servers with prefix caches on one virtual clock, behind the engine's own
 *  routing (`src/policy/openai/replicas.ts`). */
export interface VirtualFleet extends PolicyModel {
  drive<T>(work: Promise<T>): Promise<T>;
  stats(): FleetReplicaStats[];
}

interface FleetMember {
  readonly batch: BatchSimulation;
  readonly cache: PrefixCache;
}

export function createVirtualFleet(options: FleetOptions): VirtualFleet {
  const members: FleetMember[] = Array.from({ length: options.replicas }, (_, i) => {
    const slower = options.slowdown?.[i] ?? 1;
    const batch = new BatchSimulation({
      slots: options.slots,
      stepBaseMs: options.stepBaseMs * slower,
      stepPerSequenceMs: options.stepPerSequenceMs * slower,
    });
    return { batch, cache: new PrefixCache(options.cacheBlocks) };
  });
  const clock = new VirtualClock(
    members.map(({ batch }) => batch),
    options.clientLatencyMs,
  );
  const replicas = members.map((_, i) =>
    createReplica({ url: `http://replica-${i}:8000/v1` } as JsonEndpoint),
  );
  const memberOf = new Map<Replica, FleetMember>(
    replicas.flatMap((replica, i) => (members[i] ? [[replica, members[i]]] : [])),
  );
  const router = createReplicaSet(replicas, options.routing, {
    now: () => clock.nowMs,
    random: () => 0.5,
    after: () => () => {},
  });

  return {
    name: 'virtual-fleet',
    async sample(request, signal) {
      clock.noteActivity();
      const { problem, seeds } = request;
      const lease = await router.acquire({ key: problem.id, rollouts: seeds.length }, signal);
      clock.noteActivity();
      const member = memberOf.get(lease.replica);
      if (member === undefined) throw new TypeError('a replica of another fleet');
      const reply = await generate(member, clock, request, options);
      lease.succeeded();
      return reply;
    },
    drive: (work) => clock.drive(work),
    stats: () => {
      const routed = router.stats();
      return members.map(({ batch, cache }, i) => {
        const { segments, finished, tokens } = batch.stats();
        return {
          ...occupancyStats(segments, options.slots),
          ...cache.stats(),
          sequences: finished,
          tokens,
          routed: routed[i] as ReplicaStats,
        };
      });
    },
  };
}

function generate(
  { batch, cache }: FleetMember,
  clock: VirtualClock,
  request: SampleRequest,
  options: FleetOptions,
): Promise<SampleReply> {
  const rollouts = simulateRollouts(request, options.policy);
  const prompt = promptOf(request.problem, request.prefix, options);
  let cachedTokens = 0;
  return new Promise((resolve) => {
    let left = rollouts.length;
    const deliver = () => resolve({ rollouts, promptTokens: prompt.tokens, cachedTokens });
    for (const [index, rollout] of rollouts.entries()) {
      let held: HeldBlocks | null = null;
      const done = () => {
        if (held !== null) cache.release(held, outputKeys(prompt, rollout));
        if (--left === 0) clock.deliverLater(deliver);
      };
      const enter = () => {
        const { policyTokens } = rollout;
        held = cache.admit(prompt.keys, prompt.tokens, policyTokens, index === 0);
        if (held === null) return null;
        if (index === 0) cachedTokens = prompt.tokens - held.prefillTokens;
        return held.prefillTokens * options.prefillMsPerToken;
      };
      batch.submit(rollout.policyTokens, clock.nowMs, done, enter);
    }
  });
}

function promptOf(problem: Problem, prefix: readonly string[], options: FleetOptions): TokenHasher {
  const tokens = new TokenHasher();
  tokens.addPicture('system prompt', options.systemTokens);
  tokens.addPicture(problem.id, options.pictureTokens);
  tokens.addText(problem.question);
  for (const step of prefix) tokens.addText(step);
  return tokens;
}

function outputKeys(prompt: TokenHasher, { steps }: Rollout): number[] {
  const all = prompt.fork();
  for (const step of steps) all.addText(step);
  return all.keys.slice(prompt.keys.length);
}
