import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Problem } from '../../search/types.js';
import type { SimulatedServerStats } from '../servers/server-simulation.js';
import { callServer, type OccupancySettings, spawnServer } from '../speed/occupancy.js';

/** One client against one fresh server. */
export interface PeerRun {
  readonly name: string;
  readonly problems: readonly Problem[];
  readonly settings: OccupancySettings;
  /** Program and arguments. */
  command(server: { readonly url: string; readonly problemsFile: string }): readonly string[];
}

/** What one client made of the server. Seconds are the server's: real ones times `speedup`. */
export interface PeerResult {
  readonly name: string;
  readonly problems: number;
  readonly rollouts: number;
  readonly policyTokens: number;
  /** Tokens that the reward model read. */
  readonly readTokens: number;
  readonly wallSeconds: number;
  /** Mean busy slots over all slots, from the first sequence to the last. */
  readonly occupancy: number;
  readonly clientCpuMsPerRollout: number;
  /** Shares of one core; near 1, the machine is what was measured. */
  readonly clientCpuShare: number;
  readonly serverCpuShare: number;
  readonly speedup: number;
  /** What else the client says, in its own words. Its seconds are real ones. */
  readonly client: Readonly<Record<string, number>>;
}

interface ClientReport extends Record<string, number> {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
}

/** Starts a server, runs the client to its end and reads both.
 *  @throws Error if the client fails */
export async function measurePeer(run: PeerRun): Promise<PeerResult> {
  const server = await spawnServer(run.problems, run.settings);
  try {
    await callServer(server.url, '/stats/reset');
    const report = await runClient(run.name, run.command(server));
    const stats = (await callServer(server.url, '/stats')) as SimulatedServerStats;
    const { speedup } = run.settings;
    return {
      name: run.name,
      problems: run.problems.length,
      rollouts: stats.finishedSequences,
      policyTokens: stats.tokens,
      readTokens: stats.readTokens,
      wallSeconds: report.wallSeconds * speedup,
      occupancy: stats.busyShare,
      clientCpuMsPerRollout: (1000 * report.cpuSeconds) / stats.finishedSequences,
      clientCpuShare: report.cpuSeconds / report.wallSeconds,
      serverCpuShare: stats.cpuShare,
      speedup,
      client: report,
    };
  } finally {
    await server.close();
  }
}

async function runClient(name: string, command: readonly string[]): Promise<ClientReport> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  const [code] = await once(child, 'close');
  const last = text.trim().split('\n').at(-1) ?? '';
  if (code !== 0) throw new Error(`${name} ended with ${code}: ${last}`);
  return JSON.parse(last);
}
