/** How much faster four workers are than one, and whether a worker that is killed every 5 seconds changes
 *  a byte.
 *
 *  Physics first: a worker's policy takes `LATENCY_MS` a call and `PLACES` calls at once, so a run of so
 *  many calls takes at least calls x latency / (workers x places). All else (queue, store, checks, the
 *  last trees that grow alone) comes on top.
 *
 *  node dist/bench/speed/queue.js [--problems 128]    (needs redis-server; about 4 minutes)
 *  node dist/bench/speed/queue.js --only-kills --problems 32 --kill-every 2000 --max-losses 3
 *  node dist/bench/speed/queue.js --only-kills --kill-runs 3 --redis-restart-every 15000 --redis-data lost
 *
 *  `--redis-restart-every` kills Redis too, and starts it again a second later, with its data or without.
 *  Where the bytes differ it says in what, and the folder of the runs stays. */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { label } from '../../src/cli/label.js';
import { parseLabelOptions } from '../../src/cli/label-options.js';
import { benchFacts } from '../facts.js';

const ROLLOUTS_A_CALL = 8;
/** Calls at once of one worker. */
const PLACES = 2;
const SEED = 11;

const { values } = parseArgs({
  options: {
    problems: { type: 'string', default: '128' },
    latency: { type: 'string', default: '200' },
    'kill-every': { type: 'string', default: '5000' },
    /** Of workers that are killed. */
    'lock-ms': { type: 'string', default: '2000' },
    'max-losses': { type: 'string', default: '5' },
    'only-kills': { type: 'boolean', default: false },
    /** Runs with kills, one after the other. */
    'kill-runs': { type: 'string', default: '1' },
    /** 0: Redis lives as long as the bench. */
    'redis-restart-every': { type: 'string', default: '0' },
    /** What a restart leaves: `kept` (every write on disk) or `lost`. */
    'redis-data': { type: 'string', default: 'kept' },
  },
});
const count = Number(values.problems);
const LATENCY_MS = Number(values.latency);
const KILL_EVERY_MS = Number(values['kill-every']);
const RESTART_EVERY_MS = Number(values['redis-restart-every']);
const REDIS_AWAY_MS = 1_000;
const dir = await mkdtemp(join(tmpdir(), 'steptree-queue-'));
const workersLog = openSync(join(dir, 'workers.log'), 'a');
const redis = await startRedis();
let keep = true;
try {
  const problems = join(dir, 'problems.jsonl');
  const rows = Array.from({ length: count }, (_, i) => {
    return JSON.stringify({ id: `p${i}`, question: `What is ${i} plus ${i}?`, answer: `${2 * i}` });
  });
  await writeFile(problems, `${rows.join('\n')}\n`);
  const here = await run(problems, 'here', { simulatedLatencyMs: 0, queue: '' });
  const floor = (workers: number) => (here.calls * LATENCY_MS) / 1000 / (workers * PLACES);
  say(`${count} problems, ${here.calls} calls of ${LATENCY_MS} ms, ${PLACES} at once a worker`);
  say(`floor: 1 worker ${floor(1).toFixed(1)} s, 4 workers ${floor(4).toFixed(1)} s`);
  const results: Awaited<ReturnType<typeof measure>>[] = [];
  const seconds: Record<number, number> = {};
  for (const workers of values['only-kills'] ? [] : [4, 1]) {
    const took = await measure(problems, workers);
    seconds[workers] = took.seconds;
    results.push(took);
    say(`${workers} workers: ${took.seconds.toFixed(1)} s, same bytes: ${took.sameBytes}`);
  }
  const speedup = (seconds[1] ?? 0) / (seconds[4] ?? 1);
  if (results.length > 0) say(`4 workers are ${speedup.toFixed(2)} times as fast as 1 (aim: 3.6)`);
  const killed: typeof results = [];
  for (let i = 0; i < Number(values['kill-runs']); i++) {
    const took = await measure(problems, 4, `killed-${i}`);
    killed.push(took);
    const restarts = RESTART_EVERY_MS > 0 ? `${took.restarts} restarts of Redis, ` : '';
    say(
      `4 workers, one killed every ${KILL_EVERY_MS / 1000} s: ${took.seconds.toFixed(1)} s, ${took.kills} kills, ${restarts}same bytes: ${took.sameBytes}`,
    );
  }
  const settings = { ...values, count, PLACES, ROLLOUTS_A_CALL, SEED, calls: here.calls };
  const floors = { floorSeconds1: floor(1), floorSeconds4: floor(4) };
  console.log(
    JSON.stringify({ ...benchFacts(), ...settings, ...floors, results, speedup, killed }),
  );
  keep = [...results, ...killed].some(({ sameBytes }) => !sameBytes);
} finally {
  await redis.close();
  if (keep) say(`the runs are kept in ${dir}`);
  else await rm(dir, { recursive: true, force: true });
}

