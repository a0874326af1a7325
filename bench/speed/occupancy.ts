import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Problem } from '../../search/types.js';
import type { SimulatedServerStats } from '../servers/server-simulation.js';

/** Where a run finds the model and its problems. */
export interface MeasuredServer {
  /** Base URL, with `/v1`; several of them separated by commas. */
  readonly url: string;
  /** JSONL of the problems. */
  readonly problemsFile: string;
}

/** Labels all problems with the server; whatever does that can be measured. */
export type RunProblems = (problems: readonly Problem[], server: MeasuredServer) => Promise<void>;

export interface OccupancySettings {
  readonly slots: number;
  /** Servers, each with so many slots; 1 where absent. */
  readonly replicas?: number;
  /** Virtual milliseconds per real one. */
  readonly speedup: number;
  /** Options of the simulated model, as JSON values. */
  readonly model: Readonly<Record<string, unknown>>;
  /** More flags of `simulated-server.js`. */
  readonly serverFlags?: readonly string[];
}

/** How full one way of running kept the server. */
export interface Occupancy {
  readonly name: string;
  readonly problems: number;
  readonly rollouts: number;
  readonly policyTokens: number;
  /** Shares of the slots, see `OccupancyStats`. */
  readonly busyShare: number;
  readonly busyShareUntilDrain: number;
  readonly drainStartsAt: number;
  readonly series: readonly number[];
  readonly virtualSeconds: number;
  readonly realSeconds: number;
  /** Rollouts per second of virtual time. */
  readonly rolloutsPerSecond: number;
  /** Shares of one core that client and server used; near 1, the machine is what was measured. */
  readonly clientCpuShare: number;
  readonly serverCpuShare: number;
  /** CPU of this process, HTTP, store and files included, answer checks (child processes) not. */
  readonly clientCpuMsPerRollout: number;
  readonly replicas: readonly ReplicaOccupancy[];
}

export interface ReplicaOccupancy {
  readonly rollouts: number;
  readonly busyShare: number;
  readonly busyShareUntilDrain: number;
  /** Share of the prompt tokens of calls that the prefix cache had. */
  readonly hitRateOfCalls: number;
  readonly prefillTokens: number;
}

/** Solutions of about 300 tokens in 4 to 9 steps, as 7 to 8 B vision-language models write them. */
export const OCCUPANCY_SETTINGS: OccupancySettings = {
  slots: 256,
  speedup: 8,
  model: { minSteps: 4, maxSteps: 9, minStepTokens: 30, maxStepTokens: 80 },
};

/** Problems whose questions differ, so that the server tells them apart by their text. */
export function occupancyProblems(count: number): Problem[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `side-${i}`,
    question: `Figure ${i} shows a triangle. How long is its side number ${i}, in centimetres?`,
    images: [],
    answer: String(11 + ((i * 7) % 90)),
  }));
}

/** Runs `run` against a fresh simulated server in a process of its own, over HTTP, and reads from
 *  the server how full it was. */
export async function measureOccupancy(
  name: string,
  problems: readonly Problem[],
  run: RunProblems,
  settings: OccupancySettings = OCCUPANCY_SETTINGS,
): Promise<Occupancy> {
  const servers = await Promise.all(
    Array.from({ length: settings.replicas ?? 1 }, () => spawnServer(problems, settings)),
  );
  const [first] = servers;
  if (first === undefined) throw new Error('at least one replica is needed');
  try {
    const urls = servers.map((server) => server.url);
    await Promise.all(urls.map((url) => callServer(url, '/stats/reset')));
    const cpu = process.cpuUsage();
    const startMs = performance.now();
    await run(problems, { ...first, url: urls.join(',') });
    const realMs = performance.now() - startMs;
    const used = process.cpuUsage(cpu);
    const stats = await Promise.all(
      urls.map((url) => callServer(url, '/stats') as Promise<SimulatedServerStats>),
    );
    const clientCpuMs = (used.user + used.system) / 1000;
    return toOccupancy(name, problems.length, stats, realMs, clientCpuMs);
  } finally {
    await Promise.all(servers.map((server) => server.close()));
  }
}

