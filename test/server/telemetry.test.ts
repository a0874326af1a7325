import { type Attributes, type Span, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fakeScorer } from '../support/fakes.js';
import { ask, fakeModels, post, startService } from './harness.js';

interface Seen {
  readonly name: string;
  readonly attributes: Attributes;
  failed: boolean;
  ended: boolean;
}

const seen: Seen[] = [];

/** An SDK of a few lines. */
const tracer = {
  startActiveSpan: (
    name: string,
    { attributes = {} }: { attributes?: Attributes },
    work: (span: Span) => unknown,
  ) => {
    const one: Seen = { name, attributes, failed: false, ended: false };
    seen.push(one);
    return work({
      setStatus: ({ code }: { code: SpanStatusCode }) => {
        one.failed = code === SpanStatusCode.ERROR;
      },
      end: () => {
        one.ended = true;
      },
    } as unknown as Span);
  },
} as unknown as Tracer;

beforeAll(() => {
  trace.setGlobalTracerProvider({ getTracer: () => tracer });
});
afterAll(() => trace.disable());

it('spans tell of solves and calls by counts, and of failures, without content', async () => {
  const models = fakeModels({ scorer: fakeScorer(() => 0.5) });
  const service = await startService({ models });
  await post(service, ask('secret', { model: 'steptree/best-of-n', steptree: { n: 2 } }));
  expect(seen.map(({ name }) => name)).toEqual([
    'steptree.solve',
    'steptree.policy',
    'steptree.policy',
    'steptree.prm',
  ]);
  expect(seen[0]?.attributes).toEqual({ 'steptree.strategy': 'best-of-n' });
  expect(seen.every(({ ended, failed }) => ended && !failed)).toBe(true);
  expect(JSON.stringify(seen)).not.toContain('secret');
  seen.length = 0;
  const failing = {
    name: 'failing',
    sample: async () => {
      throw new Error('down');
    },
  };
  await post(await startService({ models: fakeModels({ asked: failing }) }), ask('Q'));
  expect(seen.every(({ ended, failed }) => ended && failed)).toBe(true);
});