/** @param kills name of a run whose workers are killed */
async function measure(problems: string, workers: number, kills?: string) {
  const name = kills ?? `${workers}`;
  // A worker that only lacks the processor must not be taken for lost while speed is measured.
  const lockMs = kills ? Number(values['lock-ms']) : 20_000;
  const team = Array.from({ length: workers }, () => startWorker(lockMs));
  while ((await redis.client.zcard('steptree:workers:label')) < workers) await wait(50);
  const startMs = performance.now();
  let over = false;
  const options = { queue: redis.url, queueMaxLosses: Number(values['max-losses']) };
  const running = run(problems, name, { ...options, simulatedLatencyMs: LATENCY_MS });
  void running.finally(() => {
    over = true;
  });
  const restarting = kills && RESTART_EVERY_MS > 0 ? restartRedis(running) : null;
  let killed = 0;
  while (kills && !over) {
    await Promise.race([wait(KILL_EVERY_MS), running]);
    if (over) break;
    const victim = team.shift();
    victim?.kill('SIGKILL');
    team.push(startWorker(lockMs));
    killed++;
  }
  await running;
  const restarts = (await restarting) ?? 0;
  const seconds = (performance.now() - startMs) / 1000;
  for (const worker of team) worker.kill('SIGTERM');
  await Promise.all(team.map((worker) => worker.exitCode ?? once(worker, 'exit')));
  const differences = await compare('here', name);
  for (const line of differences) say(line);
  return { workers, seconds, kills: killed, restarts, sameBytes: differences.length === 0 };
}

/** Kills Redis and starts it again, until the run has ended. @returns how often */
async function restartRedis(running: Promise<unknown>): Promise<number> {
  let over = false;
  void running.finally(() => {
    over = true;
  });
  for (let restarts = 0; ; restarts++) {
    await Promise.race([wait(RESTART_EVERY_MS), running]);
    if (over) return restarts;
    await redis.kill();
    await wait(REDIS_AWAY_MS);
    redis.start();
  }
}

async function run(problems: string, name: string, more: Record<string, unknown>) {
  const options = parseLabelOptions({
    policy: 'simulated',
    seed: SEED,
    rolloutBudget: 96,
    numRollouts: ROLLOUTS_A_CALL,
    ...more,
  });
  const io = { signal: new AbortController().signal, quiet: true, log: () => {} };
  return label(problems, join(dir, name), options, io);
}

function startWorker(lockMs: number): ChildProcess {
  const args = [
    ...['worker', '--queue', redis.url, '--quiet', '--concurrency', '4'],
    ...['--lock-ms', `${lockMs}`],
    ...['--max-in-flight', `${PLACES * ROLLOUTS_A_CALL}`],
  ];
  const stdio: StdioOptions = ['ignore', 'ignore', workersLog];
  return spawn(process.execPath, [resolve('bin/steptree.js'), ...args], { stdio });
}

/** What differs between two runs: failures of the other one in full, the first line that differs in
 *  each file. */
async function compare(one: string, other: string): Promise<string[]> {
  const differences = (await read(other, 'failed.jsonl')).split('\n').filter(Boolean);
  const trees = [one, other].map((run) => readdir(join(dir, run, 'trees')));
  const names = (await Promise.all(trees)).flat().map((name) => join('trees', name));
  for (const name of ['labels.jsonl', ...new Set(names)]) {
    const [a, b] = await Promise.all([one, other].map((run) => read(run, name)));
    if (a === b) continue;
    const [left, right] = [a, b].map((text) => (text ?? '').split('\n'));
    const at = left?.findIndex((line, i) => line !== right?.[i]) ?? 0;
    const shown = [left, right].map((lines) => lines?.[at]?.slice(0, 300) ?? 'nothing');
    differences.push(`${name}, line ${at + 1}: ${shown.join('\n  is now ')}`);
  }
  return differences;
}

/** Empty if the file is not there. */
function read(run: string, name: string): Promise<string> {
  return readFile(join(dir, run, name), 'utf8').catch(() => '');
}

async function startRedis() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  const persist = RESTART_EVERY_MS > 0 && values['redis-data'] === 'kept';
  const args = [
    ...['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--dir', dir],
    ...(persist ? ['--appendonly', 'yes', '--appendfsync', 'always'] : []),
  ];
  const start = () => spawn('redis-server', args, { stdio: 'ignore' });
  let child = start();
  const client = new Redis(port, '127.0.0.1', { maxRetriesPerRequest: null });
  client.on('error', () => {});
  await client.ping();
  const end = async (signal: NodeJS.Signals) => {
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    client,
    kill: () => end('SIGKILL'),
    start: () => {
      child = start();
    },
    close: async () => {
      client.disconnect();
      await end('SIGTERM');
    },
  };
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
