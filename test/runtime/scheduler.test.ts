import { expect, it } from 'vitest';
import type { PolicyModel, SampleReply, SampleRequest } from '../../search/index.js';
import { ScheduledPolicy } from '../../src/runtime/scheduler.js';
import { PROBLEM } from '../support/fakes.js';

/** A policy whose calls end when the test says so. */
function heldPolicy() {
  const open: { id: string; n: number; finish(): void; fail(error: Error): void }[] = [];
  const policy: PolicyModel = {
    name: 'held',
    sample: ({ problem, seeds }) =>
      new Promise<SampleReply>((resolve, reject) => {
        open.push({
          id: problem.id,
          n: seeds.length,
          finish: () => resolve({ rollouts: [], promptTokens: 0, cachedTokens: 0 }),
          fail: reject,
        });
      }),
  };
  return { policy, open };
}

function request(id: string, n: number): SampleRequest {
  return {
    problem: { ...PROBLEM, id },
    prefix: [],
    until: 'end',
    seeds: Array.from({ length: n }, (_, i) => i),
    sampling: {
      temperature: 1,
      topK: 0,
      topP: 1,
      minP: 0,
      repetitionPenalty: 1,
      maxTokens: 8,
    },
  };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

it('lets no more sequences through than there are places', async () => {
  const { policy, open } = heldPolicy();
  const scheduler = new ScheduledPolicy(policy, 20);
  const calls = ['a', 'b', 'c'].map((id) => scheduler.sample(request(id, 8)));
  await settled();
  expect(open.map((call) => call.id)).toEqual(['a', 'b']);
  expect(scheduler.stats()).toEqual({ inFlight: 16, maxInFlight: 20, waiting: 8 });
  open[0]?.finish();
  await settled();
  expect(open.map((call) => call.id)).toEqual(['a', 'b', 'c']);
  for (const call of open) call.finish();
  await Promise.all(calls);
  expect(scheduler.stats()).toMatchObject({ inFlight: 0, waiting: 0 });
});

it('serves the problem with the fewest rollouts first, so that trees end together', async () => {
  const { policy, open } = heldPolicy();
  const scheduler = new ScheduledPolicy(policy, 4);
  const calls = [
    scheduler.sample(request('busy', 4)), // at once
    scheduler.sample(request('far', 4)), // far has asked for 0 before this call
    scheduler.sample(request('far', 4)), // … and for 4 before this one
    scheduler.sample(request('busy', 4)), // busy for 4 too, but it came later
    scheduler.sample(request('fresh', 4)), // fresh for 0
  ];
  for (let i = 0; i < 5; i++) {
    await settled();
    open[i]?.finish();
  }
  await Promise.all(calls);
  expect(open.map((call) => call.id)).toEqual(['busy', 'far', 'fresh', 'far', 'busy']);
});

it('lets a call through alone that is larger than all places', async () => {
  const { policy, open } = heldPolicy();
  const scheduler = new ScheduledPolicy(policy, 4);
  const call = scheduler.sample(request('a', 16));
  await settled();
  expect(open).toHaveLength(1);
  open[0]?.finish();
  await call;
});

it('gives the place of a failed call back', async () => {
  const { policy, open } = heldPolicy();
  const scheduler = new ScheduledPolicy(policy, 4);
  const failing = scheduler.sample(request('a', 4));
  const next = scheduler.sample(request('b', 4));
  await settled();
  open[0]?.fail(new Error('down'));
  await expect(failing).rejects.toThrow('down');
  await settled();
  open[1]?.finish();
  await next;
  expect(scheduler.stats().inFlight).toBe(0);
});

it('drops a waiting call when its signal aborts, and never starts it', async () => {
  const { policy, open } = heldPolicy();
  const scheduler = new ScheduledPolicy(policy, 4);
  const abort = new AbortController();
  const first = scheduler.sample(request('a', 4));
  const waiting = scheduler.sample(request('b', 4), abort.signal);
  await settled();
  abort.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
  expect(scheduler.stats().waiting).toBe(0);
  open[0]?.finish();
  await first;
  await settled();
  expect(open).toHaveLength(1);
});
