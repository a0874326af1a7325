import { afterEach, describe, expect, it } from 'vitest';
import { HttpFailure, parseRetryAfter } from '../../../src/policy/openai/http.js';
import { retryWaitMs } from '../../../src/policy/openai/retry.js';
import { request } from '../samples.js';
import { Closer, connectTo, type FakeTiming, fakeTiming } from './harness.js';
import {
  type Call,
  chatReply,
  sendJson,
  sendTexts,
  startScriptedServer,
} from './scripted-server.js';

const closer = new Closer();
afterEach(() => closer.closeAll());

/** Fails the first call as told, then answers. */
async function failingOnce(fail: (call: Call, timing: FakeTiming) => void, options = {}) {
  const timing = fakeTiming();
  const server = closer.add(
    await startScriptedServer((call, index) =>
      index === 0 ? fail(call, timing) : sendTexts(call),
    ),
  );
  const policy = closer.add(await connectTo(server.url, options, { timing }));
  return { server, policy, timing };
}

describe('a call that failed in a way that can heal', () => {
  it.each([408, 409, 425, 429, 500, 502, 503, 504])('is retried after HTTP %i', async (status) => {
    const { server, policy } = await failingOnce(({ response }) =>
      sendJson(response, status, { error: { message: 'try later' } }),
    );
    const { rollouts } = await policy.sample(request());
    expect(rollouts.map((rollout) => rollout.steps)).toEqual([
      ['Answer: 12'],
      ['Answer: 12'],
      ['Answer: 12'],
    ]);
    expect(server.calls).toHaveLength(2);
    expect(policy.stats().retriesByKind).toEqual({ [`status ${status}`]: 1 });
  });

  it('is retried after a reset connection', async () => {
    const { policy } = await failingOnce(({ response }) => response.socket?.resetAndDestroy());
    expect((await policy.sample(request())).rollouts).toHaveLength(3);
    expect(policy.stats().retriesByKind).toEqual({ connection: 1 });
  });

  it('is retried after a connection that breaks in the middle of the reply', async () => {
    const { policy } = await failingOnce(({ response }) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('{"choices": [', () => response.socket?.destroy());
    });
    expect((await policy.sample(request())).rollouts).toHaveLength(3);
    expect(policy.stats().retriesByKind).toEqual({ connection: 1 });
  });

  it('is retried after a reply whose JSON is cut', async () => {
    const { policy } = await failingOnce(({ response }) => response.end('{"choices": [{"mess'));
    expect((await policy.sample(request())).rollouts).toHaveLength(3);
    expect(policy.stats().retriesByKind).toEqual({ body: 1 });
  });

  it('is retried after a reply without choices', async () => {
    const { policy } = await failingOnce(({ response }) =>
      sendJson(response, 200, { choices: [] }),
    );
    expect((await policy.sample(request())).rollouts).toHaveLength(3);
    expect(policy.stats().retriesByKind).toEqual({ body: 1 });
  });

  it('is retried after a generation that the server aborted', async () => {
    const { policy } = await failingOnce(({ response }) =>
      sendJson(response, 200, chatReply(['half a st'], { finish_reason: 'abort' })),
    );
    expect((await policy.sample(request())).rollouts).toHaveLength(3);
  });

  it('is retried after no reply within the deadline', async () => {
    const { policy } = await failingOnce((_, timing) => timing.passDeadlines());
    expect((await policy.sample(request())).rollouts).toHaveLength(3);
    expect(policy.stats().retriesByKind).toEqual({ timeout: 1 });
  });

  it('is retried after a reply that trickles past the deadline', async () => {
    const { policy } = await failingOnce(({ response }, timing) => {
      response.writeHead(200);
      response.write('{"choices"', () => timing.passDeadlines());
    });
    expect((await policy.sample(request())).rollouts).toHaveLength(3);
    expect(policy.stats().retriesByKind).toEqual({ timeout: 1 });
  });

  it('waits as long as Retry-After says, in seconds', async () => {
    const { policy, timing } = await failingOnce(
      ({ response }) => sendJson(response, 429, {}, { 'retry-after': '7' }),
      { retryBaseMs: 100 },
    );
    await policy.sample(request());
    // 7 s plus half (the fake random) of the 100 ms jitter.
    expect(timing.sleptMs).toEqual([7050]);
  });

  it('waits as long as Retry-After says, as a date', async () => {
    const { policy, timing } = await failingOnce(
      ({ response }) =>
        sendJson(response, 503, {}, { 'retry-after': 'Thu, 01 Jan 2026 00:00:30 GMT' }),
      { retryBaseMs: 0 },
    );
    await policy.sample(request());
    expect(timing.sleptMs).toEqual([30_000]);
  });

  it('gives up after the retries and says how often and why', async () => {
    const server = closer.add(
      await startScriptedServer(({ response }) =>
        sendJson(response, 500, { error: { message: 'CUDA out of memory' } }),
      ),
    );
    const policy = closer.add(await connectTo(server.url, { maxRetries: 2 }));
    await expect(policy.sample(request())).rejects.toMatchObject({
      code: 'POLICY_CALL_FAILED',
      message: expect.stringContaining('failed 3 times, last with: HTTP 500: CUDA out of memory'),
      facts: { attempts: 3, status: 500, kind: 'status' },
    });
    expect(server.calls).toHaveLength(3);
  });
});

