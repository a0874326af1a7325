/** Where the CPU time of the commands goes: label, solve and serve on the embedded pair, on an instant
 *  policy (`simulated`) and on a simulated server of 256 slots, each under `node --cpu-prof`.
 *
 *  `node dist/bench/speed/profile.js [--only label-instant,serve-server] [--top 10]`
 *
 *  Self time by function, of the command's own process: its main thread and, where there are any,
 *  its threads (model hosts) apart. Waiting is left out; answer checks run in processes of their own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { request } from 'undici';
import { benchFacts } from '../facts.js';
import { startSimulatedServer } from '../servers/simulated-server.js';
import { OCCUPANCY_SETTINGS, occupancyProblems } from './occupancy.js';

const STEPTREE = fileURLToPath(new URL('../../../bin/steptree.js', import.meta.url));
const INSTANT_SERVICE = fileURLToPath(new URL('../serve/instant-service.js', import.meta.url));

interface Setting {
  /** Scratch folder. */
  readonly dir: string;
  /** The embedded pair's problems, with pictures, and the simulated ones. */
  readonly figures: string;
  readonly sides: string;
  readonly serverUrl: string;
}

interface ProfileCase {
  /** Script and arguments. */
  readonly command: (setting: Setting) => readonly string[];
  /** Requests to the service that the command is, until it has had so many. */
  readonly requests?: (setting: Setting) => Promise<ServiceLoad>;
}

interface ServiceLoad {
  readonly body: string;
  readonly count: number;
}

const CASES: Readonly<Record<string, ProfileCase>> = {
  'label-embedded': {
    command: ({ figures, dir }) => [
      ...[STEPTREE, 'label', figures, '--out', join(dir, 'run'), '--limit', '12'],
      ...['--max-total-rollouts', '96', '--quiet'],
    ],
  },
  'label-instant': {
    command: ({ sides, dir }) => [
      ...[STEPTREE, 'label', sides, '--out', join(dir, 'run'), '--policy', 'simulated', '--quiet'],
    ],
  },
  'label-server': {
    command: ({ sides, dir, serverUrl }) => [
      ...[STEPTREE, 'label', sides, '--out', join(dir, 'run'), '--policy', serverUrl, '--quiet'],
    ],
  },
  'solve-embedded': {
    command: ({ figures }) => [
      ...[STEPTREE, 'solve', '--problem', figures, '--id', 'figmath-test-1-000000'],
      ...['--strategy', 'beam', '--n', '256', '--quiet', '--max-tokens', '160'],
    ],
  },
  'solve-instant': {
    command: ({ sides }) => [
      ...[STEPTREE, 'solve', '--problem', sides, '--id', 'side-0', '--policy', 'simulated'],
      ...['--strategy', 'majority', '--n', '50000', '--quiet'],
    ],
  },
  'solve-server': {
    command: ({ sides, serverUrl }) => [
      ...[STEPTREE, 'solve', '--problem', sides, '--id', 'side-0', '--policy', serverUrl],
      ...['--strategy', 'majority', '--n', '8192', '--samples-per-request', '16', '--quiet'],
    ],
  },
  'serve-embedded': {
    command: () => [STEPTREE, 'serve', '--port', '0', '--json', '--log-level', 'error'],
    requests: async ({ figures }) => {
      const [line = ''] = (await readFile(figures, 'utf8')).split('\n');
      const { question, image } = JSON.parse(line);
      const picture = await readFile(join(figures, '..', image), 'base64');
      const url = `data:image/png;base64,${picture}`;
      const content = [
        { type: 'image_url', image_url: { url } },
        { type: 'text', text: question },
      ];
      const messages = [{ role: 'user', content }];
      return {
        body: JSON.stringify({ model: 'steptree/best-of-n', messages, steptree: { n: 8 } }),
        count: 150,
      };
    },
  },
  'serve-instant': {
    command: () => [INSTANT_SERVICE],
    requests: async () => serviceLoad('steptree/greedy', 'What is 6 times 7?', 8_000),
  },
  'serve-server': {
    command: ({ serverUrl }) => [
      ...[STEPTREE, 'serve', '--policy', serverUrl, '--port', '0', '--json'],
      ...['--log-level', 'error'],
    ],
    requests: async () =>
      serviceLoad('steptree/majority', occupancyProblems(1)[0]?.question ?? '', 1_500),
  },
};

function serviceLoad(model: string, question: string, count: number): ServiceLoad {
  return {
    body: JSON.stringify({ model, messages: [{ role: 'user', content: question }] }),
    count,
  };
}

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
    };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

interface Cost {
  readonly what: string;
  readonly share: number;
  readonly ms: number;
}

