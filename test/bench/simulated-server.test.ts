import { afterEach, describe, expect, it } from 'vitest';
import type { SimulatedServerOptions } from '../../bench/servers/server-simulation.js';
import {
  type SimulatedServer,
  startSimulatedServer,
} from '../../bench/servers/simulated-server.js';
import { REFERENCE_OPTIONS, referenceLoop } from '../../bench/speed/reference-loop.js';
import type { SampleRequest } from '../../search/types.js';
import { createSimulatedPolicy } from '../../src/policy/simulated.js';
import { createScorer, scorerSettings } from '../../src/scorer/index.js';
import { cats, defaultSimulation, manyProblems, request } from '../policy/samples.js';

const servers: SimulatedServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function start(options: Partial<SimulatedServerOptions> = {}): Promise<SimulatedServer> {
  const server = await startSimulatedServer({ problems: [cats], ...options });
  servers.push(server);
  return server;
}

/** The parts of a reply that are looked at; an error has only the last. */
interface ChatJson {
  readonly choices: readonly { readonly message: { readonly content: string } }[];
  readonly usage: { readonly completion_tokens: number };
  readonly error: { readonly message: string };
}

async function chat(server: SimulatedServer, body: Record<string, unknown>) {
  const response = await fetch(`${server.url}/chat/completions`, {
    method: 'POST',
    body: JSON.stringify({
      messages: [{ role: 'user', content: cats.question }],
      max_tokens: 1000,
      ...body,
    }),
  });
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as ChatJson,
  };
}

describe('the simulated server', () => {
  it('gives what the simulated policy gives, choice i with the seed counted up by i', async () => {
    const server = await start();
    const { body } = await chat(server, { n: 3, seed: 7, temperature: 1 });
    const policy = createSimulatedPolicy(defaultSimulation);
    const { rollouts } = await policy.sample(request({ seeds: [7, 8, 9] }));
    expect(body.choices.map((choice) => choice.message.content)).toEqual(
      rollouts.map((rollout) => rollout.steps.join('\n\n')),
    );
    expect(body.usage.completion_tokens).toBe(
      rollouts.reduce((sum, rollout) => sum + rollout.policyTokens, 0),
    );
  });

  it('gives all clients the same replies for a prefix, or fresh ones to everybody', async () => {
    const texts = async (server: SimulatedServer, seed: number) =>
      (await chat(server, { n: 2, seed })).body.choices.map((choice) => choice.message.content);
    const byState = await start({ seeds: 'state' });
    expect(await texts(byState, 5)).toEqual(await texts(byState, 9));
    const fresh = await start({ seeds: 'server' });
    expect(await texts(fresh, 5)).not.toEqual(await texts(fresh, 5));
  });

  it('scores paths as a reward model behind /pooling and behind logprobs, alike', async () => {
    const server = await start();
    const paths = [['(1) wrong = 1'], ['(1) wrong = 1', `Answer: ${cats.answer}`]];
    for (const kind of ['pooling', 'token-logits'] as const) {
      const scorer = await createScorer(scorerSettings({ prm: server.url, prmKind: kind }));
      const { paths: scores } = await scorer.score({ problem: cats, paths });
      // What is wrong scores 0.65 at most, what is right 0.35 at least; the same in both ways.
      expect(scores[0]?.steps?.[0]).toBeLessThanOrEqual(0.65);
      expect(scores[1]?.steps?.[1]).toBeGreaterThanOrEqual(0.35);
      expect(scores[0]?.steps?.[0]).toBeCloseTo(scores[1]?.steps?.[0] ?? Number.NaN, 9);
      await scorer.close();
    }
  });

  it('knows a problem only by its question', async () => {
    const server = await start();
    const { status, body } = await chat(server, { messages: [{ role: 'user', content: 'Who?' }] });
    expect(status).toBe(400);
    expect(body.error.message).toContain('knows no such question');
  });

  it('takes simulated time, says how full it was, and forgets on demand', async () => {
    // 4 sequences in 4 slots, steps of 1 ms at a speedup of 10: well under a second.
    const server = await start({ slots: 4, stepBaseMs: 1, stepPerSequenceMs: 0, speedup: 10 });
    await chat(server, { n: 4, seed: 1 });
    const stats = server.stats();
    expect(stats).toMatchObject({ requests: 1, finishedSequences: 4, running: 0, waiting: 0 });
    expect(stats.tokens).toBeGreaterThan(100);
    expect(stats.busyShare).toBeGreaterThan(0.25);
    expect(stats.busyShare).toBeLessThanOrEqual(1);
    server.resetStats();
    expect(server.stats()).toMatchObject({ requests: 0, finishedSequences: 0, busyShare: 0 });
  });

  it('frees the slots of a client that has gone', async () => {
    const server = await start({ slots: 4, stepBaseMs: 1000, speedup: 1 });
    const occupied = () => server.stats().waiting + server.stats().running;
    const abort = new AbortController();
    const call = fetch(`${server.url}/chat/completions`, {
      method: 'POST',
      body: JSON.stringify({ messages: [{ role: 'user', content: cats.question }], n: 4 }),
      signal: abort.signal,
    });
    await expect.poll(occupied, { timeout: 20_000 }).toBe(4);
    abort.abort();
    await expect(call).rejects.toThrow();
    await expect.poll(occupied, { timeout: 20_000 }).toBe(0);
  });

  it('fails the told share of the requests, the same ones for the same seed', async () => {
    const statuses = async () => {
      const server = await start({ faults: { error500: 0.3, busy429: 0.2 }, faultSeed: 5 });
      const seen: number[] = [];
      for (let i = 0; i < 60; i++) seen.push((await chat(server, { seed: i })).status);
      return seen;
    };
    const first = await statuses();
    expect(await statuses()).toEqual(first);
    // Seeded, so these are facts, not chances; they lie near 18 and 12 of 60.
    const count = (status: number) => first.filter((seen) => seen === status).length;
    expect(count(500)).toBeGreaterThan(9);
    expect(count(500)).toBeLessThan(27);
    expect(count(429)).toBeGreaterThan(4);
    expect(count(429)).toBeLessThan(20);
    expect(count(200)).toBe(60 - count(500) - count(429));
  });

  it('says how long to wait when it is busy', async () => {
    const server = await start({ faults: { busy429: 1 }, retryAfterSeconds: 3 });
    const { status, headers } = await chat(server, {});
    expect(status).toBe(429);
    expect(headers.get('retry-after')).toBe('3');
  });
});

