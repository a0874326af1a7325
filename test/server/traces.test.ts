import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { PolicyModel } from '../../search/index.js';
import { addKey, KeyRing } from '../../src/server/keys.js';
import { LiveTree } from '../../src/server/live-tree.js';
import { temporaryFolder } from '../support/cli.js';
import { fakeScorer, treePolicy } from '../support/fakes.js';
import { ask, fakeModels, listen, png, post, startService } from './harness.js';

const rollout = (steps: string[], finish: 'end' | 'step' | 'length' = 'end') => {
  return { steps, finish, policyTokens: steps.length };
};
const sampled = (prefix: string[], rollouts: ReturnType<typeof rollout>[]) => ({
  prefix,
  until: 'end' as const,
  reply: { rollouts, promptTokens: 0, cachedTokens: 0 },
  seconds: 0,
});

describe('LiveTree', () => {
  it('joins equal steps after equal prefixes, and tells what changed', () => {
    const tree = new LiveTree(100);
    const event = tree.addSamples(sampled([], [rollout(['a', 'b']), rollout(['a', 'c'])]));
    expect(event).toMatchObject({ type: 'nodes', nodes: [{ id: 0 }, { id: 1 }, { id: 2 }] });
    tree.addSamples(sampled(['a'], [rollout(['b', 'd'], 'length')]));
    expect(
      tree.nodes.map(({ parent, text, samples, finish }) => [parent, text, samples, finish]),
    ).toEqual([
      [-1, 'a', 2, null],
      [0, 'b', 2, 'end'],
      [0, 'c', 1, 'end'],
      [1, 'd', 1, 'length'],
    ]);
    expect(tree.addScores([['a', 'b']], [{ steps: [0.5, 0.25] }])).toEqual({
      type: 'scores',
      scores: [
        [0, 0.5, null],
        [1, 0.25, null],
      ],
    });
  });

  it('shows steps that a critic wrote, and keeps to its limit', () => {
    const tree = new LiveTree(3);
    tree.addSamples(sampled(['fixed'], [rollout(['a', 'b', 'c'])]));
    expect(tree.nodes.map(({ text }) => text)).toEqual(['fixed', 'a', 'b']);
    expect(tree.dropped).toBe(1);
  });
});

