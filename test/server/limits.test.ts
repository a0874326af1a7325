import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import autocannon from 'autocannon';
import { describe, expect, it } from 'vitest';
import type { PolicyModel } from '../../search/index.js';
import { Admission } from '../../src/server/admission.js';
import { listenOn } from '../../src/server/app.js';
import { serverOptions } from '../../src/server/options.js';
import { fakePolicy } from '../support/fakes.js';
import { ask, fakeModels, listen, post, startService } from './harness.js';

/** Answers when the test says so. */
function gatedPolicy() {
  const waiting: (() => void)[] = [];
  const aborted: unknown[] = [];
  const policy: PolicyModel = {
    name: 'gated',
    sample: ({ seeds }, signal) =>
      new Promise((resolve, reject) => {
        signal?.addEventListener('abort', () => {
          aborted.push(signal.reason);
          reject(signal.reason);
        });
        waiting.push(() =>
          resolve({
            rollouts: seeds.map(() => ({ steps: ['Answer: 1'], finish: 'end', policyTokens: 2 })),
            promptTokens: 1,
            cachedTokens: 0,
          }),
        );
      }),
  };
  const until = async (count: number) => {
    while (waiting.length < count) await new Promise((resolve) => setImmediate(resolve));
  };
  return { policy, waiting, aborted, until };
}

const one = ask('Q', { model: 'steptree/greedy' });

describe('Admission', () => {
  const never = new AbortController().signal;

  it('lets so many in, so many wait, and refuses the rest with a time to wait', async () => {
    const admission = new Admission({ maxConcurrent: 1, maxQueue: 1 }, () => 0);
    const first = await admission.enter('a', never);
    const second = admission.enter('a', never);
    await expect(admission.enter('a', never)).rejects.toMatchObject({
      code: 'SERVE_BUSY',
      facts: { retryAfterSeconds: 2 },
    });
    first.leave();
    first.leave();
    const place = await second;
    expect(admission.stats()).toEqual({ running: 1, waiting: 0 });
    place.leave();
    await admission.whenIdle();
  });

  it('goes round among clients', async () => {
    const admission = new Admission({ maxConcurrent: 1, maxQueue: 10 }, () => 0);
    const order: string[] = [];
    const first = await admission.enter('greedy', never);
    const rest = ['greedy', 'greedy', 'greedy', 'modest', 'modest'].map(async (client, i) => {
      const place = await admission.enter(client, never);
      order.push(`${client} ${i}`);
      place.leave();
    });
    first.leave();
    await Promise.all(rest);
    expect(order).toEqual(['greedy 0', 'modest 3', 'greedy 1', 'modest 4', 'greedy 2']);
  });

  it('forgets who gave up waiting', async () => {
    const admission = new Admission({ maxConcurrent: 1, maxQueue: 1 }, () => 0);
    const first = await admission.enter('a', never);
    const gone = new AbortController();
    const second = admission.enter('b', gone.signal);
    gone.abort(new Error('gone'));
    await expect(second).rejects.toThrow('gone');
    expect(admission.stats()).toEqual({ running: 1, waiting: 0 });
    first.leave();
    expect(admission.stats()).toEqual({ running: 0, waiting: 0 });
  });

  it('says how long to wait by how long requests take', async () => {
    let nowMs = 0;
    const admission = new Admission({ maxConcurrent: 1, maxQueue: 0 }, () => nowMs);
    for (let i = 0; i < 200; i++) {
      const place = await admission.enter('a', never);
      nowMs += 20_000;
      place.leave();
    }
    await admission.enter('a', never);
    expect(() => admission.check()).toThrow(/try again in 20 s/);
  });
});

describe('a full service', () => {
  it('answers 429 with Retry-After, in a stream too, and goes on when it has room', async () => {
    const { policy, waiting, until } = gatedPolicy();
    const service = await startService({
      models: fakeModels({ asked: policy }),
      server: { maxConcurrent: 1, maxQueue: 1 },
    });
    const [first, second] = [post(service, one), post(service, one)];
    await until(1);
    while (service.service.admission.stats().waiting < 1) await new Promise(setImmediate);
    for (const stream of [false, true]) {
      const { status, headers, body } = await post(service, { ...one, stream });
      expect([status, body.error.code]).toEqual([429, 'SERVE_BUSY']);
      expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    }
    waiting[0]?.();
    await until(2);
    waiting[1]?.();
    expect([(await first).status, (await second).status]).toEqual([200, 200]);
  });
});

