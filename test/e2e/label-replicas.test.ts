import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import {
  type SimulatedServer,
  startSimulatedServer,
} from '../../bench/servers/simulated-server.js';
import { runCli, simpleProblems, temporaryFolder, writeJsonl } from '../support/cli.js';

const folder = temporaryFolder();
const rows = simpleProblems(40);
const problems = writeJsonl(join(folder, 'problems.jsonl'), rows);

function start(port = 0, speedup = 100): Promise<SimulatedServer> {
  return startSimulatedServer({
    problems: rows.map((row) => ({ ...row, images: [] })),
    speedup,
    port,
  });
}

function label(out: string, servers: readonly SimulatedServer[]) {
  const urls = servers.map((server) => server.url).join(',');
  return runCli([
    ...['label', problems, '--out', out, '--policy', urls, '--continuation', 'prefill', '--json'],
    ...['--rollout-budget', '100', '--num-rollouts', '8', '--quiet', '--retry-base-ms', '5'],
  ]);
}

interface RunFile {
  readonly problems: { readonly done: number; readonly failed: number };
  readonly policyStats: {
    readonly replicas: readonly { readonly calls: number; readonly ejections: number }[];
  };
}

it('a replica that dies in the middle and comes back costs no problem and changes no label', async () => {
  const servers = await Promise.all([start(), start(), start()]);
  const reference = join(folder, 'reference');
  const out = join(folder, 'run');
  try {
    expect(await label(reference, servers)).toMatchObject({ code: 0 });
    for (const server of servers) server.resetStats();
    const running = label(out, servers);
    const [, , doomed] = servers;
    if (doomed === undefined) throw new Error('three servers were started');
    const third = Math.floor(sequencesOf(reference) / 9);
    while (doomed.stats().finishedSequences < third) await passing(5);
    // All its connections break, with the calls on them.
    await doomed.close();
    // Long enough for the others to take over.
    const [other] = servers;
    const before = other?.stats().finishedSequences ?? 0;
    while ((other?.stats().finishedSequences ?? 0) < before + third / 2) await passing(5);
    servers[2] = await start(Number(new URL(doomed.url).port));
    expect(await running).toMatchObject({ code: 0 });
  } finally {
    await Promise.all(servers.map((server) => server.close()));
  }
  const run = JSON.parse(readFileSync(join(out, 'run.json'), 'utf8')) as RunFile;
  expect(run.problems).toMatchObject({ done: 40, failed: 0 });
  expect(run.policyStats.replicas[2]?.ejections).toBeGreaterThan(0);
  expect(run.policyStats.replicas[0]?.calls).toBeGreaterThan(0);
  expect(readFileSync(join(out, 'labels.jsonl'), 'utf8')).toBe(
    readFileSync(join(reference, 'labels.jsonl'), 'utf8'),
  );
}, 120_000);

function sequencesOf(dir: string): number {
  return JSON.parse(readFileSync(join(dir, 'run.json'), 'utf8')).rollouts;
}

function passing(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
