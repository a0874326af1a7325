/** What does a rollout over HTTP cost the process, and what would it cost a bare client?
 *
 *  `node dist/bench/speed/http-floor.js [--rounds 3] [--problems 256] [--replicas 4] [--speedup 4]`
 *
 *  The whole of `steptree label` against simulated servers, and beside it, in turns, in the same
 *  process and against the same servers: undici and `JSON.parse` alone, with the bodies that the
 *  first run sent and as many requests in flight. That first run is not counted: a label job takes
 *  hours, and compiling the code is no part of it. CPU time of all threads of this process. */
import { subscribe } from 'node:diagnostics_channel';
import { parseArgs } from 'node:util';
import { Pool } from 'undici';
import { benchFacts } from '../facts.js';
import {
  OCCUPANCY_SETTINGS,
  occupancyProblems,
  type ServerProcess,
  spawnServer,
} from './occupancy.js';
import { wholeLabel } from './whole-label.js';

/** A request as it was sent. */
interface Sent {
  readonly origin: string;
  readonly path: string;
  readonly body: string;
  readonly rollouts: number;
}

/** What one way of asking took. */
interface Cost {
  readonly name: 'label' | 'bare';
  readonly cpuMs: number;
  readonly seconds: number;
}

/** Rollouts that a replica gets at once, as by default. */
const IN_FLIGHT_PER_REPLICA = 768;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '3' },
      problems: { type: 'string', default: '256' },
      replicas: { type: 'string', default: '4' },
      speedup: { type: 'string', default: '4' },
    },
  });
  const problems = occupancyProblems(Number(values.problems));
  const settings = { ...OCCUPANCY_SETTINGS, speedup: Number(values.speedup) };
  const servers = await Promise.all(
    Array.from({ length: Number(values.replicas) }, () => spawnServer(problems, settings)),
  );
  try {
    const sent = await recorded(() => runLabel(servers));
    const costs: Cost[] = [];
    let replyBytes = 0;
    for (let round = 0; round < Number(values.rounds); round++) {
      costs.push(await measure('label', () => runLabel(servers)));
      costs.push(
        await measure('bare', async () => {
          replyBytes = await replay(sent);
        }),
      );
    }
    report(sent, replyBytes, costs, values);
  } finally {
    await Promise.all(servers.map((server) => server.close()));
  }
}

function runLabel(servers: readonly ServerProcess[]): Promise<void> {
  const [first] = servers;
  if (first === undefined) throw new Error('at least one replica is needed');
  return wholeLabel({ ...first, url: servers.map(({ url }) => url).join(',') });
}

/** Runs `work` and @returns what it asked servers for, in order. */
async function recorded(work: () => Promise<void>): Promise<Sent[]> {
  const sent: Sent[] = [];
  let on = true;
  subscribe('undici:request:create', (message) => {
    const { request } = message as {
      request: { origin: string; path: string; body: Uint8Array | string | null };
    };
    if (!on || request.body === null || !request.path.endsWith('/completions')) return;
    const body = Buffer.from(request.body).toString();
    const { n = 1 } = JSON.parse(body) as { n?: number };
    sent.push({ origin: String(request.origin), path: request.path, body, rollouts: n });
  });
  await work();
  on = false;
  return sent;
}

/** Sends it all again, each server's requests in their order. @returns bytes of the replies */
async function replay(sent: readonly Sent[]): Promise<number> {
  const origins = [...new Set(sent.map(({ origin }) => origin))];
  const bytes = await Promise.all(
    origins.map((origin) =>
      replayAt(
        origin,
        sent.filter((one) => one.origin === origin),
      ),
    ),
  );
  return bytes.reduce((sum, count) => sum + count, 0);
}

async function replayAt(origin: string, sent: readonly Sent[]): Promise<number> {
  const pool = new Pool(origin, { pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
  const headers = { accept: 'application/json', 'content-type': 'application/json' };
  let next = 0;
  let bytes = 0;
  const client = async () => {
    for (let one = sent[next++]; one !== undefined; one = sent[next++]) {
      const { path, body } = one;
      const reply = await pool.request({ method: 'POST', path, headers, body });
      const text = await reply.body.text();
      const { choices } = JSON.parse(text) as { choices: unknown[] };
      if (choices.length !== one.rollouts) throw new Error('another reply than the first time');
      bytes += text.length;
    }
  };
  const atOnce = Math.round(IN_FLIGHT_PER_REPLICA / (sent[0]?.rollouts ?? 1));
  await Promise.all(Array.from({ length: atOnce }, client));
  await pool.close();
  return bytes;
}

async function measure(name: Cost['name'], work: () => Promise<void>): Promise<Cost> {
  const before = process.cpuUsage();
  const startMs = performance.now();
  await work();
  const { user, system } = process.cpuUsage(before);
  return {
    name,
    cpuMs: (user + system) / 1000,
    seconds: (performance.now() - startMs) / 1000,
  };
}

function report(
  sent: readonly Sent[],
  replyBytes: number,
  costs: readonly Cost[],
  settings: Record<string, unknown>,
): void {
  const rollouts = sent.reduce((sum, one) => sum + one.rollouts, 0);
  const requestBytes = sent.reduce((sum, { body }) => sum + Buffer.byteLength(body), 0);
  process.stdout.write(
    `${rollouts} rollouts in ${sent.length} requests; a rollout takes ${(requestBytes / rollouts).toFixed(0)} bytes of request and ${(replyBytes / rollouts).toFixed(0)} of reply\n`,
  );
  const perRollout = (name: Cost['name']) =>
    costs.filter((cost) => cost.name === name).map(({ cpuMs }) => cpuMs / rollouts);
  const [ours, bare] = [perRollout('label'), perRollout('bare')];
  for (const [name, spread] of [
    ['steptree label', ours],
    ['bare undici', bare],
  ] as const) {
    process.stdout.write(
      `${name.padEnd(15)} ${median(spread).toFixed(4)} ms of CPU a rollout (${spread.map((one) => one.toFixed(4)).join(' ')})\n`,
    );
  }
  process.stdout.write(`ratio ${(median(ours) / median(bare)).toFixed(1)}\n`);
  const facts = { bench: 'http-floor', ...benchFacts(), ...settings };
  const floor = { rollouts, requests: sent.length, requestBytes, replyBytes, costs };
  process.stdout.write(`${JSON.stringify({ ...facts, ...floor })}\n`);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

await main();
