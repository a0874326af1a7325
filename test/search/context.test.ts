import { expect, it } from 'vitest';
import type { Rollout } from '../../search/index.js';
import { fakeContext, fakePolicy, lastStepVerifier, memoryStore } from '../support/fakes.js';

const step = (text: string) => [text, 'Answer: 42'];

it('stores every reply before it returns it, and asks nobody again on a second run', async () => {
  const store = memoryStore();
  const policy = fakePolicy((_, index) => step(`s${index}`));
  const first = await fakeContext(policy, { store }).gradedRollouts([], { n: 3 });
  const replay = fakeContext(policy, { store });
  const second = await replay.gradedRollouts([], { n: 3 });
  expect(policy.calls).toHaveLength(1);
  expect(second).toEqual(first);
  expect(replay.usage).toMatchObject({ calls: 1, rollouts: 3, replayed: 1, policyTokens: 6 });
});

it('does not return a reply that could not be stored', async () => {
  const store = { get: () => undefined, put: () => Promise.reject(new Error('disk full')) };
  const context = fakeContext(
    fakePolicy(() => step('s')),
    { store },
  );
  await expect(context.sample([], { n: 1 })).rejects.toThrow('disk full');
});

it('gives sample i of a state the same seed however the samples are split into calls', async () => {
  const seeds: number[] = [];
  const policy = fakePolicy((_prefix, _index, seed) => {
    seeds.push(seed);
    return step('s');
  });
  await fakeContext(policy).sample(['a'], { n: 4 });
  const atOnce = seeds.splice(0);
  const context = fakeContext(policy);
  await context.sample(['a'], { n: 1 });
  await context.sample(['b'], { n: 1 });
  await context.sample(['a'], { n: 3 });
  expect([seeds[0], ...seeds.slice(2)]).toEqual(atOnce);
  expect(new Set([...atOnce, ...seeds]).size).toBe(5);
});

it('counts a truncated or empty rollout as ungraded and sends neither to the verifier', async () => {
  const rollouts: Rollout[] = [
    { steps: step('a'), finish: 'end', policyTokens: 5 },
    { steps: step('b'), finish: 'length', policyTokens: 5 },
    { steps: [], finish: 'end', policyTokens: 1 },
  ];
  const seen: number[] = [];
  const verifier = {
    verify: (...args: Parameters<typeof lastStepVerifier.verify>) => {
      seen.push(args[1].length);
      return lastStepVerifier.verify(...args);
    },
  };
  const policy = fakePolicy((_, index) => rollouts[index] as Rollout);
  const context = fakeContext(policy, { verifier });
  const { verdicts } = await context.gradedRollouts([], { n: 3 });
  expect(verdicts).toEqual([
    { verdict: 'equal' },
    { verdict: 'ungraded', reason: 'truncated' },
    { verdict: 'ungraded', reason: 'empty' },
  ]);
  expect(seen).toEqual([1]);
  expect(context.usage.ungraded).toBe(2);
});

it('refuses a policy that returns another number of rollouts than asked for', async () => {
  const policy = fakePolicy(() => step('s'));
  const short = {
    ...policy,
    sample: async (...args: Parameters<typeof policy.sample>) => {
      const reply = await policy.sample(...args);
      return { ...reply, rollouts: reply.rollouts.slice(1) };
    },
  };
  await expect(fakeContext(short).sample([], { n: 2 })).rejects.toMatchObject({
    code: 'REPLY_COUNT',
  });
});

it('names the first spent limit of its budget', async () => {
  const policy = fakePolicy(() => step('s'));
  const context = fakeContext(policy, { budget: { maxTotalRollouts: 4, maxPolicyTokens: 100 } });
  expect(context.exhausted()).toBeNull();
  await context.sample([], { n: 4 });
  expect(context.exhausted()).toBe('maxTotalRollouts');
});

it('counts calls and seconds against their limits, the seconds of an earlier session too', async () => {
  const policy = fakePolicy(() => step('s'));
  const calls = fakeContext(policy, { budget: { maxCalls: 2 } });
  await calls.sample([], { n: 1 });
  expect(calls.exhausted()).toBeNull();
  await calls.sample([], { n: 1 });
  expect(calls.exhausted()).toBe('maxCalls');

  const store = memoryStore();
  let clockMs = 0;
  const now = () => clockMs;
  const first = fakeContext(policy, { store, now, budget: { maxSeconds: 10 } });
  clockMs = 9_000;
  await first.sample([], { n: 1 });
  expect(first.exhausted()).toBeNull();
  // Another session, whose clock starts anywhere: 9 s are spent as soon as the reply is replayed.
  clockMs = 500_000;
  const resumed = fakeContext(policy, { store, now, budget: { maxSeconds: 10 } });
  await resumed.sample([], { n: 1 });
  expect(resumed.exhausted()).toBeNull();
  clockMs += 1_500;
  expect(resumed.exhausted()).toBe('maxSeconds');
});

it('refuses to judge without a judge', async () => {
  const context = fakeContext(fakePolicy(() => step('s')));
  await expect(context.critique(['a'])).rejects.toMatchObject({ code: 'OPTION_INVALID' });
});
