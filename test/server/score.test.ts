import { expect, it } from 'vitest';
import { fakeScorer } from '../support/fakes.js';
import { fakeModels, png, post, startService } from './harness.js';

const scorer = fakeScorer((step) => Number(step));

it('POST /v1/score gives raw step scores, every aggregate, and the best solution', async () => {
  const service = await startService({ models: fakeModels({ scorer }) });
  const { status, body } = await post(
    service,
    {
      question: 'Q',
      images: [await png()],
      solutions: [
        ['0.5', '0.8'],
        ['0.9', '0.6'],
      ],
      aggregation: 'min',
    },
    '/v1/score',
  );
  expect(status).toBe(200);
  expect(body.best).toBe(1);
  expect(body.paths[0]).toMatchObject({ steps: [0.5, 0.8], score: 0.5 });
  expect(body.paths[0].aggregates.product).toBeCloseTo(0.4);
  expect(body.paths[1].aggregates.mean).toBeCloseTo(0.75);
  // 10 tokens a path.
  expect(body.usage).toEqual({ prompt_tokens: 20, completion_tokens: 0, total_tokens: 20 });
});

it('takes a line of `steptree score` with one solution and one picture', async () => {
  const service = await startService({ models: fakeModels({ scorer }) });
  const line = { question: 'Q', image: await png(), steps: ['0.5', '0.8'] };
  const { body } = await post(service, line, '/v1/score');
  expect(body.paths).toMatchObject([{ steps: [0.5, 0.8] }]);
});

it.each([
  [{ question: 'Q' }, 'solutions'],
  [{ question: 'Q', steps: ['0.5'], solutions: [['0.5']] }, 'solutions'],
  [{ question: ' ', solutions: [['0.5']] }, 'question'],
  [{ question: 'Q', solutions: [] }, 'solutions'],
  [{ question: 'Q', solutions: [[]] }, 'solutions.0'],
  [{ question: 'Q', solutions: [['']] }, 'solutions.0.0'],
  [{ question: 'Q', solutions: [['0.5']], aggregation: 'best' }, 'aggregation'],
])('%j is a 400 that names %s', async (request, param) => {
  const service = await startService({ models: fakeModels({ scorer }) });
  const { status, body } = await post(service, request, '/v1/score');
  expect([status, body.error.param]).toEqual([400, param]);
});

it('is a 400 without a reward model', async () => {
  const { status, body } = await post(
    await startService(),
    { question: 'Q', solutions: [['0.5']] },
    '/v1/score',
  );
  expect([status, body.error.code]).toEqual([400, 'SERVE_STRATEGY_UNAVAILABLE']);
});