describe('the reference loop', () => {
  it('makes one call of 16 rollouts at a time, one problem after the other', async () => {
    const policy = createSimulatedPolicy(defaultSimulation);
    const calls: SampleRequest[] = [];
    let open = 0;
    let mostOpen = 0;
    const problems = manyProblems(5);
    const result = await referenceLoop(problems, {
      name: 'watched',
      async sample(asked) {
        calls.push(asked);
        mostOpen = Math.max(mostOpen, ++open);
        const reply = await policy.sample(asked);
        open--;
        return reply;
      },
    });
    expect(mostOpen).toBe(1);
    expect(new Set(calls.map((call) => call.seeds.length))).toEqual(new Set([16]));
    const order = calls.map((call) => call.problem.id);
    expect(order).toEqual([...order].sort());
    expect(result).toMatchObject({ problems: 5, rollouts: 16 * calls.length });
    // Every problem starts from its question; the budget of 200 is checked between searches.
    expect(calls.filter((call) => call.prefix.length === 0)).toHaveLength(5);
    for (const problem of problems) {
      const own = calls.filter((call) => call.problem === problem).length * 16;
      expect(own).toBeLessThanOrEqual(200 + 16 * 4);
    }
  });

  it('asks nothing more of a problem that is always or never solved', async () => {
    for (const errorRate of [0, 1]) {
      const policy = createSimulatedPolicy({
        ...defaultSimulation,
        errorRate,
        difficultySpread: 0,
        recoverRate: 0,
        minSteps: 2,
      });
      const result = await referenceLoop([cats], policy, REFERENCE_OPTIONS);
      expect(result.rollouts).toBe(16);
    }
  });
});
