/** What prefix affinity saves on four replicas: tokens of prompts computed, prefix-cache hits, how full
 *  each replica was and how long the job took, against round-robin and least-loaded.
 *
 *  `node dist/bench/speed/routing.js [--problems 256] [--replicas 4] [--blocks 25000] [--out FILE]`
 *
 *  The physics first: a problem's calls share the system prompt, the picture and the question, here
 *  60 + 1,024 + 14 tokens, and a call's prefix is the beginning of an earlier rollout of the problem.
 *  A replica that has had all of a problem's calls finds all but the last, unfinished block of a
 *  prompt; one that gets every fourth has to compute picture and prefix again. So affinity's floor is one
 *  prompt a problem and some 10 tokens a call, round-robin's is four prompts a problem and most of each
 *  prefix.
 *
 *  Virtual time: no number depends on the machine. OmegaPRM with MM-PRM's settings; the engine's own
 *  search, scheduler and routing; servers of 256 slots with step times as in `virtual-occupancy.ts`,
 *  prompts at 25,000 tokens/s, KV memory of 25,000 blocks of 16 tokens (an 8 B model with 128 kB a
 *  token on 52 GB). */
import { writeFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { openaiOptions } from '../../src/policy/openai/index.js';
import { policyReplicas } from '../../src/policy/openai/policy.js';
import type { Routing } from '../../src/policy/openai/routing.js';
import { simulatedOptions } from '../../src/policy/simulated.js';
import { benchFacts } from '../facts.js';
import { createVirtualFleet, type FleetReplicaStats } from '../servers/virtual-fleet.js';
import { OCCUPANCY_SETTINGS, occupancyProblems } from './occupancy.js';
import { searchAll } from './virtual-occupancy.js';

export interface RoutingCase {
  readonly name: string;
  readonly routing: Routing;
  readonly loadFactor?: number;
  readonly cacheBlocks?: number;
  readonly slowdown?: readonly number[];
}

export interface RoutingRow {
  readonly name: string;
  /** Shares of prompt tokens found: as vLLM counts, over all sequences; and of calls. */
  readonly hitRate: number;
  readonly hitRateOfCalls: number;
  readonly prefillTokens: number;
  readonly prefillTokensPerCall: number;
  readonly policyTokens: number;
  readonly evictedBlocks: number;
  readonly calls: number;
  readonly strayCalls: number;
  /** Busy share of the slots until the first replica ran out of work for good, per replica. */
  readonly busyUntilDrain: readonly number[];
  readonly busyShare: readonly number[];
  readonly virtualSeconds: number;
  readonly cpuMsPerRollout: number;
}

export interface RoutingSettings {
  readonly problems: number;
  readonly replicas: number;
  readonly cacheBlocks: number;
}

export const PROMPTS = { pictureTokens: 1_024, systemTokens: 60, prefillMsPerToken: 0.04 };

export async function measureRouting(
  { name, routing, loadFactor, cacheBlocks, slowdown }: RoutingCase,
  settings: RoutingSettings,
): Promise<RoutingRow> {
  const options = openaiOptions.parse({ routing, ...(loadFactor ? { loadFactor } : {}) });
  const fleet = createVirtualFleet({
    replicas: settings.replicas,
    ...(slowdown ? { slowdown } : {}),
    slots: OCCUPANCY_SETTINGS.slots,
    stepBaseMs: 10,
    stepPerSequenceMs: 0.06,
    policy: simulatedOptions.parse(OCCUPANCY_SETTINGS.model),
    clientLatencyMs: 20,
    routing: { ...policyReplicas(options), probeIntervalMs: 0 },
    cacheBlocks: cacheBlocks ?? settings.cacheBlocks,
    ...PROMPTS,
  });
  const cpu = process.cpuUsage();
  const inFlight = options.maxInFlight * settings.replicas;
  await fleet.drive(searchAll(occupancyProblems(settings.problems), fleet, inFlight));
  const { user, system } = process.cpuUsage(cpu);
  return toRow(name, fleet.stats(), (user + system) / 1000);
}

function toRow(name: string, replicas: readonly FleetReplicaStats[], cpuMs: number): RoutingRow {
  const sum = (read: (stats: FleetReplicaStats) => number) =>
    replicas.reduce((total, stats) => total + read(stats), 0);
  const round = (share: number) => Number(share.toFixed(4));
  const calls = sum(({ routed }) => routed.calls);
  const prefillTokens = sum((stats) => stats.prefillTokens);
  return {
    name,
    hitRate: round(sum((s) => s.hitTokens) / sum((s) => s.queriedTokens)),
    hitRateOfCalls: round(sum((s) => s.hitByCalls) / sum((s) => s.queriedByCalls)),
    prefillTokens,
    prefillTokensPerCall: Math.round(prefillTokens / calls),
    policyTokens: sum((s) => s.tokens),
    evictedBlocks: sum((s) => s.evictedBlocks),
    calls,
    strayCalls: sum(({ routed }) => routed.strayCalls),
    busyUntilDrain: replicas.map((s) => round(s.busyShareUntilDrain)),
    busyShare: replicas.map((s) => round(s.busyShare)),
    virtualSeconds: Math.max(...replicas.map((s) => s.virtualSeconds)),
    cpuMsPerRollout: round(cpuMs / sum((s) => s.sequences)),
  };
}

const CASES: readonly RoutingCase[] = [
  { name: 'round-robin', routing: 'round-robin' },
  { name: 'least-loaded', routing: 'least-loaded' },
  { name: 'affinity, c = 1.1', routing: 'affinity' },
  { name: 'affinity, c = 1', routing: 'affinity', loadFactor: 1 },
  { name: 'affinity, c = 1.25', routing: 'affinity', loadFactor: 1.25 },
  { name: 'affinity, c = 1.5', routing: 'affinity', loadFactor: 1.5 },
  { name: 'affinity, no bound', routing: 'affinity', loadFactor: 1e9 },
  { name: 'round-robin, 8,000 blocks', routing: 'round-robin', cacheBlocks: 8_000 },
  { name: 'affinity, 8,000 blocks', routing: 'affinity', cacheBlocks: 8_000 },
  { name: 'round-robin, one at half speed', routing: 'round-robin', slowdown: [2] },
  { name: 'least-loaded, one at half speed', routing: 'least-loaded', slowdown: [2] },
  { name: 'affinity, one at half speed', routing: 'affinity', slowdown: [2] },
  {
    name: 'affinity, no bound, one at half speed',
    routing: 'affinity',
    loadFactor: 1e9,
    slowdown: [2],
  },
];

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      problems: { type: 'string', default: '256' },
      replicas: { type: 'string', default: '4' },
      blocks: { type: 'string', default: '25000' },
      cases: { type: 'string', default: String(CASES.length) },
      out: { type: 'string' },
    },
  });
  const settings = {
    problems: Number(values.problems),
    replicas: Number(values.replicas),
    cacheBlocks: Number(values.blocks),
  };
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const rows: RoutingRow[] = [];
  process.stdout.write(
    '| routing | hits of calls | hits as vLLM counts | prompt tokens computed | a call | stray calls | busy until drain, lowest and highest replica | virtual s |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n',
  );
  for (const one of CASES.slice(0, Number(values.cases))) {
    const row = await measureRouting(one, settings);
    rows.push(row);
    const busy = [Math.min(...row.busyUntilDrain), Math.max(...row.busyUntilDrain)];
    const cells = [
      row.name,
      percent(row.hitRateOfCalls),
      percent(row.hitRate),
      row.prefillTokens.toLocaleString('en'),
      String(row.prefillTokensPerCall),
      percent(row.strayCalls / row.calls),
      busy.map(percent).join(', '),
      row.virtualSeconds.toFixed(1),
    ];
    process.stdout.write(`| ${cells.join(' | ')} |\n`);
  }
  const result = { bench: 'routing', ...benchFacts(), ...settings, ...PROMPTS, rows };
  if (values.out) await writeFile(values.out, `${JSON.stringify(result, null, 2)}\n`);
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
