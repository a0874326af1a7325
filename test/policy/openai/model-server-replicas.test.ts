import { afterEach, expect, it } from 'vitest';
import { createModelServer } from '../../../src/policy/openai/index.js';
import { Closer, fakeTiming } from './harness.js';
import { type ScriptedServer, sendJson, startScriptedServer } from './scripted-server.js';

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
