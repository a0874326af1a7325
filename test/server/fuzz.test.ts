import { expect, it } from 'vitest';
import { fuzzRequests } from '../../bench/serve/fuzz-requests.js';
import { fakeScorer } from '../support/fakes.js';
import { ask, fakeModels, post, startService } from './harness.js';

/** `node dist/bench/serve/fuzz.js` sends 10,000 over real connections. */
it('1,000 hostile requests are answered with 4xx only, and the service goes on', async () => {
  const service = await startService({ models: fakeModels({ scorer: fakeScorer(() => 0.5) }) });
  const wrong: string[] = [];
  for (const { method, path, headers, body, kind } of fuzzRequests(1000, 'ci')) {
    const reply = await service.app.inject({
      method,
      url: path,
      headers: { host: 'localhost', ...headers },
      ...(method === 'POST' ? { payload: body } : {}),
    });
    const status = reply.statusCode;
    if (status < 400 || status >= 500) wrong.push(`${status} ${kind}: ${body.slice(0, 200)}`);
    else if (typeof reply.json().error.code !== 'string') wrong.push(`no code: ${kind}`);
  }
  expect(wrong).toEqual([]);
  expect(({} as Record<string, unknown>).n).toBeUndefined();
  expect((await post(service, ask('Q'))).status).toBe(200);
});
