import { afterEach, expect, it } from 'vitest';
import { createModelServer } from '../../../src/policy/openai/index.js';
import { type ReplicaOptions, replicaOptions } from '../../../src/policy/openai/options.js';
import { scorerSettings } from '../../../src/scorer/options.js';
import { judgeOptions } from '../../../src/verify/options.js';
import { Closer, fakeTiming } from './harness.js';
import {
  type Call,
  type ScriptedServer,
  sendJson,
  startScriptedServer,
} from './scripted-server.js';

const closer = new Closer();
afterEach(() => closer.closeAll());

it('replicas of a reward model keep a problem where it is and stand in for one that is lost', async () => {
  const servers: ScriptedServer[] = [];
  for (const i of [0, 1]) {
    servers.push(
      closer.add(await startScriptedServer((call) => sendJson(call.response, 200, { from: i }))),
    );
  }
  const settings = {
    ...{ requestTimeoutMs: 10_000, flagPrefix: 'prm', model: 'm' },
    ...{ maxRetries: 3, retryBaseMs: 0, retryCapMs: 0 },
  };
  const urls = servers.map((server) => server.url);
  const model = closer.add(createModelServer(urls, settings, { env: {}, timing: fakeTiming() }));
  const ask = async (affinity: string) =>
    ((await model.post('../pooling', { input: 'x' }, { affinity })) as { from: number }).from;
  const homes = new Map<string, number>();
  for (const key of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) homes.set(key, await ask(key));
  for (const [key, home] of homes) expect(await ask(key)).toBe(home);
  await servers[0]?.close();
  for (const key of homes.keys()) expect(await ask(key)).toBe(1);
});

type Counts = { calls: number; strayCalls: number; ejections: number; probes: number };

/** Two servers of one reward model. @param answer what the first does; the second is well */
async function twoReplicas(
  sharing: Partial<ReplicaOptions>,
  answer: (call: Call) => void = (call) => sendJson(call.response, 200, { from: 0 }),
  second = answer,
) {
  const servers = [
    closer.add(await startScriptedServer(answer)),
    closer.add(await startScriptedServer(second)),
  ];
  const timing = fakeTiming();
  const settings = {
    ...{ requestTimeoutMs: 10_000, flagPrefix: 'prm', model: 'm' },
    ...{ maxRetries: 1_000, retryBaseMs: 0, retryCapMs: 0 },
    sharing: replicaOptions.parse(sharing),
  };
  const urls = servers.map((server) => server.url);
  const model = closer.add(createModelServer(urls, settings, { env: {}, timing }));
  const ask = () => model.post('/score', { input: 'x' }, { affinity: 'a' });
  const counts = () => (model.replicas?.() ?? []) as readonly Counts[];
  const sum = (name: keyof Counts) => counts().reduce((total, one) => total + one[name], 0);
  return { model, timing, ask, counts, sum };
}

const unwell = (call: Call) => sendJson(call.response, 500, {});
const well = (call: Call) => sendJson(call.response, 200, {});

it('routing: calls of one problem go to one replica, or to each in its turn', async () => {
  for (const [routing, used] of [
    ['affinity', 1],
    ['round-robin', 2],
  ] as const) {
    const { ask, counts } = await twoReplicas({ routing });
    for (let i = 0; i < 4; i++) await ask();
    expect(counts().filter(({ calls }) => calls > 0)).toHaveLength(used);
  }
});

it('load factor: what a replica has above so many times the mean goes to the other', async () => {
  for (const [loadFactor, strays] of [
    [1, true],
    [10, false],
  ] as const) {
    const held: Call[] = [];
    const { ask, sum } = await twoReplicas({ loadFactor }, (call) => held.push(call));
    const calls = Array.from({ length: 40 }, ask);
    while (held.length < 40) await new Promise((resolve) => setImmediate(resolve));
    expect(sum('strayCalls') > 0).toBe(strays);
    for (const call of held) well(call);
    await Promise.all(calls);
  }
});

it('eject after: so many failures in a row leave a replica out', async () => {
  for (const [ejectAfter, ejections] of [
    [1, 1],
    [3, 0],
  ] as const) {
    // Whichever replica the call comes to first fails once.
    let failures = 1;
    const { ask, sum } = await twoReplicas({ ejectAfter }, (call) =>
      failures-- > 0 ? unwell(call) : well(call),
    );
    await ask();
    expect(sum('ejections')).toBe(ejections);
  }
});

it('probe interval: a replica that owes a reply for so long is asked whether it lives', async () => {
  for (const [probeIntervalMs, probed] of [
    [1_000, true],
    [0, false],
  ] as const) {
    const held: Call[] = [];
    const { ask, sum, timing } = await twoReplicas({ probeIntervalMs }, (call) =>
      call.path.endsWith('/score') ? held.push(call) : well(call),
    );
    const asked = ask();
    while (held.length < 1) await new Promise((resolve) => setImmediate(resolve));
    timing.pass(1_500);
    for (let i = 0; probed && sum('probes') === 0 && i < 10_000; i++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(sum('probes') > 0).toBe(probed);
    for (const call of held) well(call);
    await asked;
  }
});

it('outage patience: with all replicas out calls wait for so long, then fail', async () => {
  const { ask, timing } = await twoReplicas({ ejectAfter: 1, outagePatienceMs: 5_000 }, unwell);
  const began = timing.now();
  const asked = ask().catch((error: unknown) => error);
  let ended = false;
  void asked.then(() => {
    ended = true;
  });
  for (let i = 0; !ended && i < 1_000; i++) {
    timing.pass(100);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  expect(await asked).toMatchObject({ code: 'POLICY_REPLICAS_DOWN' });
  expect(timing.now() - began).toBeGreaterThanOrEqual(5_000);
});

it('reward model, critic and judge have these options under their own prefix', () => {
  const given = { prmEjectAfter: 7, criticRouting: 'least-loaded', judgeOutagePatienceMs: 9 };
  const { server, criticServer } = scorerSettings(given);
  expect([server.ejectAfter, server.routing]).toEqual([7, 'affinity']);
  expect([criticServer.ejectAfter, criticServer.routing]).toEqual([3, 'least-loaded']);
  expect(judgeOptions.parse({ judgeOutagePatienceMs: 9 }).judgeOutagePatienceMs).toBe(9);
});