it('60 connections before 4 places and 8 in the queue get answers and 429s, nothing else', async () => {
  const slow: PolicyModel = {
    name: 'slow',
    sample: async ({ seeds }) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return {
        rollouts: seeds.map(() => ({ steps: ['Answer: 1'], finish: 'end', policyTokens: 2 })),
        promptTokens: 1,
        cachedTokens: 0,
      };
    },
  };
  const service = await startService({
    models: fakeModels({ asked: slow }),
    server: { maxConcurrent: 4, maxQueue: 8 },
  });
  const result = await autocannon({
    url: `${await listen(service)}/v1/chat/completions`,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(one),
    connections: 60,
    amount: 300,
    timeout: 100,
  });
  const { statusCodeStats = {} } = result as unknown as {
    statusCodeStats?: Record<string, { count: number }>;
  };
  expect(Object.keys(statusCodeStats).sort()).toEqual(['200', '429']);
  expect([result.errors, result.timeouts]).toEqual([0, 0]);
  expect(service.service.admission.stats()).toEqual({ running: 0, waiting: 0 });
});

describe('a client that', () => {
  it('goes away frees its place, and nothing keeps generating', async () => {
    const { policy, aborted, until } = gatedPolicy();
    const service = await startService({ models: fakeModels({ asked: policy }) });
    const url = await listen(service);
    const abort = new AbortController();
    const reply = fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...one, stream: true }),
      signal: abort.signal,
    });
    await until(1);
    // The stream has begun: its headers are there before the answer.
    await reply;
    abort.abort();
    await service.service.admission.whenIdle();
    expect(aborted).toEqual([expect.objectContaining({ code: 'SERVE_CLIENT_GONE' })]);
    expect(service.service.models.policy.stats?.()).toMatchObject({ inFlight: 0, waiting: 0 });
    await new Promise(setImmediate);
    expect(service.service.running.size).toBe(0);
  });

  it('never reads its answer holds no place', async () => {
    const service = await startService({ server: { maxConcurrent: 1, maxQueue: 0 } });
    const url = new URL(await listen(service));
    const body = JSON.stringify({ ...ask('Q'), stream: true });
    const slow = httpRequest({
      host: url.hostname,
      port: url.port,
      method: 'POST',
      path: '/v1/chat/completions',
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
    });
    slow.end(body);
    await new Promise<void>((resolve) => {
      slow.once('response', (response) => {
        response.pause();
        resolve();
      });
    });
    await service.service.admission.whenIdle();
    expect((await post(service, one)).status).toBe(200);
    slow.destroy();
  });

  it('sends its request slowly stalls nobody', async () => {
    const service = await startService({ server: { maxConcurrent: 1, maxQueue: 0 } });
    const url = new URL(await listen(service));
    const slow = httpRequest({
      host: url.hostname,
      port: url.port,
      method: 'POST',
      path: '/v1/chat/completions',
      headers: { 'content-type': 'application/json', 'content-length': 1000 },
    });
    slow.on('error', () => {});
    slow.write('{"model":');
    expect((await post(service, one)).status).toBe(200);
    slow.destroy();
  });
});

it('a client that is refused while it sends a long body reads why, and is not cut off', async () => {
  const { policy, waiting, until } = gatedPolicy();
  const service = await startService({
    models: fakeModels({ asked: policy }),
    server: { maxConcurrent: 1, maxQueue: 0 },
  });
  const { hostname, port } = new URL(await listen(service));
  const held = post(service, one);
  await until(1);
  const socket = connect(Number(port), hostname);
  const bytes = 2_000_000;
  const head = ['POST /v1/chat/completions HTTP/1.1', 'Host: localhost'];
  const type = ['Content-Type: application/json', `Content-Length: ${bytes}`];
  socket.write([...head, ...type, '', '{"a":"'].join('\r\n'));
  const [reply] = await once(socket, 'data');
  expect(String(reply)).toMatch(/^HTTP\/1\.1 429 [\s\S]*SERVE_BUSY/);
  const isCutOff = once(socket, 'close').then(
    () => true,
    () => true,
  );
  const isSent = new Promise((resolve) => {
    socket.write('x'.repeat(bytes - 6), () => setTimeout(resolve, 100, false));
  });
  expect(await Promise.race([isCutOff, isSent])).toBe(false);
  socket.destroy();
  waiting[0]?.();
  await held;
});

