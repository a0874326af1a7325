import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { startSimulatedServer } from '../../bench/servers/simulated-server.js';
import { createRandom, deriveSeed } from '../../search/index.js';
import { RunStore } from '../../src/runtime/run-store.js';
import { runCli, simpleProblems, startCli, temporaryFolder, writeJsonl } from '../support/cli.js';

const KILLS = 20;
const SEED = 3;
const folder = temporaryFolder();

it('killed 20 times at random moments, a run ends with the same bytes and pays for no stored reply again', {
  timeout: 600_000,
}, async () => {
  const rows = simpleProblems(48);
  const problems = writeJsonl(join(folder, 'problems.jsonl'), rows);
  const server = await startSimulatedServer({
    problems: rows.map((row) => ({ ...row, images: [] })),
    speedup: 40,
  });
  const watched = await watchingProxy(server.url);
  const command = (out: string) => [
    ...['label', problems, '--out', out, '--policy', watched.url, '--seed', `${SEED}`],
    ...['--rollout-budget', '100', '--num-rollouts', '8', '--concurrency', '8'],
    ...['--continuation', 'prefill', '--keep-replies', '--json', '--quiet'],
  ];
  try {
    const reference = join(folder, 'uninterrupted');
    expect(await runCli(command(reference))).toMatchObject({ code: 0 });
    const calls = watched.seeds.length;

    const out = join(folder, 'killed');
    const random = createRandom('kills');
    watched.seeds.length = 0;
    let paidAgain = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const stored = storedSeeds(out);
      const from = watched.seeds.length;
      const run = startCli(command(out));
      await watched.after(from + 1 + Math.floor(random() * (calls / KILLS) * 1.2));
      run.child.kill('SIGKILL');
      expect((await run.ended).signal).toBe('SIGKILL');
      paidAgain += watched.seeds.slice(from).filter((seed) => stored.has(seed)).length;
    }
    const stored = storedSeeds(out);
    expect(stored.size).toBeGreaterThan(calls / 4);
    const from = watched.seeds.length;
    const last = await runCli(command(out));
    expect(last).toMatchObject({ code: 0 });
    expect(JSON.parse(last.stdout)).toMatchObject({ problems: { done: rows.length, failed: 0 } });
    paidAgain += watched.seeds.slice(from).filter((seed) => stored.has(seed)).length;

    expect(paidAgain).toBe(0);
    expect(readTrees(out)).toEqual(readTrees(reference));
    const labels = (dir: string) => readFileSync(join(dir, 'labels.jsonl'), 'utf8');
    expect(labels(out)).toBe(labels(reference));
  } finally {
    await watched.close();
    await server.close();
  }
});

it('stopped by SIGINT it finishes writing, exits with 130 and resumes to the same bytes', {
  timeout: 600_000,
}, async () => {
  const problems = writeJsonl(join(folder, 'sigint.jsonl'), simpleProblems(64));
  const command = (out: string) => [
    ...['label', problems, '--out', out, '--policy', 'simulated', '--json', '--quiet'],
    ...['--simulated-latency-ms', '40', '--concurrency', '8'],
  ];
  const reference = join(folder, 'sigint-reference');
  expect(await runCli(command(reference))).toMatchObject({ code: 0 });
  const out = join(folder, 'sigint-run');
  const run = startCli(command(out));
  while (!existsSync(join(out, 'trees')) || readdirSync(join(out, 'trees')).length < 8) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  run.child.kill('SIGINT');
  const stopped = await run.ended;
  expect(stopped).toMatchObject({ code: 130, signal: null });
  const status = JSON.parse(readFileSync(join(out, 'run.json'), 'utf8')) as { status: string };
  expect(status.status).toBe('interrupted');
  expect(readTrees(out).length).toBeLessThan(64);
  const resumed = await runCli(command(out));
  expect(JSON.parse(resumed.stdout)).toMatchObject({ status: 'done', problems: { done: 64 } });
  expect(readTrees(out)).toEqual(readTrees(reference));
});

/** Seeds of all calls whose replies are in the store. */
function storedSeeds(out: string): Set<number> {
  const seeds = new Set<number>();
  if (!existsSync(join(out, 'store'))) return seeds;
  const store = new RunStore(join(out, 'store'));
  for (let ordinal = 0; ordinal < 48; ordinal++) {
    for (const [key] of store.storedReplies(ordinal)) {
      // `sample <purpose> <until> <hash> <first> <n>`
      const [kind, purpose, until, hash, first] = key.split(' ');
      if (kind !== 'sample') continue;
      seeds.add(deriveSeed(SEED, `p${ordinal}`, `${purpose} ${until} ${hash}`, Number(first)));
    }
  }
  void store.close();
  return seeds;
}

function readTrees(out: string): [string, string][] {
  const dir = join(out, 'trees');
  return readdirSync(dir)
    .sort()
    .map((name) => [name, readFileSync(join(dir, name), 'utf8')]);
}

/** Passes everything on to `target` and remembers the seed of every completion request. */
async function watchingProxy(target: string) {
  const seeds: number[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  const pass = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    if (incoming.method === 'POST') {
      seeds.push((JSON.parse(body.toString('utf8')) as { seed: number }).seed);
      for (const one of waiting) if (seeds.length >= one.count) one.resolve();
    }
    const { origin } = new URL(target);
    const onward = request(`${origin}${incoming.url}`, {
      method: incoming.method,
      headers: incoming.headers,
    });
    onward.on('response', (reply) => {
      outgoing.writeHead(reply.statusCode ?? 502, reply.headers);
      reply.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    outgoing.on('close', () => onward.destroy());
    onward.end(body);
  };
  const proxy = createServer((incoming, outgoing) => {
    pass(incoming, outgoing).catch(() => outgoing.destroy());
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const { port } = proxy.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    seeds,
    after: (count: number) =>
      new Promise<void>((resolve) => {
        if (seeds.length >= count) resolve();
        else waiting.push({ count, resolve });
      }),
    close: async () => {
      proxy.closeAllConnections();
      proxy.close();
      await once(proxy, 'close');
    },
  };
}
