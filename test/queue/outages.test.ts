import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { simpleProblems, startCli, writeJsonl } from '../support/cli.js';
import { type CutNetwork, cutNetwork } from '../support/network.js';
import {
  filesOf,
  folder,
  local,
  QUICK,
  queued,
  readdirIfThere,
  resultsIn,
  SEED,
  startWorker,
  startWorkerBy,
  storedReplies,
  testRedis,
  waitingJobs,
} from '../support/queue.js';
import { hasRedis } from '../support/redis.js';

describe.skipIf(!hasRedis)(
  'a queue whose Redis, network or coordinator is away (needs redis-server)',
  () => {
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
  },
);

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