describe('a call that can not heal', () => {
  it('fails at once with the start of what the server said', async () => {
    const message = `context too long: ${'x'.repeat(2000)}`;
    const { server, policy } = await failingOnce(({ response }) =>
      sendJson(response, 400, { error: { message } }),
    );
    const error = await policy.sample(request()).catch((e) => e);
    expect(error).toMatchObject({ code: 'POLICY_CALL_REFUSED', facts: { status: 400 } });
    expect(error.message).toContain('HTTP 400: context too long: xxx');
    expect(error.message.length).toBeLessThan(500);
    expect(server.calls).toHaveLength(1);
  });

  it('points at the key when the server wants another one, and never shows it', async () => {
    const key = 'sk-very-secret-123';
    const server = closer.add(
      await startScriptedServer(({ response, headers }) =>
        sendJson(response, 401, { error: { message: `bad key ${headers.authorization}` } }),
      ),
    );
    const policy = closer.add(
      await connectTo(server.url, { apiKeyEnv: 'MY_KEY' }, { env: { MY_KEY: key } }),
    );
    const error = await policy.sample(request()).catch((e) => e);
    expect(server.calls[0]?.headers.authorization).toBe(`Bearer ${key}`);
    expect(error).toMatchObject({ code: 'POLICY_CALL_REFUSED' });
    expect(error.message).toContain('bad key Bearer ***');
    expect(error.message).toContain('--api-key-env');
    const everything = JSON.stringify([
      error.facts,
      policy.describe(),
      policy.stats(),
      error.stack,
    ]);
    expect(everything).not.toContain(key);
  });

  it('never shows a password of the URL', async () => {
    const server = closer.add(
      await startScriptedServer(({ response }) => sendJson(response, 500, { message: 'no' })),
    );
    const url = server.url.replace('http://', 'http://me:pass-word@');
    const policy = closer.add(await connectTo(url, { maxRetries: 0 }));
    const error = await policy.sample(request()).catch((e) => e);
    const expected = `Basic ${Buffer.from('me:pass-word').toString('base64')}`;
    expect(server.calls[0]?.headers.authorization).toBe(expected);
    expect(JSON.stringify([error.message, error.facts, policy.describe()])).not.toContain('pass-w');
  });
});

describe('an abort', () => {
  it('closes the connection of a running call within 100 ms', async () => {
    let arrived = (_: Call) => {};
    const server = closer.add(await startScriptedServer((call) => arrived(call)));
    const policy = closer.add(await connectTo(server.url));
    const reason = new Error('enough');
    const abortOne = async () => {
      const arrival = new Promise<Call>((resolve) => {
        arrived = resolve;
      });
      const abort = new AbortController();
      const outcome = expect(policy.sample(request(), abort.signal)).rejects.toBe(reason);
      const { closed } = await arrival;
      const startMs = performance.now();
      abort.abort(reason);
      await outcome;
      await closed;
      return performance.now() - startMs;
    };
    const times: number[] = [];
    for (let i = 0; i < 8; i++) times.push(await abortOne());
    // The fastest of several: a machine busy with other things slows single ones down.
    expect(Math.min(...times)).toBeLessThan(100);
    expect(policy.stats().rolloutsInFlight).toBe(0);
  });

  it('ends a wait between two attempts', async () => {
    const server = closer.add(
      await startScriptedServer(({ response }) => sendJson(response, 500, {})),
    );
    const reason = new Error('enough');
    const abort = new AbortController();
    const timing = fakeTiming();
    const policy = closer.add(
      await connectTo(
        server.url,
        {},
        {
          timing: {
            ...timing,
            sleep: (ms, signal) => {
              abort.abort(reason);
              return timing.sleep(ms, signal);
            },
          },
        },
      ),
    );
    await expect(policy.sample(request(), abort.signal)).rejects.toBe(reason);
    expect(server.calls).toHaveLength(1);
  });

  it('of a closed host fails calls in flight with POLICY_CLOSED', async () => {
    let arrived = () => {};
    const arrival = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const server = closer.add(await startScriptedServer(() => arrived()));
    const policy = closer.add(await connectTo(server.url));
    const outcome = expect(policy.sample(request())).rejects.toMatchObject({
      code: 'POLICY_CLOSED',
    });
    await arrival;
    await policy.close();
    await outcome;
  });
});

describe('the wait before a retry', () => {
  const options = { maxRetries: 9, retryBaseMs: 100, retryCapMs: 1000 };

  it('is a uniform share of a doubling bound', () => {
    const waits = [0, 1, 2, 3, 4, 5].map((index) =>
      retryWaitMs(index, undefined, options, { random: () => 0.5 }),
    );
    // Half of 100, 200, 400, 800 and then of the cap, 1000.
    expect(waits).toEqual([50, 100, 200, 400, 500, 500]);
    expect(retryWaitMs(3, undefined, options, { random: () => 0 })).toBe(0);
  });

  it('believes no Retry-After of more than two minutes', () => {
    const failure = new HttpFailure('status', '', { retryable: true, retryAfterMs: 1e9 });
    expect(retryWaitMs(0, failure, options, { random: () => 0 })).toBe(120_000);
  });

  it('reads Retry-After as seconds or date and ignores what is neither', () => {
    const now = Date.UTC(2026, 0, 1);
    expect(parseRetryAfter('3', now)).toBe(3000);
    expect(parseRetryAfter('0.5', now)).toBe(500);
    expect(parseRetryAfter('Thu, 01 Jan 2026 00:01:00 GMT', now)).toBe(60_000);
    expect(parseRetryAfter('Wed, 31 Dec 2025 00:00:00 GMT', now)).toBe(0);
    expect(parseRetryAfter('soon', now)).toBeUndefined();
    expect(parseRetryAfter(undefined, now)).toBeUndefined();
  });
});
