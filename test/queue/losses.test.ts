import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { sendTexts, startScriptedServer } from '../policy/openai/scripted-server.js';
import { readJsonl, simpleProblems, writeJsonl } from '../support/cli.js';
import {
  closing,
  filesOf,
  folder,
  local,
  QUICK,
  queued,
  startWorker,
  storedReplies,
  type TestWorker,
  testRedis,
  triesCounted,
} from '../support/queue.js';
import { hasRedis } from '../support/redis.js';

describe.skipIf(!hasRedis)('workers of a queue that come and go (needs redis-server)', () => {
  it('loses nothing when workers are killed every second, and the trees are the same', async () => {
    const redis = await testRedis();
    const problems = writeJsonl(join(folder, 'kills.jsonl'), simpleProblems(16));
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
      if (!ended) kills++;
      // Also where the run has ended: a process that is only starting can't drain yet.
      victim.child.kill('SIGKILL');
      await victim.ended;
    }
    const { out, summary } = await finished;
    expect(kills).toBeGreaterThanOrEqual(2);
    expect(summary.problems).toMatchObject({ done: 16, failed: 0 });
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
      if (text.includes('killer')) setTimeout(() => victim?.child.kill('SIGKILL'), 100);
      else setTimeout(() => sendTexts(call, 'We add.\n\nAnswer: 7'), 400);
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
});