describe('GET /v1/traces/:id', () => {
  const scorer = fakeScorer((step) => (step === 'wrong' ? 0.2 : 0.8));
  const asked = () =>
    treePolicy((prefix) => (prefix.length < 2 ? ['right', 'wrong'] : ['Answer: 1']));

  it('holds tree, scores, candidates and picture of a finished solve', async () => {
    const service = await startService({ models: fakeModels({ asked: asked(), scorer }) });
    const url = await png();
    const content = [
      { type: 'image_url', image_url: { url } },
      { type: 'text', text: 'How many?' },
    ];
    const { body, headers } = await post(
      service,
      ask('', {
        model: 'steptree/beam',
        messages: [{ role: 'user', content }],
        steptree: { n: 4, beamWidth: 2 },
      }),
    );
    const id = headers['x-steptree-trace'] as string;
    expect(body.choices[0].steptree.trace).toBe(id);
    const reply = await service.app.inject({
      url: `/v1/traces/${id}`,
      headers: { host: 'localhost' },
    });
    const trace = reply.json();
    expect(trace).toMatchObject({
      id,
      status: 'done',
      strategy: 'beam',
      problem: { question: 'How many?', images: [url] },
      result: { answer: '1' },
      error: null,
    });
    expect(trace.tree.nodes[0]).toMatchObject({ parent: -1, samples: expect.any(Number) });
    expect(new Set(trace.tree.nodes.map(({ score }: { score: number }) => score))).toEqual(
      new Set([0.8, 0.2]),
    );
    expect(trace.usage.rollouts).toBe(body.choices[0].steptree.usage.rollouts);
  });

  it('is followed by events while the solve runs', async () => {
    const inner = asked();
    let go = () => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const policy = {
      ...inner,
      sample: async (request: Parameters<typeof inner.sample>[0]) => {
        await gate;
        return inner.sample(request);
      },
    };
    const service = await startService({ models: fakeModels({ asked: policy, scorer }) });
    const base = await listen(service);
    const solving = await fetch(`${base}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(ask('Q', { model: 'steptree/beam', stream: true })),
    });
    const id = solving.headers.get('x-steptree-trace');
    const events = await fetch(`${base}/v1/traces/${id}/events`);
    go();
    const text = await events.text();
    const names = [...text.matchAll(/^event: (\w+)$/gm)].map(([, name]) => name);
    expect(names[0]).toBe('snapshot');
    expect(names.at(-1)).toBe('end');
    expect(new Set(names)).toEqual(new Set(['snapshot', 'nodes', 'scores', 'usage', 'end']));
    expect(text).toMatch(/event: end\ndata: {"status":"done","answer":"1","error":null}/);
    const stream = await solving.text();
    expect(stream).toMatch(/^: progress {"rollouts":/m);
    expect(stream).toMatch(/data: \[DONE\]\n\n$/);
    // Whoever comes late gets the snapshot and the end.
    const late = await (await fetch(`${base}/v1/traces/${id}/events`)).text();
    expect([...late.matchAll(/^event: (\w+)$/gm)].map(([, name]) => name)).toEqual([
      'snapshot',
      'end',
    ]);
  });

  it('is kept only if it is wanted, and not longer than there is room', async () => {
    const service = await startService({ server: { traces: 2 } });
    const unwanted = await post(service, ask('Q', { steptree: { trace: false } }));
    expect(unwanted.headers['x-steptree-trace']).toBeUndefined();
    expect(unwanted.body.choices[0].steptree.trace).toBeNull();
    for (const question of ['a', 'b', 'c']) await post(service, ask(question));
    const list = await service.app.inject({ url: '/v1/traces', headers: { host: 'localhost' } });
    expect(list.json().traces.map(({ question }: { question: string }) => question)).toEqual([
      'c',
      'b',
    ]);
    const none = await startService({ server: { traceMb: 0.000001 } });
    await post(none, ask('a'));
    expect(none.service.traces.count).toBe(0);
  });

  it('is not kept of a stream that is refused when its turn comes', async () => {
    let answer = () => {};
    const asked: PolicyModel = {
      name: 'held',
      sample: ({ seeds }) =>
        new Promise((resolve) => {
          const rollout = { steps: ['Answer: 1'], finish: 'end' as const, policyTokens: 1 };
          answer = () =>
            resolve({ rollouts: seeds.map(() => rollout), promptTokens: 1, cachedTokens: 0 });
        }),
    };
    const service = await startService({
      models: fakeModels({ asked }),
      server: { maxConcurrent: 1, maxQueue: 0 },
    });
    const stream = () =>
      service.app.inject({
        method: 'POST',
        url: '/v1/chat/completions',
        headers: { host: 'localhost' },
        payload: ask('Q', { model: 'steptree/greedy', stream: true }),
      });
    // Both come in while there is a place, and only one finds it free.
    const both = [stream(), stream()];
    const refused = await Promise.race(both);
    expect(refused.statusCode).toBe(429);
    answer();
    await Promise.all(both);
    expect(service.service.traces.count).toBe(1);
  });

  it('is not there for another key', async () => {
    const file = join(temporaryFolder(), 'keys.json');
    const [a, b] = [await addKey(file, 'a'), await addKey(file, 'b')];
    const service = await startService({ keys: new KeyRing(file, () => {}) });
    const as = ({ key }: { key: string }) => ({
      authorization: `Bearer ${key}`,
      host: 'localhost',
    });
    const { headers } = await post(service, ask('Q'), undefined, as(a));
    const url = `/v1/traces/${headers['x-steptree-trace']}`;
    expect((await service.app.inject({ url, headers: as(a) })).statusCode).toBe(200);
    expect((await service.app.inject({ url, headers: as(b) })).statusCode).toBe(404);
    expect((await service.app.inject({ url: `${url}/events`, headers: as(b) })).statusCode).toBe(
      404,
    );
    const list = await service.app.inject({ url: '/v1/traces', headers: as(b) });
    expect(list.json().traces).toEqual([]);
  });
});
