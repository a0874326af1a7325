import { afterEach, describe, expect, it } from 'vitest';
import { startSimulatedServer } from '../../../bench/servers/simulated-server.js';
import { createSplitter } from '../../../src/policy/splitter.js';
import { cats, request } from '../samples.js';
import { Closer, connectTo } from './harness.js';
import {
  type Call,
  chatReply,
  sendJson,
  sendTexts,
  startScriptedServer,
} from './scripted-server.js';

const closer = new Closer();
afterEach(() => closer.closeAll());

const prefix = ['first step', 'second step'];
const isProbe = (call: Call) => JSON.stringify(call.body.messages).includes('1, 2, 3,');

describe('the probe at start', () => {
  it.each([
    { behaviour: 'flags' as const, mode: 'prefill' },
    { behaviour: 'always' as const, mode: 'prefill' },
    { behaviour: 'never' as const, mode: 'restate' },
  ])('chooses $mode for a server that continues an assistant: $behaviour', async (row) => {
    const server = closer.add(
      await startSimulatedServer({ problems: [cats], continuation: row.behaviour }),
    );
    const warnings: string[] = [];
    const policy = closer.add(
      await connectTo(
        server.url,
        { continuation: 'auto' },
        { onWarning: (message) => warnings.push(message) },
      ),
    );
    expect(policy.describe().continuation).toBe(row.mode);
    expect(warnings.length).toBe(row.mode === 'restate' ? 1 : 0);
    const { rollouts } = await policy.sample(request({ prefix: ['(1) reading = 1'] }));
    // The model numbers its steps: it goes on with the second one in either mode.
    for (const { steps } of rollouts) expect(steps[0]).toMatch(/^\(2\)|^Answer/);
  });

  // Found with the embedded policy behind a real vLLM: it can't count, and wrote " P: 9+1=1".
  it.each([
    { prompt: 'user: Count.\nassistant: 1, 2, 3,', mode: 'prefill' },
    { prompt: 'user: Count.\nassistant: 1, 2, 3,<end>\nassistant: ', mode: 'restate' },
    { prompt: null, mode: 'restate' },
  ])('chooses $mode for a model that cannot count if vLLM shows it $prompt', async (row) => {
    const server = closer.add(
      await startScriptedServer(({ path, response, body }) => {
        if (path === '/tokenize') {
          expect(body).toMatchObject({
            continue_final_message: true,
            add_generation_prompt: false,
          });
          sendJson(response, row.prompt === null ? 404 : 200, { tokens: [7, 8] });
        } else if (path === '/detokenize') {
          expect(body).toMatchObject({ tokens: [7, 8] });
          sendJson(response, 200, { prompt: row.prompt });
        } else sendJson(response, 200, chatReply([' P: 9+1=1']));
      }),
    );
    const policy = closer.add(await connectTo(server.url, { continuation: 'auto' }));
    expect(policy.describe().continuation).toBe(row.mode);
  });

  it('asks without the flags where the server does not know them', async () => {
    const server = closer.add(
      await startScriptedServer((call) => {
        const { body, response } = call;
        if ('continue_final_message' in body) {
          const message =
            'Unrecognized request arguments: continue_final_message, add_generation_prompt';
          sendJson(response, 400, { error: { message } });
        } else if (isProbe(call)) sendJson(response, 200, chatReply([' 4, 5']));
        else sendTexts(call);
      }),
    );
    const policy = closer.add(await connectTo(server.url, { continuation: 'auto' }));
    expect(policy.describe().continuation).toBe('prefill');
    await policy.sample(request({ prefix }));
    expect(server.calls).toHaveLength(3);
    expect(server.calls[2]?.body).not.toHaveProperty('continue_final_message');
    expect(server.calls[2]?.body.messages.at(-1)).toEqual({
      role: 'assistant',
      content: 'first step\n\nsecond step\n\n',
    });
  });

  it('restates for a server that refuses a last message of the assistant', async () => {
    const server = closer.add(
      await startScriptedServer((call) => {
        if (isProbe(call)) sendJson(call.response, 400, { message: 'last message must be user' });
        else sendTexts(call);
      }),
    );
    const warnings: string[] = [];
    const policy = closer.add(
      await connectTo(
        server.url,
        { continuation: 'auto' },
        { onWarning: (message) => warnings.push(message) },
      ),
    );
    expect(policy.describe().continuation).toBe('restate');
    expect(warnings[0]).toContain('last message must be user');
  });

  it('restates everywhere if one of the replicas does not continue', async () => {
    const [one, other] = await Promise.all(
      ['4, 5', '1, 2, 3, 4'].map(async (text) =>
        closer.add(
          await startScriptedServer((call) => sendJson(call.response, 200, chatReply([text]))),
        ),
      ),
    );
    const policy = closer.add(
      await connectTo([one?.url ?? '', other?.url ?? ''], { continuation: 'auto' }),
    );
    expect(policy.describe().continuation).toBe('restate');
  });
});