/** One table row per way of running. */
export function occupancyTable(results: readonly Occupancy[]): string {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const rows = results.map((result) => [
    result.name,
    String(result.problems),
    String(result.rollouts),
    percent(result.busyShareUntilDrain || result.busyShare),
    percent(result.busyShare),
    result.rolloutsPerSecond.toFixed(1),
    `${result.virtualSeconds.toFixed(0)} s`,
    percent(result.clientCpuShare),
    percent(result.serverCpuShare),
  ]);
  const head = [
    'run',
    'problems',
    'rollouts',
    'busy until work ran out',
    'busy, whole run',
    'rollouts/s',
    'virtual time',
    'client CPU',
    'server CPU',
  ];
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

export interface ServerProcess extends MeasuredServer {
  close(): Promise<void>;
}

/** A simulated server of its own process, which knows the problems. */
export async function spawnServer(
  problems: readonly Problem[],
  settings: OccupancySettings,
): Promise<ServerProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'steptree-occupancy-'));
  const file = join(folder, 'problems.jsonl');
  await writeFile(file, problems.map((problem) => `${JSON.stringify(problem)}\n`).join(''));
  const script = fileURLToPath(new URL('../servers/simulated-server.js', import.meta.url));
  const child = spawn(
    process.execPath,
    [
      ...[script, '--problems', file, '--slots', String(settings.slots)],
      ...['--speedup', String(settings.speedup), '--policy', JSON.stringify(settings.model)],
      ...(settings.serverFlags ?? []),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout });
  const first = await Promise.race([once(lines, 'line'), exited.then(() => null)]);
  if (first === null) throw new Error('the simulated server did not start');
  return {
    url: JSON.parse(String(first[0])).url,
    problemsFile: file,
    async close() {
      child.kill('SIGTERM');
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export async function callServer(url: string, path: string): Promise<unknown> {
  const response = await fetch(url.replace(/\/v1$/, path));
  return response.json();
}

function toOccupancy(
  name: string,
  problems: number,
  all: readonly SimulatedServerStats[],
  realMs: number,
  clientCpuMs: number,
): Occupancy {
  const sum = (read: (stats: SimulatedServerStats) => number) =>
    all.reduce((total, stats) => total + read(stats), 0);
  const mean = (read: (stats: SimulatedServerStats) => number) => sum(read) / all.length;
  const rollouts = sum((stats) => stats.finishedSequences);
  const virtualSeconds = Math.max(...all.map((stats) => stats.virtualSeconds));
  return {
    name,
    problems,
    rollouts,
    policyTokens: sum((stats) => stats.tokens),
    busyShare: mean((stats) => stats.busyShare),
    busyShareUntilDrain: mean((stats) => stats.busyShareUntilDrain),
    drainStartsAt: Math.min(...all.map((stats) => stats.drainStartsAt)),
    series: (all[0]?.series ?? []).map((_, i) =>
      Number(mean((stats) => stats.series[i] ?? 0).toFixed(3)),
    ),
    virtualSeconds,
    realSeconds: realMs / 1000,
    rolloutsPerSecond: rollouts / virtualSeconds,
    clientCpuShare: clientCpuMs / realMs,
    serverCpuShare: Math.max(...all.map((stats) => stats.cpuShare)),
    clientCpuMsPerRollout: clientCpuMs / rollouts,
    replicas: all.map(({ finishedSequences, busyShare, busyShareUntilDrain, cache }) => ({
      rollouts: finishedSequences,
      busyShare,
      busyShareUntilDrain,
      hitRateOfCalls: cache.hitByCalls / cache.queriedByCalls,
      prefillTokens: cache.prefillTokens,
    })),
  };
}
