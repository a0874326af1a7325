import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { runCli, simpleProblems, writeJsonl } from '../support/cli.js';
import {
  filesOf,
  folder,
  local,
  QUICK,
  queued,
  startWorker,
  testRedis,
  waitingJobs,
  without,
} from '../support/queue.js';
import { hasRedis } from '../support/redis.js';

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