async function profileCase(name: string, one: ProfileCase, setting: Setting) {
  const profiles = await mkdtemp(join(setting.dir, 'profiles-'));
  const args = ['--cpu-prof', '--cpu-prof-dir', profiles, '--cpu-prof-interval', '500'];
  const child = spawn(process.execPath, [...args, ...one.command(setting)], {
    stdio: ['ignore', one.requests ? 'pipe' : 'ignore', 'inherit'],
    cwd: setting.dir,
  });
  const exited = once(child, 'exit');
  if (one.requests && child.stdout) {
    const [line] = await once(createInterface({ input: child.stdout }), 'line');
    const first = String(line);
    const url = first.startsWith('{') ? String(JSON.parse(first).url) : first;
    await load(`${url}/v1/chat/completions`, await one.requests(setting));
    child.kill('SIGTERM');
  }
  const [code] = await exited;
  if (code !== 0) throw new Error(`${name} exited with ${code}`);
  await rm(join(setting.dir, 'run'), { recursive: true, force: true });
  const files = (await readdir(profiles)).filter(
    (file) => file.split('.')[3] === String(child.pid),
  );
  const read = async (file: string) =>
    JSON.parse(await readFile(join(profiles, file), 'utf8')) as CpuProfile;
  // CPU.<date>.<time>.<pid>.<thread>.<n>.cpuprofile
  const main = files.filter((file) => file.split('.')[4] === '0');
  const threads = files.filter((file) => file.split('.')[4] !== '0');
  return {
    name,
    main: selfTimes(await Promise.all(main.map(read))),
    threads: selfTimes(await Promise.all(threads.map(read))),
  };
}

/** So many requests over 16 connections; a refusal for want of room is tried again. */
async function load(url: string, { body, count }: ServiceLoad): Promise<void> {
  let left = count;
  const client = async () => {
    while (left-- > 0) {
      const headers = { 'content-type': 'application/json' };
      const reply = await request(url, { method: 'POST', headers, body });
      const text = await reply.body.text();
      if (reply.statusCode !== 200) throw new Error(`HTTP ${reply.statusCode}: ${text}`);
    }
  };
  await Promise.all(Array.from({ length: 16 }, client));
}

function selfTimes(profiles: readonly CpuProfile[]): {
  readonly ms: number;
  readonly costs: Cost[];
} {
  const times = new Map<string, number>();
  let total = 0;
  for (const { nodes, samples, timeDeltas } of profiles) {
    const names = new Map(nodes.map(({ id, callFrame }) => [id, frameName(callFrame)]));
    for (const [index, id] of samples.entries()) {
      const name = names.get(id) ?? '';
      if (name === '(idle)' || name === '(root)') continue;
      const ms = (timeDeltas[index] ?? 0) / 1000;
      total += ms;
      times.set(name, (times.get(name) ?? 0) + ms);
    }
  }
  const costs = [...times]
    .map(([what, ms]) => ({ what, ms: Math.round(ms), share: ms / total }))
    .sort((a, b) => b.ms - a.ms);
  return { ms: Math.round(total), costs };
}

/** Functions of packages count as their package, ours as function and file. */
function frameName({ functionName, url }: CpuProfile['nodes'][number]['callFrame']): string {
  if (url === '') return functionName === '' ? '(anonymous native)' : functionName;
  const packaged = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1];
  if (packaged) return packaged;
  if (url.startsWith('node:')) return url;
  return `${functionName || '(anonymous)'} ${url.replace(/^.*\/dist\//, '')}`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: Object.keys(CASES).join(',') },
      top: { type: 'string', default: '10' },
      out: { type: 'string' },
    },
  });
  const dir = await mkdtemp(join(tmpdir(), 'steptree-profile-'));
  const problems = occupancyProblems(64);
  const server = await startSimulatedServer({
    problems,
    policy: OCCUPANCY_SETTINGS.model,
    speedup: 16,
  });
  try {
    const sides = join(dir, 'sides.jsonl');
    await writeFile(sides, problems.map((one) => `${JSON.stringify(one)}\n`).join(''));
    const figures = join(dir, 'figures');
    const figmath = spawn(process.execPath, [
      ...[STEPTREE, 'figmath', '--count', '12', '--out', figures],
    ]);
    await once(figmath, 'exit');
    const setting = {
      dir,
      sides,
      figures: join(figures, 'problems.jsonl'),
      serverUrl: server.url,
    };
    const results = [];
    for (const name of values.only.split(',')) {
      const one = CASES[name];
      if (one === undefined) throw new Error(`no such case: ${name}`);
      const result = await profileCase(name, one, setting);
      results.push(result);
      for (const part of ['main', 'threads'] as const) {
        const { ms, costs } = result[part];
        if (ms === 0) continue;
        process.stdout.write(`\n${name}, ${part}: ${ms} ms\n`);
        for (const { what, share, ms: own } of costs.slice(0, Number(values.top))) {
          process.stdout.write(`  ${(100 * share).toFixed(1).padStart(5)} %  ${own} ms  ${what}\n`);
        }
      }
    }
    const top = results.map(({ name, main: all, threads }) => ({
      name,
      main: { ms: all.ms, costs: all.costs.slice(0, Number(values.top)) },
      threads: { ms: threads.ms, costs: threads.costs.slice(0, Number(values.top)) },
    }));
    const facts = { bench: 'profile', ...benchFacts(), results: top };
    if (values.out) await writeFile(values.out, `${JSON.stringify(facts, null, 2)}\n`);
  } finally {
    await server.close();
    await rm(dir, { recursive: true, force: true });
  }
}

await main();
