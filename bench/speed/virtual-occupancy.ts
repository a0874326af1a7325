/** How full do 64 OmegaPRM searches keep a batching server of 256 slots, by the number of
 *  rollouts that are let in at a time?
 *
 *  `node dist/bench/speed/virtual-occupancy.js [--latency 20]`
 *
 *  In virtual time (see `virtual-server.ts`), so that the numbers are the same on every machine
 *  and under any load; what HTTP, store and answer checks take is the one number `--latency`, in
 *  virtual ms per call. `server-occupancy.js` measures the whole engine over HTTP instead. */
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { NO_BUDGET } from '../../search/budget.js';
import { SearchContext } from '../../search/context.js';
import { omegaPrm } from '../../search/labels/omegaprm.js';
import { estimateOptions, omegaPrmOptions } from '../../search/labels/options.js';
import type { PolicyModel, Problem, ReplyStore, Verifier } from '../../search/types.js';
import { simulatedOptions } from '../../src/policy/simulated.js';
import { ScheduledPolicy } from '../../src/runtime/scheduler.js';
import { benchFacts } from '../facts.js';
import { createVirtualServer, type VirtualServer } from '../servers/virtual-server.js';
import { OCCUPANCY_SETTINGS, occupancyProblems } from './occupancy.js';
import { REFERENCE_OPTIONS, referenceLoop } from './reference-loop.js';

export type VirtualOccupancy = ReturnType<VirtualServer['stats']>;

/** MM-PRM's loop over `count` problems. */
export async function referenceOccupancy(
  count: number,
  clientLatencyMs: number,
): Promise<VirtualOccupancy> {
  const server = openServer(clientLatencyMs);
  await server.drive(referenceLoop(occupancyProblems(count), server));
  return server.stats();
}

/** All problems at once through the engine's search and scheduler.
 *  @param maxInFlight rollouts that the scheduler lets in at a time */
export async function engineOccupancy(
  count: number,
  maxInFlight: number,
  clientLatencyMs: number,
): Promise<VirtualOccupancy> {
  const server = openServer(clientLatencyMs);
  await server.drive(searchAll(occupancyProblems(count), server, maxInFlight));
  return server.stats();
}

function openServer(clientLatencyMs: number): VirtualServer {
  return createVirtualServer({
    slots: OCCUPANCY_SETTINGS.slots,
    stepBaseMs: 10,
    stepPerSequenceMs: 0.06,
    policy: simulatedOptions.parse(OCCUPANCY_SETTINGS.model),
    clientLatencyMs,
  });
}

export function searchAll(
  problems: readonly Problem[],
  policy: PolicyModel,
  maxInFlight: number,
): Promise<unknown> {
  const scheduled = new ScheduledPolicy(policy, maxInFlight);
  const options = { ...estimateOptions.parse({}), ...omegaPrmOptions.parse({}) };
  const search = (problem: Problem) => {
    const context = new SearchContext({
      problem,
      seed: 1,
      policy: scheduled,
      sampling: REFERENCE_OPTIONS.sampling,
      verifier: lastStepVerifier,
      store: memoryStore(),
      budget: NO_BUDGET,
      now: () => 0,
    });
    return omegaPrm(problem, context, options);
  };
  return Promise.all(problems.map(search));
}

const lastStepVerifier: Verifier = {
  verify: async (problem, solutions) =>
    solutions.map((steps) => ({
      verdict: steps.at(-1) === `Answer: ${problem.answer}` ? 'equal' : 'different',
    })),
};

function memoryStore(): ReplyStore {
  const values = new Map<string, unknown>();
  return {
    get: (key) => values.get(key),
    put: async (key, value) => {
      values.set(key, value);
    },
  };
}

const IN_FLIGHT = [256, 320, 512, 640, 768, 1024];

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { latency: { type: 'string', default: '20' } } });
  const latencyMs = Number(values.latency);
  const rows = [{ run: 'reference loop', ...(await referenceOccupancy(16, latencyMs)) }];
  for (const maxInFlight of IN_FLIGHT) {
    const stats = await engineOccupancy(64, maxInFlight, latencyMs);
    rows.push({ run: `64 searches, ${maxInFlight} in flight`, ...stats });
  }
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  process.stdout.write('| run | busy until drain | busy, whole run | drain starts at |\n');
  process.stdout.write('| --- | --- | --- | --- |\n');
  for (const row of rows) {
    const until = row.drainStartsAt > 0 ? percent(row.busyShareUntilDrain) : 'never full';
    process.stdout.write(
      `| ${row.run} | ${until} | ${percent(row.busyShare)} | ${percent(row.drainStartsAt)} |\n`,
    );
  }
  const facts = { bench: 'virtual-occupancy', ...benchFacts(), ...OCCUPANCY_SETTINGS, latencyMs };
  process.stdout.write(`${JSON.stringify({ ...facts, runs: rows })}\n`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
