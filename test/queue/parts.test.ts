import { expect, it } from 'vitest';
import { emptyUsage, type Problem } from '../../search/index.js';
import { progressText } from '../../src/cli/progress.js';
import { parseWorkerOptions, snapshotText } from '../../src/cli/worker.js';
import { packProblem, unpackProblem } from '../../src/queue/pictures.js';
import { shownUrl } from '../../src/queue/redis-url.js';
import { checkIdentity } from '../../src/queue/spec.js';
import { packResult, packSmall, unpackResult, unpackSmall } from '../../src/queue/wire.js';
import { Gate } from '../../src/runtime/gate.js';

it('an address is shown without user and password', () => {
  expect(shownUrl('redis://me:secret@host/2')).toBe('redis://host:6379/2');
  expect(shownUrl('rediss://:secret@host:6380')).toBe('rediss://host:6380');
  expect(() => shownUrl('host:6379')).toThrow(/expected redis:\/\//);
  // Not silently database 0.
  expect(() => shownUrl('redis://host/runs')).toThrow(/expected redis:\/\//);
});

it('replies and results come out of Redis as they went in, numbers to the last bit', async () => {
  const reply = {
    prefix: ['a'],
    rollouts: [{ steps: ['x'.repeat(5_000), 'é'], meanLogprob: -0.1 - 0.2, policyTokens: 3 }],
    sequence: 2 ** 40,
    none: null,
  };
  expect(unpackSmall(packSmall(reply))).toEqual(reply);
  expect(unpackSmall(packSmall([1]))).toEqual([1]);
  expect(packSmall(reply).length).toBeLessThan(1_000);
  const result = { status: 'done', tree: '{"a":1}\n', usage: emptyUsage() } as const;
  expect(await unpackResult(await packResult(result))).toEqual(result);
});

it('pictures travel by content and arrive as data: URLs, unreadable ones by name', async () => {
  const problem: Problem = {
    id: 'p',
    question: 'q',
    answer: '1',
    images: [
      { source: 'data:image/webp;base64,AQID', location: 'data:image/webp;base64,AQID' },
      { source: 'gone.png', location: '/nowhere/gone.png' },
    ],
  };
  const named = {
    ...problem,
    images: [{ source: 'images/a.webp', location: 'x' }, problem.images[1]!],
  };
  const packed = await packProblem(problem, named);
  expect([...packed.pictures.values()]).toEqual([Buffer.of(1, 2, 3)]);
  const fetch = async (hash: string) => packed.pictures.get(hash) ?? null;
  const arrived = await unpackProblem(packed.problem, fetch);
  expect(arrived).toEqual({
    ...problem,
    images: [
      { source: 'images/a.webp', location: 'data:image/webp;base64,AQID' },
      { source: 'gone.png', location: 'gone.png' },
    ],
  });
  await expect(unpackProblem(packed.problem, async () => null)).rejects.toMatchObject({
    code: 'QUEUE_PICTURE_MISSING',
  });
});

it('a wider gate lets in who waits, a narrower one nobody new', async () => {
  const gate = new Gate(1);
  let inside = 0;
  const enter = () => gate.enter().then(() => inside++);
  for (let i = 0; i < 5; i++) void enter();
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  await settle();
  expect(inside).toBe(1);
  gate.resize(3);
  await settle();
  expect(inside).toBe(3);
  gate.resize(2);
  gate.leave();
  await settle();
  expect(inside).toBe(3);
  gate.leave();
  await settle();
  expect(inside).toBe(4);
});

it('a worker may have a model folder elsewhere, but no other model, prompt or host', () => {
  const run = { host: 'onnx', model: 'embedded', systemPrompt: '' };
  expect(() => checkIdentity(run, { ...run, model: '/models/x' }, 'r')).not.toThrow();
  expect(() => checkIdentity(run, { ...run, systemPrompt: 'Hi' }, 'r')).toThrow(
    /systemPrompt is "Hi" here and "" in the run/,
  );
  const server = { host: 'openai', model: 'a' };
  expect(() => checkIdentity(server, { ...server, model: 'b' }, 'r')).toThrow(/model is "b" here/);
});

it("a worker's flags override the run's options, and say nothing where they are absent", () => {
  const { options, overrides } = parseWorkerOptions({
    ...{ queue: 'redis://h', policy: 'http://here/v1', maxInFlight: 32, threads: 2 },
    ...{ simulatedLatencyMs: 5, concurrency: 3, name: 'left' },
  });
  expect(options).toEqual({
    ...{ queue: 'redis://h', queueName: 'label', name: 'left', concurrency: 3 },
    ...{ lockMs: 30_000, drainMs: 20_000, maxFailuresInARow: 10 },
  });
  expect(overrides).toEqual({
    ...{ policy: 'http://here/v1', maxInFlight: 32, simulated: { latencyMs: 5 } },
    others: { maxInFlight: 32, threads: 2 },
  });
});

it('the live lines tell of workers and of what is wrong', () => {
  const queue = { workers: 2, handedOut: 48, trouble: null };
  const now = {
    status: 'running' as const,
    ...{ problems: { done: 12, failed: 0, total: 64 }, labels: 0 },
    ...{ rollouts: 0, policyTokens: 0, promptTokens: 0, cachedTokens: 0, criticTokens: 0 },
    ...{ calls: 0, ungraded: 0, replayed: 0, seconds: 10, active: 32, inFlight: 240 },
    ...{ maxInFlight: 256, waiting: 0, sessionRollouts: 2_100, sessionTokens: 84_000 },
    ...{ sessionSeconds: 10, settledBefore: 0, queue },
  } as const;
  expect(progressText(now)).toContain(' · slots 240/256 · 2 workers · 48 problems out · ETA ');
  const alone = { ...now, queue: { ...queue, workers: 0, trouble: 'Redis away for 7 s' } };
  expect(progressText(alone)).toContain('no worker yet (steptree worker --queue …)');
  expect(progressText(alone)).toContain('Redis away for 7 s');
  const worker = {
    ...{ name: 'w', done: 120, failed: 1, handedBack: 0, lost: 0, rollouts: 9, active: 3 },
    ...{ concurrency: 16, inFlight: 240, maxInFlight: 256, rolloutsPerSecond: 210.4 },
    trouble: null,
  };
  expect(snapshotText(worker)).toBe(
    '3/16 problems · 120 done (1 failed) · 210 rollouts/s · slots 240/256',
  );
  expect(snapshotText({ ...worker, active: 0, failed: 0 })).toBe(
    '0/16 problems · 120 done · waiting for problems',
  );
});
