import { EventEmitter } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { refusePublicWithoutKey } from '../../src/server/auth.js';
import { JobBoard } from '../../src/server/jobs.js';
import { holdsMoreThan } from '../../src/server/json-size.js';
import { addKey, KeyRing, readKeys, revokeKey } from '../../src/server/keys.js';
import { PendingBytes } from '../../src/server/pending-bytes.js';
import type { ServiceApp } from '../../src/server/typed-app.js';
import { registerViewer } from '../../src/server/view.js';
import { temporaryFolder } from '../support/cli.js';
import { ask, fakeModels, post, startService } from './harness.js';

const folder = temporaryFolder();
let files = 0;
const newFile = () => join(folder, `keys-${files++}.json`);
const ignore = () => {};
const get = async (
  { app }: Awaited<ReturnType<typeof startService>>,
  url: string,
  headers: Record<string, string> = {},
) => app.inject({ url, headers: { host: 'localhost', ...headers } });

describe('API keys', () => {
  it('are stored as hashes in a file that only its owner reads', async () => {
    const file = newFile();
    const { key, record } = await addKey(file, 'laptop');
    expect(key).toMatch(/^st-[0-9a-f]{8}-[\w-]{43}$/);
    const text = readFileSync(file, 'utf8');
    expect(text).not.toContain(key.slice(12));
    expect(readKeys(file)).toEqual([record]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('open the service, several of them, each by its own id; anything else is a 401', async () => {
    const file = newFile();
    const [a, b] = [await addKey(file, 'a'), await addKey(file, 'b')];
    const service = await startService({ keys: new KeyRing(file, ignore) });
    const status = async (authorization?: string) =>
      (await post(service, ask('Q'), undefined, authorization ? { authorization } : {})).status;
    expect(await status(`Bearer ${a.key}`)).toBe(200);
    expect(await status(`bearer ${b.key}`)).toBe(200);
    for (const wrong of [
      undefined,
      'Bearer ',
      `Bearer ${a.key}x`,
      `Bearer ${a.key.slice(0, -1)}`,
      `Bearer ${a.record.sha256}`,
      `Basic ${a.key}`,
      a.key,
    ]) {
      expect(await status(wrong)).toBe(401);
    }
    const refused = await post(service, ask('Q'));
    expect(refused.headers['www-authenticate']).toBe('Bearer');
    expect(refused.body.error).toMatchObject({
      code: 'SERVE_AUTH_REQUIRED',
      type: 'authentication_error',
    });
  });

  it('guard everything but health, readiness and the description of the API', async () => {
    const file = newFile();
    await addKey(file, 'a');
    const service = await startService({ keys: new KeyRing(file, ignore) });
    const status = async (url: string) => (await get(service, url)).statusCode;
    for (const url of ['/health', '/ready', '/docs/json']) expect(await status(url)).toBe(200);
    const head = { method: 'HEAD', url: '/health', headers: { host: 'localhost' } } as const;
    expect((await service.app.inject(head)).statusCode).toBe(200);
    for (const url of [
      '/v1/models',
      '/metrics',
      '/v1/traces',
      '/v1/jobs',
      '/api/view/x',
      '/docsx',
    ]) {
      expect(await status(url)).toBe(401);
    }
  });

  it('are revoked without a restart, and the last one lets nobody in', async () => {
    const file = newFile();
    const [a, b] = [await addKey(file, 'a'), await addKey(file, 'b')];
    let nowMs = 0;
    const keys = new KeyRing(file, ignore, () => nowMs);
    await revokeKey(file, a.record.id);
    nowMs += 1000;
    expect(keys.idOf(a.key)).toBeNull();
    expect(keys.idOf(b.key)).toBe(b.record.id);
    await revokeKey(file, 'b');
    nowMs += 1000;
    expect(keys.idOf(b.key)).toBeNull();
    expect(keys.isRequired).toBe(true);
    const { key } = await addKey(file, 'c');
    nowMs += 1000;
    expect(keys.idOf(key)).not.toBeNull();
  });

  it('let nobody in while their file can’t be read', async () => {
    const file = newFile();
    const { key } = await addKey(file, 'a');
    let nowMs = 0;
    const troubles: unknown[] = [];
    const keys = new KeyRing(
      file,
      (error) => troubles.push(error),
      () => nowMs,
    );
    expect(keys.idOf(key)).not.toBeNull();
    writeFileSync(file, '{"keys": 5}');
    nowMs += 1000;
    expect(keys.idOf(key)).toBeNull();
    expect(troubles).toMatchObject([{ code: 'SERVE_KEYS_UNREADABLE' }]);
  });

  it('are named by id or by a name that one has', async () => {
    const file = newFile();
    await addKey(file, 'twin');
    await addKey(file, 'twin');
    await expect(revokeKey(file, 'twin')).rejects.toMatchObject({ code: 'SERVE_KEY_UNKNOWN' });
    await expect(revokeKey(file, 'nobody')).rejects.toMatchObject({ code: 'SERVE_KEY_UNKNOWN' });
  });

  it('are needed by a service that others can reach', async () => {
    const file = newFile();
    const none = new KeyRing('', ignore);
    for (const host of ['0.0.0.0', '::', '192.168.1.5', 'example.com']) {
      expect(() => refusePublicWithoutKey(host, none)).toThrow(/serve keys add/);
    }
    for (const host of ['127.0.0.1', '::1', 'localhost']) {
      expect(() => refusePublicWithoutKey(host, none)).not.toThrow();
    }
    await addKey(file, 'a');
    expect(() => refusePublicWithoutKey('0.0.0.0', new KeyRing(file, ignore))).not.toThrow();
  });
});

it('the viewer’s page is open, its data want the key', async () => {
  const file = newFile();
  const { key } = await addKey(file, 'a');
  const service = await startService({
    keys: new KeyRing(file, ignore),
    addViewer,
  });
  expect((await get(service, '/ui/')).body).toBe('page');
  const refused = await get(service, '/api/view/runs');
  expect([refused.statusCode, refused.json().error.code]).toEqual([401, 'SERVE_AUTH_REQUIRED']);
  expect(refused.headers['www-authenticate']).toBe('Bearer');
  const authorization = `Bearer ${key}`;
  expect((await get(service, '/api/view/runs', { authorization })).json()).toEqual({ runs: [] });
});

/** The viewer itself: its own answers to errors must not take the service's over. */
const addViewer = async (app: ServiceApp) => {
  const page = new Map([['index.html', { type: 'text/html', bytes: Buffer.from('page') }]]);
  await app.register(registerViewer, { dir: null, page });
};

it('the viewer’s data count for the limit of requests too', async () => {
  const service = await startService({ server: { rateLimit: 1 }, addViewer });
  expect((await get(service, '/api/view/runs')).statusCode).toBe(200);
  const second = await get(service, '/api/view/runs');
  expect([second.statusCode, second.json().error.code]).toEqual([429, 'SERVE_RATE_LIMITED']);
  expect(Number(second.headers['retry-after'])).toBeGreaterThan(0);
});

describe('a service on loopback', () => {
  it('is not called by names that lead to it (DNS rebinding), unless they are allowed', async () => {
    const service = await startService({ server: { allowHosts: ['box.lan'] } });
    const status = async (host: string) => (await get(service, '/health', { host })).statusCode;
    expect(await status('127.0.0.1:8712')).toBe(200);
    expect(await status('[::1]:8712')).toBe(200);
    expect(await status('box.lan:1')).toBe(200);
    expect(await status('evil.test')).toBe(403);
    expect(await status('127.0.0.1.evil.test')).toBe(403);
  });

  it('takes JSON only, which a form of another site can’t send', async () => {
    const service = await startService();
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
      const { status } = await post(service, ask('Q'), undefined, { 'content-type': type });
      expect(status).toBe(415);
    }
    const { headers } = await post(service, ask('Q'), undefined, { origin: 'http://evil.test' });
    expect(headers['access-control-allow-origin']).toBeUndefined();
  });
});

it('requests a minute are limited per key', async () => {
  const file = newFile();
  const [a, b] = [await addKey(file, 'a'), await addKey(file, 'b')];
  const service = await startService({
    keys: new KeyRing(file, ignore),
    server: { rateLimit: 2 },
  });
  const send = (key: string) =>
    post(service, ask('Q'), undefined, { authorization: `Bearer ${key}` });
  expect([(await send(a.key)).status, (await send(a.key)).status]).toEqual([200, 200]);
  const third = await send(a.key);
  expect([third.status, third.body.error.code]).toEqual([429, 'SERVE_RATE_LIMITED']);
  expect(Number(third.headers['retry-after'])).toBeGreaterThan(0);
  expect((await send(b.key)).status).toBe(200);
  expect((await get(service, '/health')).statusCode).toBe(200);
});

it('every reply has the headers that keep browsers in bounds, refusals too', async () => {
  const file = newFile();
  await addKey(file, 'a');
  const [open, locked] = [
    await startService({ addViewer }),
    await startService({ keys: new KeyRing(file, ignore), addViewer }),
  ];
  for (const [service, url] of [
    [open, '/health'],
    [open, '/docs/'],
    [open, '/nowhere'],
    [open, '/ui/'],
    [locked, '/v1/models'],
    [locked, '/api/view/runs'],
  ] as const) {
    const { headers } = await get(service, url);
    expect(headers['content-security-policy']).toMatch(/default-src '(?:self|none)'/);
    expect(headers['content-security-policy']).not.toMatch(/script-src[^;]*'unsafe/);
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(headers['x-frame-options']).toBeDefined();
    expect(headers['referrer-policy']).toBe('no-referrer');
  }
});

it('a body is refused by its length, before it is parsed', async () => {
  const service = await startService({ server: { maxBodyMb: 0.001 } });
  const { status, body } = await post(service, ask('x'.repeat(2000)));
  expect([status, body.error.code]).toEqual([413, 'SERVE_REQUEST_TOO_LARGE']);
});

it('a body of a million tiny parts is refused before it is checked one by one', async () => {
  const service = await startService();
  const content = Array.from({ length: 300_000 }, () => ({ type: 'text', text: '' }));
  const messages = [{ role: 'user', content }];
  const { status, body } = await post(service, ask('', { messages }));
  expect([status, body.error.code]).toEqual([413, 'SERVE_REQUEST_TOO_LARGE']);
  expect(holdsMoreThan({ a: [1, 2, { b: 3 }] }, 5)).toBe(false);
  expect(holdsMoreThan({ a: [1, 2, { b: 3 }] }, 4)).toBe(true);
});

it('a body that is nested too deeply to be written down is refused', async () => {
  const settings = { dir: join(folder, 'jobs'), maxJobs: 1, maxQueuedJobs: 1 };
  const jobs = new JobBoard(settings, async () => ({}));
  const service = await startService({ jobs });
  const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
  const problem = `{"id": "a", "question": "Q", "answer": "1", "metadata": {"a": ${deep}}}`;
  const { status, body } = await post(
    service,
    `{"kind": "label", "problems": [${problem}]}`,
    '/v1/jobs',
  );
  expect([status, body.error.code]).toEqual([413, 'SERVE_REQUEST_TOO_LARGE']);
  expect(holdsMoreThan([[[1]]], 10, 2)).toBe(false);
  expect(holdsMoreThan([[[[1]]]], 10, 2)).toBe(true);
});

it('bodies that wait are bounded together, and one alone always fits', async () => {
  const service = await startService({ server: { maxPendingMb: 0.001 } });
  const long = ask('x'.repeat(2000));
  const [first, second] = await Promise.all([post(service, long), post(service, long)]);
  expect([first.status, second.status].sort()).toEqual([200, 429]);
  expect((await post(service, long)).status).toBe(200);
});

it('pictures that are fetched count with their request among the bodies', async () => {
  const pending = new PendingBytes(100, 10);
  const images = { count: () => {}, admit: async () => `data:${'x'.repeat(55)}` };
  const [first, second] = [0, 1].map(() => {
    const reply = { raw: new EventEmitter() } as unknown as { raw: ServerResponse };
    pending.take({ headers: { 'content-length': '10' } }, reply);
    return { close: () => reply.raw.emit('close'), ...pending.counting(images, reply) };
  });
  await first?.admit('https://a.test/1.png');
  await second?.admit('data:image/png;base64,AAAA');
  await expect(second?.admit('file:///2.png')).rejects.toMatchObject({ code: 'SERVE_BUSY' });
  first?.close();
  // Alone it may be as large as it is; and who is gone takes no room.
  for (const url of ['file:///2.png', 'file:///3.png']) await second?.admit(url);
  await first?.admit('https://a.test/1.png');
  second?.close();
  expect(pending).toMatchObject({ bytes: 0 });
});

it('keys of prototypes are refused', async () => {
  const service = await startService();
  for (const text of [
    '{"__proto__": {"n": 5}, "model": "steptree", "messages": []}',
    '{"constructor": {"prototype": {"n": 5}}, "model": "steptree", "messages": []}',
    '{"model": "steptree", "messages": [], "steptree": {"__proto__": {"n": 5}}}',
  ]) {
    expect((await post(service, text)).status).toBe(400);
  }
  for (const model of ['__proto__', 'steptree/constructor', 'steptree/toString']) {
    expect((await post(service, ask('Q', { model }))).status).toBe(404);
  }
  expect(({} as { n?: number }).n).toBeUndefined();
});

it('an error inside says nothing of itself to the client', async () => {
  const asked = {
    name: 'failing',
    sample: async () => {
      throw new Error('/home/someone/secret.txt');
    },
  };
  const service = await startService({ models: fakeModels({ asked }) });
  const { status, body } = await post(service, ask('Q'));
  expect(status).toBe(500);
  expect(JSON.stringify(body)).not.toContain('secret');
  const { traces } = (await get(service, '/v1/traces')).json();
  const trace = (await get(service, `/v1/traces/${traces[0].id}`)).json();
  expect(trace.status).toBe('failed');
  expect(JSON.stringify(trace)).not.toContain('secret');
});

it('text of models is sent as JSON, and never as a page', async () => {
  const steps = ['<script>alert(1)</script>', 'Answer: <img src=x onerror=alert(1)>'];
  const asked = {
    name: 'hostile',
    sample: async ({ seeds }: { seeds: readonly number[] }) => ({
      rollouts: seeds.map(() => ({ steps, finish: 'end' as const, policyTokens: 2 })),
      promptTokens: 1,
      cachedTokens: 0,
    }),
  };
  const service = await startService({ models: fakeModels({ asked }) });
  const { body, headers } = await post(service, ask('Q'));
  expect(body.choices[0].message.content).toBe(steps.join('\n\n'));
  expect(headers['content-type']).toBe('application/json; charset=utf-8');
  expect(headers['x-content-type-options']).toBe('nosniff');
});
