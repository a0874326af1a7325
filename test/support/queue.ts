/** Runs over a queue, as tests start them: a Redis of their own, workers in processes, the coordinator here. */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, expect } from 'vitest';
import type { LabelSummary } from '../../src/cli/label.js';
import type { WorkerSummary } from '../../src/queue/worker-activity.js';
import { type runCli, startCli, temporaryFolder } from './cli.js';
import { startRedis, type TestRedis } from './redis.js';

// What the command runs, in this process: a coordinator's start costs more than its run.
type LabelModule = typeof import('../../src/cli/label.js');
type LabelOptionsModule = typeof import('../../src/cli/label-options.js');
const { label } = (await import(resolve('dist/src/cli/label.js'))) as LabelModule;
const { parseLabelOptions } = (await import(
  resolve('dist/src/cli/label-options.js')
)) as LabelOptionsModule;

/** Goes with the test file. */
export const folder = temporaryFolder();
export const SEED = 5;
/** Quick trees: a few calls of 16 rollouts each. */
export const QUICK = { seed: SEED, policy: 'simulated', rolloutBudget: 64, numRollouts: 8 };
/** What a test leaves to be closed after it. */
export const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

export async function testRedis(
  options: Parameters<typeof startRedis>[1] = {},
): Promise<TestRedis> {
  const dir = join(folder, `redis-${closing.length}-${Math.random().toString(36).slice(2)}`);
  mkdirSync(dir);
  const redis = await startRedis(dir, options);
  closing.push(redis.close);
  return redis;
}

export interface TestWorker {
  readonly child: ChildProcess;
  readonly ended: ReturnType<typeof runCli>;
  /** Resolves once it has opened a run's models. */
  working(): Promise<void>;
  /** Stops it and waits for its end. */
  stopped(): ReturnType<typeof runCli>;
  drained(): Promise<WorkerSummary>;
}

export function startWorker({ url }: Pick<TestRedis, 'url'>, ...args: string[]): TestWorker {
  return startWorkerBy([], url, ...args);
}

export function startWorkerBy(by: readonly string[], url: string, ...args: string[]): TestWorker {
  const command = ['worker', '--queue', url, '--json', '--quiet', ...args];
  const { child, ended } = startCli(command, {}, by);
  let text = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  closing.push(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await ended;
  });
  const stopped = () => {
    child.kill('SIGTERM');
    return ended;
  };
  return {
    child,
    ended,
    working: async () => {
      while (!/: run [0-9a-f]{16}: /.test(text)) {
        if (child.exitCode !== null) throw new Error(`the worker ended: ${text}`);
        await wait(20);
      }
    },
    stopped,
    drained: async () => {
      const { code, stdout, stderr } = await stopped();
      expect(stderr, 'stderr of a worker that was stopped').not.toContain('[QUEUE_');
      expect(code).toBe(0);
      return JSON.parse(stdout) as WorkerSummary;
    },
  };
}

let runs = 0;

export async function local(
  problems: string,
  options: Record<string, unknown>,
): Promise<{ out: string; summary: LabelSummary }> {
  const out = join(folder, `local-${runs++}`);
  const io = { signal: new AbortController().signal, quiet: true, log: () => {} };
  return { out, summary: await label(problems, out, parseLabelOptions(options), io) };
}

export async function queued(
  problems: string,
  { url }: TestRedis,
  options: Record<string, unknown>,
  io: { out?: string; signal?: AbortSignal; log?: string[] } = {},
): Promise<{ out: string; summary: LabelSummary }> {
  const { out = join(folder, `queued-${runs++}`), signal = new AbortController().signal } = io;
  const parsed = parseLabelOptions({ ...options, queue: url });
  const log = (line: string) => {
    io.log?.push(line);
  };
  return { out, summary: await label(problems, out, parsed, { signal, quiet: true, log }) };
}

/** labels.jsonl and failed.jsonl and every tree and picture, byte for byte. */
export function filesOf(out: string): Record<string, string> {
  const names = ['labels.jsonl', 'failed.jsonl'];
  for (const dir of ['trees', 'images']) {
    names.push(...readdirIfThere(join(out, dir)).map((name) => join(dir, name)));
  }
  return Object.fromEntries(
    names.sort().map((name) => [name, readFileSync(join(out, name), 'latin1')]),
  );
}

export function readdirIfThere(dir: string): string[] {
  try {
    return readdirSync(dir).filter((name) => !name.startsWith('.'));
  } catch {
    return [];
  }
}

export function without(
  summary: LabelSummary,
  ...names: (keyof LabelSummary)[]
): Partial<LabelSummary> {
  return Object.fromEntries(
    Object.entries(summary).filter(([name]) => !names.includes(name as keyof LabelSummary)),
  );
}

export async function storedReplies({ client }: TestRedis, atLeast: number): Promise<void> {
  for (;;) {
    const keys = await client.keys('steptree:run:*:replies:*');
    const sizes = await Promise.all(keys.map((key) => client.hlen(key)));
    if (sizes.reduce((sum, size) => sum + size, 0) >= atLeast) return;
    await wait(20);
  }
}

/** Waits until so many tries of problems, all together, count since their last replies. */
export async function triesCounted(
  { client }: TestRedis,
  atLeast: number,
  atMost = Number.POSITIVE_INFINITY,
): Promise<void> {
  for (;;) {
    const [key] = await client.keys('steptree:run:*:tries');
    const texts = key === undefined ? [] : await client.hvals(key);
    // `replies;token;token;`
    const count = texts.reduce((sum, text) => sum + text.split(';').length - 2, 0);
    if (count >= atLeast && count <= atMost) return;
    await wait(20);
  }
}

export async function resultsIn({ client }: TestRedis): Promise<number> {
  const [key] = await client.keys('steptree:run:*:results');
  return key === undefined ? 0 : client.hlen(key);
}

export function waitingJobs({ client }: TestRedis, queueName = 'label'): Promise<number> {
  return client.llen(`steptree:jobs:${queueName}:wait`);
}
