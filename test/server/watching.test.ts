import { Writable } from 'node:stream';
import pino from 'pino';
import { expect, it } from 'vitest';
import { fakeScorer } from '../support/fakes.js';
import { ask, fakeModels, png, post, startService } from './harness.js';

const scorer = fakeScorer(() => 0.5);

it('metrics tell of every replica of policy and reward model', async () => {
  const replicas: object[] = [];
  const models = fakeModels({ scorer: { ...scorer, stats: () => ({ replicas }) } });
  const replica = {
    ...{ url: 'http://gpu-0:8000/v1', down: true, state: 'out', requests: 9, failures: 3 },
    ...{ inFlight: 5, calls: 8, strayCalls: 2, probes: 1, ejections: 1, returns: 0 },
  };
  replicas.push({ ...replica, url: 'http://prm-0:8000/v1', down: false, calls: 4 });
  const host = { ...models.host, stats: async () => ({ replicas: [replica] }) };
  const service = await startService({ models: { ...models, host } });
  const reply = await service.app.inject({ url: '/metrics', headers: { host: 'localhost' } });
  const label = '{model="policy",replica="http://gpu-0:8000/v1"}';
  for (const [name, value] of Object.entries({
    ...{ up: 0, sequences: 5, calls: 8, stray_calls: 2, failures: 3, ejections: 1 },
  })) {
    expect(reply.body).toContain(`steptree:replica_${name}${label} ${value}\n`);
  }
  const prmLabel = '{model="prm",replica="http://prm-0:8000/v1"}';
  expect(reply.body).toContain(`steptree:replica_up${prmLabel} 1\n`);
  expect(reply.body).toContain(`steptree:replica_calls${prmLabel} 4\n`);
});

it('metrics count requests, tokens, calls and failures, named as vLLM’s are', async () => {
  const service = await startService({ models: fakeModels({ scorer }) });
  await post(service, ask('Q', { model: 'steptree/best-of-n', steptree: { n: 4 } }));
  await post(service, ask('Q', { n: 99 }));
  const reply = await service.app.inject({ url: '/metrics', headers: { host: 'localhost' } });
  const value = (line: string) =>
    Number(
      reply.body
        .split('\n')
        .find((one) => one.startsWith(`${line} `))
        ?.split(' ')[1],
    );
  expect(reply.headers['content-type']).toMatch(/^text\/plain/);
  expect(value('steptree:request_success_total{strategy="best-of-n",finished_reason="stop"}')).toBe(
    1,
  );
  expect(value('steptree:request_failure_total{code="SERVE_OPTION_TOO_LARGE"}')).toBe(1);
  // Four rollouts of 10 tokens in three calls (1, 1, 2) with a prompt of 10 each.
  expect(value('steptree:generation_tokens_total')).toBe(40);
  expect(value('steptree:prompt_tokens_total')).toBe(30);
  expect(value('steptree:prefix_cache_queries_total')).toBe(30);
  expect(value('steptree:prefix_cache_hits_total')).toBe(0);
  expect(value('steptree:prm_tokens_total')).toBeGreaterThan(0);
  expect(value('steptree:step_latency_seconds_count{until="end"}')).toBe(3);
  expect(value('steptree:request_queue_time_seconds_count')).toBe(1);
  expect(value('steptree:e2e_request_latency_seconds_count')).toBe(1);
  for (const name of ['num_requests_running', 'num_requests_waiting', 'num_sequences_running']) {
    expect(value(`steptree:${name}`)).toBe(0);
  }
  expect(value('steptree:batch_size')).toBe(0);
});

function capturedLog(level = 'info') {
  const lines: string[] = [];
  const sink = new Writable({
    write: (chunk, _encoding, done) => {
      lines.push(String(chunk));
      done();
    },
  });
  return { lines, logger: pino({ level, base: null }, sink) };
}

it('the log has a line per request with its id, and no keys, questions, answers or pictures', async () => {
  const { lines, logger } = capturedLog('trace');
  const service = await startService({ logger });
  const url = await png();
  const content = [
    { type: 'image_url', image_url: { url } },
    { type: 'text', text: 'the secret question' },
  ];
  const body = ask('', { messages: [{ role: 'user', content }] });
  const { headers } = await post(service, body, '/v1/chat/completions?q=hidden', {
    authorization: 'Bearer st-very-secret',
    'x-request-id': 'caller-7',
  });
  expect(headers['x-request-id']).toBe('caller-7');
  await post(service, ask('the secret question', { n: 99, temprature: 1 }));
  const text = lines.join('');
  expect(text).toMatch(/"reqId":"caller-7".*"path":"\/v1\/chat\/completions","status":200/);
  expect(lines.filter((line) => line.includes('"msg":"request"'))).toHaveLength(2);
  for (const secret of [
    'st-very-secret',
    'secret question',
    'Answer:',
    url.slice(30, 60),
    'hidden',
  ]) {
    expect(text).not.toContain(secret);
  }
});

it('the log has questions and answers where that is asked for', async () => {
  const { lines, logger } = capturedLog();
  const service = await startService({ logger, server: { logContent: true } });
  await post(service, ask('what is asked'));
  expect(lines.join('')).toMatch(/"question":"what is asked","answer":"42"/);
});

it('the log says where an inner error came from, and not what it quoted', async () => {
  const { lines, logger } = capturedLog();
  const asked = {
    name: 'failing',
    sample: async () => JSON.parse('the secret question'),
  };
  const service = await startService({ logger, models: fakeModels({ asked }) });
  const { status } = await post(service, ask('Q'));
  expect(status).toBe(500);
  const text = lines.join('');
  expect(text).toMatch(/"code":"INTERNAL","stack":\["at /);
  expect(text).not.toContain('secret');
});

it('a caller’s request id is taken only if it is harmless', async () => {
  const service = await startService();
  for (const id of ['a b', 'x'.repeat(65), '"}{']) {
    const { headers } = await post(service, ask('Q'), undefined, { 'x-request-id': id });
    expect(headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  }
});

it('the API is described in OpenAPI, with the options that the command has', async () => {
  const service = await startService();
  const reply = await service.app.inject({ url: '/docs/json', headers: { host: 'localhost' } });
  const { paths, openapi } = reply.json();
  expect(openapi).toBe('3.1.0');
  expect(Object.keys(paths)).toEqual(
    expect.arrayContaining([
      '/v1/chat/completions',
      '/v1/{strategy}/chat/completions',
      '/v1/models',
      '/v1/score',
      '/v1/jobs',
      '/v1/jobs/{id}',
      '/v1/traces/{id}',
      '/v1/traces/{id}/events',
      '/health',
      '/ready',
      '/metrics',
    ]),
  );
  const body = paths['/v1/chat/completions'].post.requestBody.content['application/json'].schema;
  expect(body.properties.steptree.properties.beamWidth.description).toMatch(/beam/);
  const page = await service.app.inject({ url: '/docs/', headers: { host: 'localhost' } });
  expect(page.statusCode).toBe(200);
});