describe('a continued prefix', () => {
  it('is the last message of the assistant, with both flags, in prefill', async () => {
    const server = closer.add(await startScriptedServer((call) => sendTexts(call)));
    const policy = closer.add(await connectTo(server.url));
    await policy.sample(request({ prefix }));
    await policy.sample(request());
    const [continued, fresh] = server.calls.map((call) => call.body);
    expect(continued?.messages.map((m) => m.role)).toEqual(['system', 'user', 'assistant']);
    expect(continued).toMatchObject({
      continue_final_message: true,
      add_generation_prompt: false,
    });
    expect(fresh).not.toHaveProperty('continue_final_message');
    expect(fresh?.messages.at(-1)?.role).toBe('user');
  });

  it('is in the user turn in restate, and repeats of it are cut from the reply', async () => {
    const texts = [
      'first step\n\nsecond step\n\nthird step\n\nAnswer: 1',
      'second  step\n\nthird step\n\nAnswer: 2',
      'third step\n\nAnswer: 3',
    ];
    const server = closer.add(
      await startScriptedServer((call) => sendJson(call.response, 200, chatReply(texts))),
    );
    const policy = closer.add(await connectTo(server.url, { continuation: 'restate' }));
    const { rollouts } = await policy.sample(request({ prefix }));
    expect(rollouts.map((rollout) => rollout.steps)).toEqual([
      ['third step', 'Answer: 1'],
      ['third step', 'Answer: 2'],
      ['third step', 'Answer: 3'],
    ]);
    const last = server.calls[0]?.body.messages.at(-1);
    expect(last?.role).toBe('user');
    expect(last?.content).toContain('first step\n\nsecond step');
  });

  it('stays in the reply in prefill where the model really says the last step again', async () => {
    const server = closer.add(
      await startScriptedServer((call) =>
        sendJson(call.response, 200, chatReply(['second step\n\nAnswer: 2'])),
      ),
    );
    const policy = closer.add(await connectTo(server.url));
    const { rollouts } = await policy.sample(request({ prefix, seeds: [1] }));
    expect(rollouts[0]?.steps).toEqual(['second step', 'Answer: 2']);
  });

  it('is raw text in completions, which refuses pictures', async () => {
    const server = closer.add(
      await startScriptedServer(({ response }) =>
        sendJson(response, 200, {
          choices: [{ text: 'third step\n\nAnswer: 1', finish_reason: 'stop' }],
        }),
      ),
    );
    const policy = closer.add(await connectTo(server.url, { continuation: 'completions' }));
    const { rollouts } = await policy.sample(request({ prefix, seeds: [1] }));
    expect(rollouts[0]?.steps).toEqual(['third step', 'Answer: 1']);
    expect(server.calls[0]?.path).toBe('/v1/completions');
    expect(server.calls[0]?.body.prompt).toMatch(/first step\n\nsecond step\n\n$/);
    const problem = { ...cats, images: [{ source: 'a.png', location: '/a.png' }] };
    await expect(policy.sample(request({ problem }))).rejects.toMatchObject({
      code: 'POLICY_CONTINUATION_UNSUPPORTED',
    });
  });
});

