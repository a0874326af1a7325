import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import sharp from 'sharp';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { LabelSummary } from '../../src/cli/label.js';
import type { WorkerSummary } from '../../src/queue/worker-activity.js';
import { sendTexts, startScriptedServer } from '../policy/openai/scripted-server.js';
import {
  readJsonl,
  runCli,
  simpleProblems,
  startCli,
  temporaryFolder,
  writeJsonl,
} from '../support/cli.js';
import { type CutNetwork, cutNetwork } from '../support/network.js';
import { hasRedis, startRedis, type TestRedis } from '../support/redis.js';

// What the command runs, in this process: a coordinator's start costs more than its run.
type LabelModule = typeof import('../../src/cli/label.js');
type LabelOptionsModule = typeof import('../../src/cli/label-options.js');
const { label } = (await import(resolve('dist/src/cli/label.js'))) as LabelModule;
const { parseLabelOptions } = (await import(
  resolve('dist/src/cli/label-options.js')
)) as LabelOptionsModule;

const folder = temporaryFolder();
const SEED = 5;
/** Quick trees: a few calls of 16 rollouts each. */
const QUICK = { seed: SEED, policy: 'simulated', rolloutBudget: 64, numRollouts: 8 };
const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

describe.skipIf(!hasRedis)('a run over a queue (needs redis-server)', () => {
  it('gives the bytes of a local run, pictures, failures and recording included', async () => {
    const redis = await testRedis();
    const problems = await problemsWithPictures();
    const options = { ...QUICK, maxSteps: 6 };
    const here = await local(problems, { ...options, record: join(folder, 'here.jsonl') });
    const workers = [startWorker(redis), startWorker(redis, '--concurrency', '3')];
    const record = join(folder, 'there.jsonl');
    const there = await queued(problems, redis, { ...options, record, queueWindow: 4 });
    expect(there.summary).toMatchObject({ ...without(here.summary, 'seconds', 'replayed') });
    expect(there.summary.problems).toEqual({ done: 12, failed: 1, total: 13 });
    expect(filesOf(there.out)).toEqual(filesOf(here.out));
    expect(readFileSync(record, 'utf8')).toBe(readFileSync(join(folder, 'here.jsonl'), 'utf8'));
    const sums = await Promise.all(workers.map((worker) => worker.drained()));
    expect(sums.reduce((sum, { done }) => sum + done, 0)).toBe(12);
    // Nothing of the run is left in Redis but that it was there.
    const left = await redis.client.keys('steptree:run:*');
    expect(left.map((key) => key.split(':').at(-1))).toEqual(['meta']);
    expect(await redis.client.keys('steptree:workers:*')).toEqual([]);
    const run = JSON.parse(readFileSync(join(there.out, 'run.json'), 'utf8'));
    expect(run).toMatchObject({ queue: redis.url, policyStats: { queue: redis.url } });
  });

  it('loses nothing when workers are killed every second, and the trees are the same', async () => {
    const redis = await testRedis();
    const problems = writeJsonl(join(folder, 'kills.jsonl'), simpleProblems(24));
    const here = await local(problems, QUICK);
    const run = queued(problems, redis, { ...QUICK, simulatedLatencyMs: 150 });
    let ended = false;
    const finished = run.finally(() => {
      ended = true;
    });
    let kills = 0;
    const steady = startWorker(redis, '--lock-ms', '1000', '--concurrency', '2');
    while (!ended) {
      const victim = startWorker(redis, '--lock-ms', '1000', '--concurrency', '6');
      await Promise.race([victim.working(), finished]);
      await Promise.race([wait(1_000), finished]);
      if (ended) await victim.drained();
      else {
        victim.child.kill('SIGKILL');
        await victim.ended;
        kills++;
      }
    }
    const { out, summary } = await finished;
    expect(kills).toBeGreaterThanOrEqual(2);
    expect(summary.problems).toMatchObject({ done: 24, failed: 0 });
    expect(filesOf(out)).toEqual(filesOf(here.out));
    await steady.drained();
  });

  it('a worker that is stopped hands its problems back, and another goes on at once', async () => {
    const redis = await testRedis();
    const problems = writeJsonl(join(folder, 'drain.jsonl'), simpleProblems(6));
    const here = await local(problems, QUICK);
    const run = queued(problems, redis, { ...QUICK, simulatedLatencyMs: 400 });
    // With its lock, not handed back, a problem would be away for two minutes.
    const lock = ['--lock-ms', '60000'];
    const first = startWorker(redis, ...lock, '--drain-ms', '0', '--concurrency', '4');
    await first.working();
    await storedReplies(redis, 4);
    expect(await redis.client.llen('steptree:jobs:label:active')).toBe(4);
    const drained = await first.drained();
    expect(drained.handedBack).toBe(4);
    const second = startWorker(redis, ...lock, '--concurrency', '6', '--simulated-latency-ms', '0');
    const { out } = await run;
    expect(filesOf(out)).toEqual(filesOf(here.out));
    // With time to drain it ends what it has begun.
    const last = await second.drained();
    expect(last).toMatchObject({ handedBack: 0, failed: 0 });
  });

  it('a problem that kills its worker again and again has failed, with a code', async () => {
    const redis = await testRedis();
    const problems = writeJsonl(join(folder, 'poison.jsonl'), simpleProblems(1));
    const options = { ...QUICK, simulatedLatencyMs: 600_000, queueMaxLosses: 1 };
    const run = queued(problems, redis, options);
    const worker = startWorker(redis, '--lock-ms', '300');
    await triesCounted(redis, 1);
    worker.child.kill('SIGKILL');
    await worker.ended;
    startWorker(redis, '--lock-ms', '300');
    const { out, summary } = await run;
    expect(summary.problems).toMatchObject({ done: 0, failed: 1 });
    const [line] = readJsonl<{ id: string; code: string; message: string }>(
      join(out, 'failed.jsonl'),
    );
    expect(line).toMatchObject({ id: 'p0', code: 'QUEUE_JOB_LOST_WORKERS' });
    expect(line?.message).toContain('lost its worker 1 times without a new reply');
  });

  it('workers that were only slow are no losses of their problem', async () => {
    const redis = await testRedis();
    const problems = writeJsonl(join(folder, 'slow.jsonl'), simpleProblems(1));
    const run = queued(problems, redis, { ...QUICK, queueMaxLosses: 2 });
    const lock = ['--lock-ms', '300', '--simulated-latency-ms'];
    const slow = startWorker(redis, ...lock, '1500');
    await triesCounted(redis, 1);
    slow.child.kill('SIGSTOP');
    const stuck = startWorker(redis, ...lock, '600000');
    await triesCounted(redis, 2);
    slow.child.kill('SIGCONT');
    // Its reply comes, the job is another's, and it says that it lives.
    await triesCounted(redis, 1, 1);
    for (const { child, ended } of [slow, stuck]) {
      child.kill('SIGKILL');
      await ended;
    }
    startWorker(redis, '--lock-ms', '300');
    expect((await run).summary.problems).toMatchObject({ done: 1, failed: 0 });
  });

  it('a problem that kills its worker fails alone: those that shared the worker are done', async () => {
    const redis = await testRedis();
    let victim: TestWorker | undefined;
    const server = await startScriptedServer((call) => {
      const text = JSON.stringify(call.body.messages);
      // A worker that runs the bad one never lives to see the reply of another.
      if (text.includes('killer')) setTimeout(() => victim?.child.kill('SIGKILL'), 200);
      else setTimeout(() => sendTexts(call, 'We add.\n\nAnswer: 7'), 800);
    });
    closing.push(() => server.close());
    const rows = simpleProblems(4).map((row) => ({ ...row, answer: '7' }));
    rows[1] = { id: 'bad', question: 'A killer?', answer: '7' };
    const problems = writeJsonl(join(folder, 'company.jsonl'), rows);
    const options = { ...QUICK, policy: `${server.url}/v1`, queueMaxLosses: 3 };
    let ended = false;
    const run = queued(problems, redis, options).finally(() => {
      ended = true;
    });
    let lost = 0;
    while (!ended) {
      victim = startWorker(redis, '--lock-ms', '400', '--concurrency', '4');
      await Promise.race([victim.ended, run]);
      if (!ended) lost++;
    }
    const { out, summary } = await run;
    expect(summary.problems).toMatchObject({ done: 3, failed: 1 });
    expect(readFileSync(join(out, 'failed.jsonl'), 'utf8')).toContain('"id":"bad"');
    expect(lost).toBe(3);
    await victim?.drained();
  });

  it.each([
    ['with its data', true],
    ['without its data', false],
  ])('goes on when Redis crashes and comes back %s', async (_, persist) => {
    const redis = await testRedis({ persist });
    const problems = writeJsonl(join(folder, `restart-${persist}.jsonl`), simpleProblems(10));
    const here = await local(problems, QUICK);
    const log: string[] = [];
    const run = queued(problems, redis, { ...QUICK, simulatedLatencyMs: 150 }, { log });
    const worker = startWorker(redis, '--lock-ms', '2000', '--concurrency', '5');
    await worker.working();
    await storedReplies(redis, 5);
    await redis.kill();
    await wait(700);
    await redis.start();
    const { out, summary } = await run;
    expect(summary.problems).toMatchObject({ done: 10, failed: 0 });
    expect(filesOf(out)).toEqual(filesOf(here.out));
    expect(log.join('\n')).toMatch(/can't be reached.*trying again/);
    expect(log.join('\n')).toMatch(/is back after/);
    expect(/Redis has lost its data/.test(log.join('\n'))).toBe(!persist);
    // Replies of before the crash are not paid for again: the worker had them still.
    const { rollouts } = await worker.drained();
    expect(rollouts).toBeLessThanOrEqual(2 * summary.rollouts);
  });

  it('a coordinator that is killed collects what was finished meanwhile', async () => {
    const redis = await testRedis();
    const problems = writeJsonl(join(folder, 'coordinator.jsonl'), simpleProblems(12));
    const here = await local(problems, QUICK);
    const out = join(folder, 'coordinator');
    const first = startCli([
      ...['label', problems, '--out', out, '--queue', redis.url, '--seed', `${SEED}`, '--quiet'],
      ...['--policy', 'simulated', '--rollout-budget', '64', '--num-rollouts', '8'],
    ]);
    const slow = ['--simulated-latency-ms', '30', '--concurrency', '2'];
    const worker = startWorker(redis, ...slow);
    while (readdirIfThere(join(out, 'trees')).length < 3) await wait(20);
    first.child.kill('SIGKILL');
    await first.ended;
    const settled = readdirIfThere(join(out, 'trees')).length;
    // The worker goes through the window without anybody to collect.
    while ((await resultsIn(redis)) < 12 - settled) await wait(20);
    const drained = await worker.drained();
    const again = await queued(problems, redis, QUICK, { out });
    expect(again.summary.problems).toMatchObject({ done: 12, failed: 0 });
    expect(filesOf(out)).toEqual(filesOf(here.out));
    expect(drained.done).toBe(12);
  });

  it('an interrupted run takes back what nobody has begun, and resumes', async () => {
    const redis = await testRedis();
    const problems = writeJsonl(join(folder, 'interrupt.jsonl'), simpleProblems(8));
    const here = await local(problems, QUICK);
    const abort = new AbortController();
    const out = join(folder, 'interrupted');
    const run = queued(problems, redis, QUICK, { out, signal: abort.signal });
    while ((await waitingJobs(redis)) < 8) await wait(20);
    abort.abort(new DOMException('interrupted', 'AbortError'));
    expect((await run).summary.status).toBe('interrupted');
    expect(await waitingJobs(redis)).toBe(0);
    const worker = startWorker(redis);
    const resumed = await queued(problems, redis, QUICK, { out });
    expect(resumed.summary.problems.done).toBe(8);
    expect(filesOf(out)).toEqual(filesOf(here.out));
    await worker.drained();
  });

  it('never has more problems in the queue than the window', async () => {
    const redis = await testRedis();
    const problems = writeJsonl(join(folder, 'window.jsonl'), simpleProblems(60));
    const abort = new AbortController();
    const options = { ...QUICK, queueWindow: 5, queueName: 'other' };
    const run = queued(problems, redis, options, { signal: abort.signal });
    while ((await waitingJobs(redis, 'other')) < 5) await wait(20);
    await wait(500);
    expect(await waitingJobs(redis, 'other')).toBe(5);
    expect(await waitingJobs(redis)).toBe(0);
    abort.abort(new DOMException('interrupted', 'AbortError'));
    await run;
  });

  it('failures of a policy are the same as here, and a worker that only fails stops', async () => {
    const redis = await testRedis();
    const problems = writeJsonl(join(folder, 'misses.jsonl'), simpleProblems(3));
    const empty = writeJsonl(join(folder, 'empty.jsonl'), []);
    const options = { ...QUICK, policy: `recorded:${empty}` };
    const here = await local(problems, options);
    const worker = startWorker(redis, '--max-failures-in-a-row', '4');
    const there = await queued(problems, redis, options);
    expect(there.summary.problems).toMatchObject({ done: 0, failed: 3 });
    const failed = (out: string) => readFileSync(join(out, 'failed.jsonl'), 'utf8');
    expect(failed(there.out)).toBe(failed(here.out));
    const abort = new AbortController();
    const again = queued(problems, redis, options, { signal: abort.signal });
    const { code, stderr } = await worker.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/RECORDED|rollouts of problem p0.*\[QUEUE_WORKER_POLICY_DOWN\]/s);
    // What it did not fail is in the queue still.
    while ((await waitingJobs(redis)) < 3) await wait(20);
    abort.abort(new DOMException('interrupted', 'AbortError'));
    await again;
  });

  it('a worker of another version or with another policy refuses to help', async () => {
    const redis = await testRedis();
    const problems = writeJsonl(join(folder, 'versions.jsonl'), simpleProblems(1));
    const empty = writeJsonl(join(folder, 'nothing.jsonl'), []);
    const abort = new AbortController();
    const run = queued(problems, redis, QUICK, { signal: abort.signal });
    while ((await waitingJobs(redis)) < 1) await wait(20);
    const wrongPolicy = await startWorker(redis, '--policy', `recorded:${empty}`).ended;
    expect(wrongPolicy.code).toBe(2);
    expect(wrongPolicy.stderr).toMatch(/host is "recorded" here and "simulated" in the run/);
    expect(wrongPolicy.stderr).toContain('[QUEUE_POLICY_DIFFERS]');
    const [meta = ''] = await redis.client.keys('steptree:run:*:meta');
    await redis.client.hset(meta, 'version', '9.9.9');
    const wrongVersion = await startWorker(redis).ended;
    expect(wrongVersion.code).toBe(2);
    expect(wrongVersion.stderr).toMatch(/coordinator of run \w+ is 9\.9\.9; install the same/);
    expect(wrongVersion.stderr).toContain('[QUEUE_VERSION_DIFFERS]');
    // The job is back in the queue.
    expect(await waitingJobs(redis)).toBe(1);
    abort.abort(new DOMException('interrupted', 'AbortError'));
    await run;
  });

  it('takes the password from the environment and shows it nowhere', async () => {
    const password = 'open-sesame-7';
    const redis = await testRedis({ password });
    const problems = writeJsonl(join(folder, 'password.jsonl'), simpleProblems(2));
    const out = join(folder, 'password');
    const command = ['label', problems, '--out', out, '--policy', 'simulated', '--queue'];
    const wrong = await runCli([...command, redis.url.replace('//', '//:wrong-one@')]);
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toContain('[QUEUE_REFUSED]');
    expect(wrong.stderr).not.toContain('wrong-one');
    const missing = await runCli([...command, redis.url, '--queue-password-env', 'NO_SUCH_ONE']);
    expect(missing).toMatchObject({ code: 2 });
    expect(missing.stderr).toContain('[QUEUE_PASSWORD_MISSING]');
    const named = redis.url.replace('//', `//:${password}@`);
    const worker = startWorker({ ...redis, url: named });
    const env = ['--queue-password-env', 'QUEUE_PASSWORD'];
    const run = await runCli([...command, redis.url, ...env], { QUEUE_PASSWORD: password });
    expect(run.code).toBe(0);
    const { stderr } = await worker.stopped();
    for (const text of [run.stderr, stderr, readFileSync(join(out, 'run.json'), 'utf8')]) {
      expect(text).not.toContain(password);
    }
    expect(stderr).toContain(redis.url);
  });

  it('waits for a Redis that is not there yet, and says so', async () => {
    const redis = await testRedis({ start: false });
    const problems = writeJsonl(join(folder, 'late.jsonl'), simpleProblems(2));
    const log: string[] = [];
    const run = queued(problems, redis, QUICK, { log });
    while (!log.some((line) => line.includes('ECONNREFUSED'))) await wait(20);
    await redis.start();
    const worker = startWorker(redis);
    expect((await run).summary.problems.done).toBe(2);
    await worker.drained();
  });

  it('ends at once when it is interrupted while Redis is away', async () => {
    const redis = await testRedis();
    const problems = writeJsonl(join(folder, 'away.jsonl'), simpleProblems(2));
    const abort = new AbortController();
    const run = queued(problems, redis, QUICK, { signal: abort.signal });
    const worker = startWorker(redis, '--simulated-latency-ms', '600000', '--drain-ms', '0');
    await worker.working();
    await redis.kill();
    await wait(200);
    abort.abort(new DOMException('interrupted', 'AbortError'));
    expect((await run).summary.status).toBe('interrupted');
    worker.child.kill('SIGTERM');
    await worker.ended;
  });
});

