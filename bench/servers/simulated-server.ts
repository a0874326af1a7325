import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type { Problem } from '../../search/types.js';
import { FAULT_KINDS, type Faults } from './faults.js';
import {
  ServerSimulation,
  type SimulatedServerOptions,
  type SimulatedServerStats,
} from './server-simulation.js';
import type { ServerContinuation, ServerSeeds } from './simulated-model.js';

export interface SimulatedServer {
  /** Base URL, with `/v1`. */
  readonly url: string;
  stats(): SimulatedServerStats;
  resetStats(): void;
  setFaults(faults: Faults): void;
  /** Breaks all connections. Idempotent. */
  close(): Promise<void>;
}

/** An OpenAI-compatible server on the loopback interface that simulates a continuously batching
 *  model server. `GET /stats` and `POST /stats/reset` show how full it was. */
export async function startSimulatedServer(
  options: SimulatedServerOptions,
): Promise<SimulatedServer> {
  const simulation = new ServerSimulation(options);
  const server = createServer((request, response) => simulation.handle(request, response));
  // A slow client's keep-alive connection must not be closed under its next request.
  server.keepAliveTimeout = 120_000;
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  let closing: Promise<void> | null = null;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    stats: () => simulation.stats(),
    resetStats: () => simulation.resetStats(),
    setFaults: (faults) => simulation.setFaults(faults),
    close: () => {
      simulation.stop();
      closing ??= closeServer(server);
      return closing;
    },
  };
}

async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

async function readProblemLines(file: string): Promise<Problem[]> {
  const problems: Problem[] = [];
  for await (const line of createInterface({ input: createReadStream(file) })) {
    if (line.trim() === '') continue;
    const { id, question, answer, choices } = JSON.parse(line);
    problems.push({ id, question, images: [], answer, ...(choices ? { choices } : {}) });
  }
  return problems;
}

/** `node dist/bench/servers/simulated-server.js --problems FILE [--port N] [--slots N]
 *  [--speedup X] [--faults SHARE] [--continuation flags|always|never] [--policy JSON]
 *  [--seeds client|state|server] [--read-ms-per-token MS] [--read-device shared|own]`: prints
 *  one JSON line with its URL and serves until it is ended. `--faults` is shared out evenly
 *  among the five kinds. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      problems: { type: 'string' },
      port: { type: 'string', default: '0' },
      slots: { type: 'string', default: '256' },
      speedup: { type: 'string', default: '1' },
      faults: { type: 'string', default: '0' },
      continuation: { type: 'string', default: 'flags' },
      policy: { type: 'string', default: '{}' },
      seeds: { type: 'string', default: 'client' },
      'read-ms-per-token': { type: 'string', default: '0' },
      'read-device': { type: 'string', default: 'shared' },
    },
  });
  if (values.problems === undefined) throw new Error('--problems FILE is needed');
  const share = Number(values.faults) / FAULT_KINDS.length;
  const server = await startSimulatedServer({
    problems: await readProblemLines(values.problems),
    port: Number(values.port),
    slots: Number(values.slots),
    speedup: Number(values.speedup),
    faults: Object.fromEntries(FAULT_KINDS.map((kind) => [kind, share])),
    continuation: values.continuation as ServerContinuation,
    policy: JSON.parse(values.policy),
    seeds: values.seeds as ServerSeeds,
    readMsPerToken: Number(values['read-ms-per-token']),
    readDevice: values['read-device'] as 'shared' | 'own',
  });
  process.stdout.write(`${JSON.stringify({ url: server.url })}\n`);
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => void server.close());
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