describe('one step', () => {
  const choice = (text: string, changes: object) => ({
    choices: [{ message: { content: text }, finish_reason: 'stop', ...changes }],
  });
  const askStep = async (reply: object, options: { ownedBy?: string; splitter?: string } = {}) => {
    const server = closer.add(
      await startScriptedServer((call) => sendJson(call.response, 200, reply), options),
    );
    const splitter = createSplitter(options.splitter ?? 'blank-line');
    const policy = closer.add(await connectTo(server.url, {}, { splitter }));
    const { rollouts } = await policy.sample(request({ until: 'step', seeds: [1] }));
    return { rollout: rollouts[0], body: server.calls[0]?.body };
  };

  it.each([
    { name: 'vLLM stopped at the separator', extra: { stop_reason: '\n\n' }, finish: 'step' },
    { name: 'vLLM stopped at the end token', extra: { stop_reason: null }, finish: 'end' },
    { name: 'vLLM stopped at a stop token', extra: { stop_reason: 151645 }, finish: 'end' },
    { name: 'SGLang matched the separator', extra: { matched_stop: '\n\n' }, finish: 'step' },
    { name: 'SGLang matched the end token', extra: { matched_stop: 2 }, finish: 'end' },
    { name: 'the token limit was hit', extra: { finish_reason: 'length' }, finish: 'length' },
    { name: 'the server is silent', extra: {}, finish: 'step' },
  ])('is told from the end of the solution when $name', async ({ extra, finish }) => {
    const { rollout } = await askStep(choice('a step', extra));
    expect(rollout).toMatchObject({ steps: ['a step'], finish });
  });

  it('is taken as the last one if a silent server gives a step that states the answer', async () => {
    const { rollout } = await askStep(choice('So the answer is 12.', {}));
    expect(rollout?.finish).toBe('end');
  });

  it('is cut from a reply that goes on because the server ignores stop strings', async () => {
    const { rollout } = await askStep(choice('a step\n\nanother\n\nAnswer: 1', {}));
    expect(rollout).toMatchObject({ steps: ['a step'], finish: 'step' });
  });

  it('ends the solution if it is the answer between tags', async () => {
    const { rollout } = await askStep(choice('<answer>12', { stop_reason: '</answer>' }), {
      splitter: 'step-tags',
    });
    expect(rollout).toMatchObject({ steps: ['<answer>12</answer>'], finish: 'end' });
  });

  it('asks each server in its own words to keep the stop string', async () => {
    const reply = choice('a step\n\n', { stop_reason: '\n\n' });
    const vllm = (await askStep(reply, { ownedBy: 'vllm' })).body;
    expect(vllm).toMatchObject({ stop: ['\n\n'], include_stop_str_in_output: true });
    const sglang = (await askStep(reply, { ownedBy: 'sglang' })).body;
    expect(sglang).toMatchObject({ stop: ['\n\n'], no_stop_trim: true });
    const other = (await askStep(reply, { ownedBy: 'somebody' })).body;
    expect(other).not.toHaveProperty('include_stop_str_in_output');
    expect(other).not.toHaveProperty('no_stop_trim');
  });

  it('is asked for without stop strings when they fire on the separator of the prefix', async () => {
    const server = closer.add(
      await startScriptedServer(({ body, response }) =>
        sendJson(
          response,
          200,
          body.min_tokens || body.stop === null
            ? choice('\n\nthird step\n\nAnswer: 3', { stop_reason: null })
            : choice('', { stop_reason: '\n\n' }),
        ),
      ),
    );
    const policy = closer.add(await connectTo(server.url));
    const asked = request({ prefix, until: 'step', seeds: [1] });
    const first = await policy.sample(asked);
    expect(first.rollouts[0]).toMatchObject({ steps: ['third step'], finish: 'step' });
    expect(server.calls).toHaveLength(2);
    // From then on the server is asked to look for stop strings after the first token only.
    const second = await policy.sample(asked);
    expect(second.rollouts[0]).toMatchObject({ steps: ['third step'], finish: 'step' });
    expect(server.calls).toHaveLength(3);
    expect(server.calls[2]?.body.min_tokens).toBe(1);
    expect(policy.stats().warnings.join()).toContain('trims the separator');
  });

  it('is asked for again when restating made the server repeat the prefix', async () => {
    const server = closer.add(
      await startScriptedServer(({ body, response }) =>
        sendJson(
          response,
          200,
          body.stop === null
            ? choice('first step\n\nsecond step\n\nthird step\n\nmore', { stop_reason: null })
            : choice('second step', { stop_reason: '\n\n' }),
        ),
      ),
    );
    const policy = closer.add(await connectTo(server.url, { continuation: 'restate' }));
    const { rollouts } = await policy.sample(request({ prefix, until: 'step', seeds: [1] }));
    expect(rollouts[0]).toMatchObject({ steps: ['third step'], finish: 'step' });
  });
});
