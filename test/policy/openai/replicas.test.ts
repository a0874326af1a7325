import { afterEach, describe, expect, it } from 'vitest';
import { cats, manyProblems, request } from '../samples.js';
import { Closer, connectTo, fakeTiming } from './harness.js';
import {
  type Call,
  type ScriptedServer,
  sendJson,
  sendTexts,
  startScriptedServer,
} from './scripted-server.js';

const closer = new Closer();
afterEach(() => closer.closeAll());

const problems = manyProblems(30);

async function startReplicas(count: number, answer: (call: Call, replica: number) => void) {
  const servers: ScriptedServer[] = [];
  for (let i = 0; i < count; i++) {
    servers.push(closer.add(await startScriptedServer((call) => answer(call, i))));
  }
  return servers;
}

/** Looks again after every turn of the event loop, until it holds. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

const questionsOf = (server: ScriptedServer | undefined) =>
  new Set(server?.calls.map((call) => call.body.messages.at(-1)?.content));

describe('several replicas', () => {
  it('share the problems, each problem staying on one of them', async () => {
    const servers = await startReplicas(3, (call) => sendTexts(call));
    const policy = closer.add(await connectTo(servers.map((server) => server.url)));
    for (const _ of [1, 2]) {
      await Promise.all(problems.map((problem) => policy.sample(request({ problem }))));
    }
    const seen = servers.map(questionsOf);
    // 30 problems on 3 replicas: no question is seen twice, and every replica sees some. The
    // ports differ from run to run; one replica stays idle with odds of 3·(2/3)^30, 2e-5.
    expect(seen.reduce((sum, questions) => sum + questions.size, 0)).toBe(30);
    for (const questions of seen) expect(questions.size).toBeGreaterThan(0);
    expect(policy.maxInFlight).toBe(3 * 768);
  });

  it('move only the problems of a replica that is lost', async () => {
    const servers = await startReplicas(3, (call) => sendTexts(call));
    const urls = servers.map((server) => server.url);
    const all = closer.add(await connectTo(urls));
    await Promise.all(problems.map((problem) => all.sample(request({ problem }))));
    const before = servers.map(questionsOf);
    for (const server of servers) server.calls.length = 0;
    const two = closer.add(await connectTo(urls.slice(0, 2)));
    await Promise.all(problems.map((problem) => two.sample(request({ problem }))));
    for (const i of [0, 1]) {
      const after = questionsOf(servers[i]);
      expect([...(before[i] ?? [])].filter((question) => !after.has(question))).toEqual([]);
    }
  });

  it('take over at once from one that asks for a pause, and it comes back after a probe', async () => {
    let overloaded = -1;
    const servers = await startReplicas(2, (call, replica) => {
      if (replica !== overloaded) return sendTexts(call);
      return sendJson(call.response, 503, { message: 'busy' }, { 'retry-after': '5' });
    });
    const timing = fakeTiming();
    const told: string[] = [];
    const policy = closer.add(
      await connectTo(
        servers.map((server) => server.url),
        { retryBaseMs: 0 },
        { timing, onWarning: (message) => told.push(message) },
      ),
    );
    const problem = cats;
    await policy.sample(request({ problem }));
    const home = servers.findIndex((server) => server.calls.length === 1);
    const other = 1 - home;
    overloaded = home;

    await policy.sample(request({ problem }));
    // Its wish to be left alone for 5 s is not waited out: the other one answers.
    expect(timing.sleptMs).toEqual([0]);
    expect(servers.map((server) => server.calls.length)[home]).toBe(2);
    expect(servers[other]?.calls).toHaveLength(1);

    await policy.sample(request({ problem }));
    expect(servers[home]?.calls).toHaveLength(2);
    expect(servers[home]?.probes).toBe(0);
    expect(servers[other]?.calls).toHaveLength(2);
    expect(policy.stats().replicas[home]).toMatchObject({ down: true, state: 'out', ejections: 1 });
    expect(told.join()).toContain(`${servers[home]?.url}/v1 is left out for now: HTTP 503: busy`);

    overloaded = -1;
    timing.pass(5001);
    await until(() => policy.stats().replicas[home]?.state === 'returning');
    expect(servers[home]?.probes).toBe(1);
    await policy.sample(request({ problem }));
    expect(servers[home]?.calls).toHaveLength(3);
    expect(policy.stats().replicas[home]).toMatchObject({ down: false });
  });

  it('send a single call to find out whether a lost replica is back', async () => {
    const held: Call[] = [];
    let arrived = () => {};
    let hold = -1;
    const servers = await startReplicas(2, (call, replica) => {
      if (hold === -1 || replica !== hold) return sendTexts(call);
      held.push(call);
      return arrived();
    });
    const timing = fakeTiming();
    const policy = closer.add(
      await connectTo(
        servers.map((server) => server.url),
        { retryBaseMs: 0, ejectAfter: 1 },
        { timing },
      ),
    );
    const problem = cats;
    await policy.sample(request({ problem }));
    const home = servers.findIndex((server) => server.calls.length === 1);
    hold = home;
    const first = policy.sample(request({ problem }));
    await new Promise<void>((resolve) => {
      arrived = resolve;
    });
    held[0]?.response.socket?.resetAndDestroy();
    await first;

    // The first pause is half a second.
    timing.pass(501);
    await until(() => policy.stats().replicas[home]?.state === 'returning');
    const trial = policy.sample(request({ problem }));
    await new Promise<void>((resolve) => {
      arrived = resolve;
    });
    // While the trial is under way nobody else is sent there.
    await Promise.all([1, 2, 3].map(() => policy.sample(request({ problem }))));
    expect(held).toHaveLength(2);
    if (held[1]) sendTexts(held[1]);
    await trial;
    hold = -1;
    const before = servers[home]?.calls.length ?? 0;
    await policy.sample(request({ problem }));
    expect(servers[home]?.calls.length).toBe(before + 1);
  });

  it('lose no call of a replica that falls silent: they are asked for elsewhere', async () => {
    let silent = -1;
    const servers: ScriptedServer[] = [];
    for (const i of [0, 1]) {
      servers.push(
        closer.add(
          await startScriptedServer((call) => (i === silent ? undefined : sendTexts(call)), {
            // Accepts connections and says nothing, as a machine does whose model hangs.
            health: (response) => (i === silent ? undefined : response.writeHead(200).end()),
          }),
        ),
      );
    }
    const timing = fakeTiming();
    const urls = servers.map((server) => server.url);
    const policy = closer.add(await connectTo(urls, { requestTimeoutMs: 600_000 }, { timing }));
    await policy.sample(request({ problem: cats }));
    const home = servers.findIndex((server) => server.calls.length === 1);
    silent = home;
    const calls = [1, 2, 3].map(() => policy.sample(request({ problem: cats })));
    await until(() => servers[home]?.calls.length === 4);
    // Three probes, each given up after 5 s: far less than the calls' own ten minutes.
    let waitedMs = 0;
    await until(() => {
      timing.pass(1_000);
      waitedMs += 1_000;
      return policy.stats().replicas[home]?.state === 'out';
    });
    expect(waitedMs).toBeLessThanOrEqual(30_000);
    const replies = await Promise.all(calls);
    for (const reply of replies) expect(reply.rollouts).toHaveLength(3);
    expect(servers[1 - home]?.calls).toHaveLength(3);
    expect(policy.stats().replicas[home]).toMatchObject({ probes: 3, inFlight: 0 });
  });

  it('are waited for while all are down, and the error after that names each with its reason', async () => {
    const servers = await startReplicas(2, (call) => sendTexts(call));
    const timing = fakeTiming();
    const urls = servers.map((server) => server.url);
    const policy = closer.add(
      await connectTo(urls, { retryBaseMs: 0, outagePatienceMs: 60_000 }, { timing }),
    );
    await Promise.all(servers.map((server) => server.close()));
    const call = policy.sample(request({ problem: cats })).catch((error: unknown) => error);
    await until(() => policy.stats().replicas.every(({ state }) => state === 'out'));
    let error: unknown;
    void call.then((reason) => {
      error = reason;
    });
    let waitedMs = 0;
    await until(() => {
      timing.pass(1_000);
      waitedMs += 1_000;
      return error !== undefined;
    });
    expect(waitedMs).toBeGreaterThanOrEqual(60_000);
    expect(error).toMatchObject({ code: 'POLICY_REPLICAS_DOWN' });
    for (const url of urls)
      expect(String(error)).toMatch(new RegExp(`${url}/v1 \\(.*ECONNREFUSED`));
  });

  it('take turns or share by load instead where --routing says so', async () => {
    for (const [routing, expected] of [
      ['round-robin', [2, 2]],
      ['affinity', [0, 4]],
    ] as const) {
      const servers = await startReplicas(2, (call) => sendTexts(call));
      const urls = servers.map((server) => server.url);
      const policy = closer.add(await connectTo(urls, { routing }));
      for (const _ of [1, 2, 3, 4]) await policy.sample(request({ problem: cats }));
      expect(servers.map((server) => server.calls.length).sort()).toEqual(expected);
    }
  });

  it('have at most --load-factor times the mean in flight, once their slots are full', async () => {
    for (const [loadFactor, most] of [
      [1, 2],
      [2, 4],
    ] as const) {
      const open: Call[] = [];
      const servers = await startReplicas(2, (call) => void open.push(call));
      const urls = servers.map((server) => server.url);
      // A slot each: one rollout is what a replica has without queueing.
      const policy = closer.add(await connectTo(urls, { loadFactor, maxInFlight: 3 }));
      const calls = [1, 2, 3, 4].map((seed) => policy.sample(request({ seeds: [seed] })));
      await until(() => open.length === 4);
      const loads = policy.stats().replicas.map(({ inFlight }) => inFlight);
      expect(Math.max(...loads)).toBe(most);
      for (const call of open) sendTexts(call);
      await Promise.all(calls);
    }
  });

  it('are asked for a sign of life after --probe-interval-ms of silence, and with 0 never', async () => {
    for (const [probeIntervalMs, probes] of [
      [5_000, 1],
      [0, 0],
    ] as const) {
      const open: Call[] = [];
      const servers = await startReplicas(2, (call) => void open.push(call));
      const urls = servers.map((server) => server.url);
      const timing = fakeTiming();
      const policy = closer.add(
        await connectTo(urls, { probeIntervalMs, requestTimeoutMs: 60_000 }, { timing }),
      );
      const call = policy.sample(request());
      await until(() => open.length === 1);
      timing.pass(5_000);
      const asked = () => policy.stats().replicas.reduce((sum, one) => sum + one.probes, 0);
      if (probes > 0) await until(() => asked() === probes);
      expect(asked()).toBe(probes);
      if (open[0]) sendTexts(open[0]);
      await call;
    }
  });

  it('work without one that can not be reached at start, with a warning', async () => {
    const [gone, well] = await startReplicas(2, (call) => sendTexts(call));
    await gone?.close();
    const policy = closer.add(await connectTo([gone?.url ?? '', well?.url ?? '']));
    await Promise.all(problems.map((problem) => policy.sample(request({ problem }))));
    expect(well?.calls).toHaveLength(30);
    expect(policy.stats().warnings.join()).toContain(`${gone?.url}/v1`);
  });
});

describe('the start', () => {
  it('names every server when none can be reached', async () => {
    const servers = await startReplicas(2, (call) => sendTexts(call));
    await Promise.all(servers.map((server) => server.close()));
    const error = await connectTo(servers.map((server) => server.url)).catch((e) => e);
    expect(error).toMatchObject({ code: 'POLICY_UNREACHABLE' });
    for (const { url } of servers) expect(error.message).toContain(url);
    expect(error.message).toContain('ECONNREFUSED');
  });

  it('takes the first model that the server lists, unless one is named', async () => {
    const server = closer.add(
      await startScriptedServer((call) => sendTexts(call), {
        models: (response) => sendJson(response, 200, { data: [{ id: 'a' }, { id: 'b' }] }),
      }),
    );
    const first = closer.add(await connectTo(server.url));
    expect(first.name).toBe('openai:a');
    expect(first.stats().warnings.join()).toContain('has 2 models');
    const named = closer.add(await connectTo(server.url, { model: 'b' }));
    await named.sample(request());
    expect(server.calls[0]?.body.model).toBe('b');
    const unknown = closer.add(await connectTo(server.url, { model: 'c' }));
    expect(unknown.stats().warnings.join()).toContain("doesn't list the model c; it has a, b");
  });

  it('needs a model name where the server lists none', async () => {
    const server = closer.add(
      await startScriptedServer((call) => sendTexts(call), {
        models: (response) => sendJson(response, 200, { data: [] }),
      }),
    );
    await expect(connectTo(server.url)).rejects.toMatchObject({ code: 'POLICY_MODEL_UNKNOWN' });
  });

  it('does without a model list where the model is named', async () => {
    const server = closer.add(
      await startScriptedServer((call) => sendTexts(call), {
        models: (response) => sendJson(response, 404, {}),
      }),
    );
    const policy = closer.add(await connectTo(server.url, { model: 'm' }));
    expect((await policy.sample(request())).rollouts).toHaveLength(3);
  });

  it('fails at once where the key is wrong', async () => {
    const server = closer.add(
      await startScriptedServer((call) => sendTexts(call), {
        models: (response) => sendJson(response, 401, { error: { message: 'no' } }),
      }),
    );
    await expect(connectTo(server.url)).rejects.toMatchObject({
      code: 'POLICY_CALL_REFUSED',
      message: expect.stringContaining('--api-key-env'),
    });
  });

  it('names the variable that should hold the key and does not', async () => {
    const options = { apiKeyEnv: 'STEPTREE_NO_SUCH_KEY' };
    await expect(connectTo('http://127.0.0.1:9', options)).rejects.toMatchObject({
      code: 'POLICY_API_KEY_MISSING',
      message: expect.stringContaining('STEPTREE_NO_SUCH_KEY'),
    });
  });

  it.each(['not a url', 'ftp://example.org', 'localhost:8000'])(
    'refuses %s as the URL of a server',
    async (url) => {
      await expect(connectTo(url)).rejects.toMatchObject({ code: 'POLICY_URL_INVALID' });
    },
  );

  it('keeps a path of the URL and adds /v1 to none', async () => {
    const server = closer.add(await startScriptedServer((call) => sendTexts(call)));
    for (const path of ['', '/', '/v1/', '/my/gateway']) {
      const policy = closer.add(await connectTo(server.url + path));
      await policy.sample(request());
    }
    expect(server.calls.map((call) => call.path)).toEqual([
      '/v1/chat/completions',
      '/v1/chat/completions',
      '/v1/chat/completions',
      '/my/gateway/chat/completions',
    ]);
  });
});
