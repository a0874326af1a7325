import { afterEach, expect, it } from 'vitest';
import { createPolicy, type PolicyHandle } from '../../src/policy/create.js';
import { onnxOptions } from '../../src/policy/onnx/options.js';
import { openaiOptions } from '../../src/policy/openai/index.js';
import { simulatedOptions } from '../../src/policy/simulated.js';
import { ScheduledPolicy } from '../../src/runtime/scheduler.js';
import {
  type Call,
  type ScriptedServer,
  sendTexts,
  startScriptedServer,
} from '../policy/openai/scripted-server.js';
import { ask, fakeModels, listen, post, startService } from './harness.js';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

/** The service before a scripted chat server. */
async function serviceBefore(answer: (call: Call) => void, continuation = 'prefill') {
  const upstream: ScriptedServer = await startScriptedServer((call) => answer(call));
  open.push(upstream);
  const host: PolicyHandle = await createPolicy(
    {
      spec: upstream.url,
      splitter: 'blank-line',
      maxInFlight: 64,
      openai: openaiOptions.parse({ continuation, maxRetries: 0 }),
      onnx: onnxOptions.parse({}),
      simulated: simulatedOptions.parse({}),
    },
    new AbortController().signal,
    () => {},
  );
  open.push(host);
  const models = { ...fakeModels(), host, policy: new ScheduledPolicy(host, 64) };
  return { service: await startService({ models }), upstream };
}

const conversation = {
  model: 'steptree/greedy',
  messages: [
    { role: 'system', content: 'Use cm.' },
    { role: 'user', content: 'What is it?' },
    { role: 'assistant', content: 'A cube.' },
    { role: 'user', content: 'How long is an edge?' },
  ],
};

it('a conversation reaches the policy’s server turn by turn, the rules joined to its own', async () => {
  const { service, upstream } = await serviceBefore((call) => sendTexts(call));
  const { status, body } = await post(service, conversation);
  expect(status).toBe(200);
  expect(body.choices[0].message.content).toBe('Answer: 12');
  const messages = upstream.calls.at(-1)?.body.messages ?? [];
  expect(messages.map(({ role }) => role)).toEqual(['system', 'user', 'assistant', 'user']);
  expect(messages[0]?.content).toMatch(/^Solve the problem step by step.*\n\nUse cm\.$/s);
  expect(messages.slice(1).map(({ content }) => content)).toEqual([
    'What is it?',
    'A cube.',
    'How long is an edge?',
  ]);
});

it('a conversation is refused before a server that takes one text', async () => {
  const { service } = await serviceBefore((call) => sendTexts(call), 'completions');
  const { status, body } = await post(service, conversation);
  expect([status, body.error.code]).toEqual([400, 'SERVE_MESSAGES_UNSUPPORTED']);
});

it('closing the connection closes the policy’s requests within 100 ms', async () => {
  let asked: Call[] = [];
  const { service } = await serviceBefore((call) => {
    asked.push(call);
  });
  const url = await listen(service);
  const tookMs: number[] = [];
  for (let round = 0; round < 5; round++) {
    asked = [];
    tookMs.push(await abortOnce(url, () => asked));
    await service.service.admission.whenIdle();
  }
  // All are closed; the median keeps another process's turn on the core out of the time.
  expect(tookMs.sort((a, b) => a - b)[2]).toBeLessThan(100);
});

/** Time from the client's abort to the end of all of the policy's requests, ms. */
async function abortOnce(url: string, asked: () => readonly Call[]): Promise<number> {
  const abort = new AbortController();
  const reply = fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(ask('Q', { model: 'steptree/majority' })),
    signal: abort.signal,
  });
  // Calls of 1, 1, 2 and 4 rollouts.
  while (asked().length < 4) await new Promise(setImmediate);
  const abortedMs = performance.now();
  abort.abort();
  await expect(reply).rejects.toThrow();
  await Promise.all(asked().map(({ closed }) => closed));
  return performance.now() - abortedMs;
}

it('a policy’s server that fails is a 502 with the policy’s code', async () => {
  const { service } = await serviceBefore(({ response }) => response.writeHead(500).end('{}'));
  const { status, body } = await post(service, ask('Q'));
  expect([status, body.error.code, body.error.type]).toEqual([
    502,
    'POLICY_CALL_FAILED',
    'server_error',
  ]);
});