it('a request past its deadline is a 504, and its calls are ended', async () => {
  const { policy, aborted } = gatedPolicy();
  const service = await startService({
    models: fakeModels({ asked: policy }),
    server: { requestSeconds: 0.05 },
  });
  const { status, body } = await post(service, one);
  expect([status, body.error.code]).toEqual([504, 'SERVE_DEADLINE']);
  expect(aborted).toHaveLength(1);
});

it('times beyond what timers can wait are refused: they would be over at once', () => {
  for (const name of ['requestSeconds', 'drainSeconds', 'imageFetchSeconds']) {
    expect(serverOptions.safeParse({ [name]: 1e6 }).success).toBe(true);
    expect(serverOptions.safeParse({ [name]: 2 ** 31 / 1000 }).success).toBe(false);
  }
});

it('a port that is taken is told with what to do', async () => {
  const first = await startService();
  const { port } = new URL(await listen(first));
  const { app } = await startService();
  await expect(listenOn(app, { host: '127.0.0.1', port: Number(port) })).rejects.toMatchObject({
    code: 'SERVE_LISTEN_FAILED',
    message: expect.stringMatching(new RegExp(`${port} is taken.*--port`)),
  });
  await expect(listenOn(app, { host: '192.0.2.1', port: 0 })).rejects.toMatchObject({
    code: 'SERVE_LISTEN_FAILED',
    message: expect.stringMatching(/--host/),
  });
});

describe('draining', () => {
  it('refuses new work, tells load balancers, and lets running requests end', async () => {
    const { policy, waiting, until } = gatedPolicy();
    const service = await startService({
      models: fakeModels({ asked: policy }),
      server: { drainSeconds: 30 },
    });
    const running = post(service, one);
    await until(1);
    const drained = service.drain();
    const ready = await service.app.inject({ url: '/ready', headers: { host: 'localhost' } });
    expect([ready.statusCode, ready.json()]).toEqual([503, { status: 'draining' }]);
    const late = await post(service, one);
    expect([late.status, late.body.error.code]).toEqual([503, 'SERVE_DRAINING']);
    expect(late.headers['retry-after']).toBe('5');
    waiting[0]?.();
    expect((await running).status).toBe(200);
    await drained;
  });

  it('ends what takes longer than it may', async () => {
    const { policy, until } = gatedPolicy();
    const service = await startService({
      models: fakeModels({ asked: policy }),
      server: { drainSeconds: 0.02 },
    });
    const running = post(service, one);
    await until(1);
    await service.drain();
    const { status, body } = await running;
    expect([status, body.error.code]).toEqual([503, 'SERVE_DRAINING']);
  });

  it('waits for no connection that never asked anything, as browsers open them', async () => {
    const service = await startService({ server: { drainSeconds: 30 } });
    const { hostname, port } = new URL(await listen(service));
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    const closed = once(socket, 'close');
    // It stands behind the connection at the server's door.
    expect((await fetch(`http://${hostname}:${port}/health`)).status).toBe(200);
    await service.drain();
    await closed;
  });

  it('waits no longer than it may for a client that does not read its answer', async () => {
    const steps = ['x'.repeat(8_000_000), 'Answer: 1'];
    const asked = fakePolicy(() => steps);
    const service = await startService({
      models: fakeModels({ asked }),
      server: { drainSeconds: 0.1 },
    });
    const { hostname, port } = new URL(await listen(service));
    const body = JSON.stringify(one);
    const slow = httpRequest({
      host: hostname,
      port,
      method: 'POST',
      path: '/v1/chat/completions',
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
    });
    slow.on('error', () => {});
    slow.end(body);
    const [response] = await once(slow, 'response');
    response.pause();
    response.on('error', () => {});
    await service.drain();
    slow.destroy();
  });

  it('lets an answer be read to its end', async () => {
    const asked = fakePolicy(() => ['x'.repeat(8_000_000), 'Answer: 1']);
    const service = await startService({
      models: fakeModels({ asked }),
      server: { drainSeconds: 30 },
    });
    const url = await listen(service);
    const reply = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(one),
    });
    const drained = service.drain();
    expect((await reply.text()).length).toBeGreaterThan(8_000_000);
    await drained;
  });
});