const networks = hasRedis ? cutNetwork() : null;
// Also where the test that uses it is not chosen to run.
afterAll(() => networks?.close());

describe.skipIf(!networks)('a worker on a network of its own (needs root and ip)', () => {
  it('whose link is cut loses its problems to another, and all is the same when it is back', async () => {
    const network = networks as CutNetwork;
    const redis = await testRedis({ bind: network.address });
    const problems = writeJsonl(join(folder, 'network.jsonl'), simpleProblems(12));
    const here = await local(problems, QUICK);
    const run = queued(problems, redis, { ...QUICK, simulatedLatencyMs: 200 });
    const far = startWorkerBy(
      ['ip', 'netns', 'exec', network.name],
      `redis://${network.address}:${redis.port}`,
      ...['--lock-ms', '2000', '--concurrency', '6', '--name', 'far'],
    );
    await far.working();
    await storedReplies(redis, 12);
    network.cut();
    const near = startWorker(redis, '--lock-ms', '2000', '--concurrency', '6', '--name', 'near');
    await near.working();
    // Longer than the lock: by then others have what it had.
    await wait(3_000);
    network.mend();
    const { out, summary } = await run;
    expect(summary.problems).toMatchObject({ done: 12, failed: 0 });
    expect(filesOf(out)).toEqual(filesOf(here.out));
    expect((await near.drained()).done).toBeGreaterThan(0);
    const { stderr } = await far.stopped();
    expect(stderr).toMatch(/can't be reached/);
    expect(stderr).toMatch(/is back after/);
  });
});

it('a bad address is refused without repeating it, and a worker needs one', async () => {
  const { code, stderr } = await runCli(['worker', '--queue', 'http://me:secret@host']);
  expect(code).toBe(2);
  expect(stderr).toContain('[QUEUE_URL_INVALID]');
  expect(stderr).not.toContain('secret');
  const none = await runCli(['worker']);
  expect(none.code).toBe(2);
  expect(none.stderr).toContain('--queue: a worker needs the URL of its queue');
});

async function testRedis(options: Parameters<typeof startRedis>[1] = {}): Promise<TestRedis> {
  const dir = join(folder, `redis-${closing.length}-${Math.random().toString(36).slice(2)}`);
  mkdirSync(dir);
  const redis = await startRedis(dir, options);
  closing.push(redis.close);
  return redis;
}

interface TestWorker {
  readonly child: ChildProcess;
  readonly ended: ReturnType<typeof runCli>;
  /** Resolves once it has opened a run's models. */
  working(): Promise<void>;
  /** Stops it and waits for its end. */
  stopped(): ReturnType<typeof runCli>;
  drained(): Promise<WorkerSummary>;
}

function startWorker({ url }: Pick<TestRedis, 'url'>, ...args: string[]): TestWorker {
  return startWorkerBy([], url, ...args);
}

function startWorkerBy(by: readonly string[], url: string, ...args: string[]): TestWorker {
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

async function local(
  problems: string,
  options: Record<string, unknown>,
): Promise<{ out: string; summary: LabelSummary }> {
  const out = join(folder, `local-${runs++}`);
  const io = { signal: new AbortController().signal, quiet: true, log: () => {} };
  return { out, summary: await label(problems, out, parseLabelOptions(options), io) };
}

async function queued(
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
function filesOf(out: string): Record<string, string> {
  const names = ['labels.jsonl', 'failed.jsonl'];
  for (const dir of ['trees', 'images']) {
    names.push(...readdirIfThere(join(out, dir)).map((name) => join(dir, name)));
  }
  return Object.fromEntries(
    names.sort().map((name) => [name, readFileSync(join(out, name), 'latin1')]),
  );
}

function readdirIfThere(dir: string): string[] {
  try {
    return readdirSync(dir).filter((name) => !name.startsWith('.'));
  } catch {
    return [];
  }
}

function without(summary: LabelSummary, ...names: (keyof LabelSummary)[]): Partial<LabelSummary> {
  return Object.fromEntries(
    Object.entries(summary).filter(([name]) => !names.includes(name as keyof LabelSummary)),
  );
}

/** Twelve problems, some with a picture in a file, some with one in the file, one picture shared; and
 *  one bad line. */
async function problemsWithPictures(): Promise<string> {
  const picture = (background: string) =>
    sharp({ create: { width: 8, height: 8, channels: 3, background } })
      .png()
      .toBuffer();
  const [red, blue] = await Promise.all([picture('red'), picture('blue')]);
  writeFileSync(join(folder, 'red.png'), red);
  const inside = `data:image/png;base64,${blue.toString('base64')}`;
  const rows: Record<string, unknown>[] = simpleProblems(12);
  for (const [i, row] of rows.entries()) {
    if (i % 3 === 1) row.image = 'red.png';
    if (i % 3 === 2) row.images = [inside, 'red.png'];
  }
  rows.splice(4, 0, { id: 'bad', question: 'What?' });
  return writeJsonl(join(folder, 'pictures.jsonl'), rows);
}

async function storedReplies({ client }: TestRedis, atLeast: number): Promise<void> {
  for (;;) {
    const keys = await client.keys('steptree:run:*:replies:*');
    const sizes = await Promise.all(keys.map((key) => client.hlen(key)));
    if (sizes.reduce((sum, size) => sum + size, 0) >= atLeast) return;
    await wait(20);
  }
}

/** Waits until so many tries of problems, all together, count since their last replies. */
async function triesCounted(
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

async function resultsIn({ client }: TestRedis): Promise<number> {
  const [key] = await client.keys('steptree:run:*:results');
  return key === undefined ? 0 : client.hlen(key);
}

function waitingJobs({ client }: TestRedis, queueName = 'label'): Promise<number> {
  return client.llen(`steptree:jobs:${queueName}:wait`);
}
