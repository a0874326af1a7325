import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, streamText } from 'ai';
import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import type { PolicyModel } from '../../search/index.js';
import type { RunningService } from '../../src/server/app.js';
import { fakeModels, listen, png, startService } from './harness.js';

/** The real clients, over a real connection. */
const openaiOf = async (service: RunningService) =>
  new OpenAI({ baseURL: `${await listen(service)}/v1`, apiKey: 'none', maxRetries: 0 });

const aiOf = async (service: RunningService) =>
  createOpenAICompatible({
    name: 'steptree',
    baseURL: `${await listen(service)}/v1`,
    includeUsage: true,
  });

/** Answers when it is aborted only, and says so. */
function hangingPolicy(): PolicyModel & { aborted: number[]; asked: Promise<void> } {
  const aborted: number[] = [];
  let tellAsked = () => {};
  const asked = new Promise<void>((resolve) => {
    tellAsked = resolve;
  });
  return {
    name: 'hanging',
    aborted,
    asked,
    sample: (_request, signal) => {
      tellAsked();
      return new Promise((_, reject) => {
        signal?.addEventListener('abort', () => {
          aborted.push(performance.now());
          reject(signal.reason);
        });
      });
    },
  };
}

describe('the official openai client', () => {
  it('chats, with a picture, and finds usage and the steptree object', async () => {
    const client = await openaiOf(await startService());
    const reply = await client.chat.completions.create({
      model: 'steptree/majority',
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image_url', image_url: { url: await png() } },
            { type: 'text', text: 'How many?' },
          ],
        },
      ],
      seed: 3,
      temperature: 0.7,
      max_completion_tokens: 64,
    });
    expect(reply.choices[0]?.message.content).toContain('Answer: 42');
    expect(reply.usage?.total_tokens).toBeGreaterThan(0);
    expect(reply.choices[0]).toMatchObject({ steptree: { strategy: 'majority', answer: '42' } });
  });

  it('lists the models', async () => {
    const client = await openaiOf(await startService());
    const names: string[] = [];
    for await (const { id } of client.models.list()) names.push(id);
    expect(names).toEqual(['steptree', 'steptree/greedy', 'steptree/majority']);
  });

  it('streams the same text that it gets at once, and the usage last', async () => {
    const client = await openaiOf(await startService());
    const request = {
      model: 'steptree/majority',
      messages: [{ role: 'user' as const, content: 'How many?' }],
    };
    const whole = await client.chat.completions.create(request);
    const stream = await client.chat.completions.create({
      ...request,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let finish: string | null = null;
    let usage: unknown;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      finish = chunk.choices[0]?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
    }
    expect(text).toBe(whole.choices[0]?.message.content);
    expect(finish).toBe('stop');
    expect(usage).toEqual(whole.usage);
  });

  it('gives an answer back as its own turn, with the empty fields that clients write', async () => {
    const client = await openaiOf(await startService({ models: fakeModels({ takesTurns: true }) }));
    const first = { role: 'user' as const, content: 'How many?' };
    const { choices } = await client.chat.completions.create({
      model: 'steptree/majority',
      messages: [first],
    });
    const said = { role: 'assistant' as const, content: choices[0]?.message.content ?? '' };
    // As the Python client's model_dump() writes a message.
    const dumped = {
      ...{ ...said, refusal: null, annotations: [], audio: null },
      ...{ function_call: null, tool_calls: null, name: null },
    };
    const reply = await client.chat.completions.create({
      model: 'steptree/majority',
      messages: [first, dumped as unknown as typeof said, { role: 'user', content: 'Sure?' }],
    });
    expect(reply.choices[0]?.message.content).toMatch(/^look/);
    const called = { ...said, tool_calls: [{ id: 'a', type: 'function', function: {} }] };
    await expect(
      client.chat.completions.create({
        model: 'steptree/majority',
        messages: [first, called as unknown as typeof said, first],
      }),
    ).rejects.toMatchObject({ status: 400, param: 'messages.1.tool_calls' });
  });

  it('retrieves a model by its name', async () => {
    const client = await openaiOf(await startService());
    expect(await client.models.retrieve('steptree/majority')).toMatchObject({
      id: 'steptree/majority',
      object: 'model',
    });
    await expect(client.models.retrieve('gpt-4o')).rejects.toBeInstanceOf(OpenAI.NotFoundError);
  });

  it('gets several answers for n, different ones first', async () => {
    const client = await openaiOf(await startService());
    const { choices } = await client.chat.completions.create({
      model: 'steptree/majority',
      messages: [{ role: 'user', content: 'How many?' }],
      n: 3,
    });
    expect(choices.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(choices.slice(0, 2).map(({ message }) => message.content?.slice(-2))).toEqual([
      '42',
      '41',
    ]);
  });

  it('meets refusals as its own error classes, with a code and the field', async () => {
    const client = await openaiOf(await startService());
    const messages = [{ role: 'user' as const, content: 'How many?' }];
    const refusal = client.chat.completions.create({
      model: 'steptree/majority',
      messages,
      logit_bias: { 5: 1 },
    });
    await expect(refusal).rejects.toMatchObject({
      status: 400,
      code: 'SERVE_REQUEST_UNSUPPORTED',
      param: 'logit_bias',
    });
    await expect(refusal).rejects.toBeInstanceOf(OpenAI.BadRequestError);
    await expect(
      client.chat.completions.create({ model: 'gpt-4o', messages }),
    ).rejects.toBeInstanceOf(OpenAI.NotFoundError);
  });

  it('has its abort carried to the policy within 100 ms', async () => {
    const tookMs: number[] = [];
    for (let round = 0; round < 5; round++) tookMs.push(await abortOnce());
    // All are aborted; the median keeps another process's turn on the core out of the time.
    expect(tookMs.sort((a, b) => a - b)[2]).toBeLessThan(100);
  });

  /** Time from the client's abort to the last of the policy's, ms. */
  async function abortOnce(): Promise<number> {
    const policy = hangingPolicy();
    const service = await startService({ models: fakeModels({ asked: policy }) });
    const client = await openaiOf(service);
    const abort = new AbortController();
    const reply = client.chat.completions.create(
      { model: 'steptree/majority', messages: [{ role: 'user', content: 'How many?' }] },
      { signal: abort.signal },
    );
    await policy.asked;
    const abortedMs = performance.now();
    abort.abort();
    await expect(reply).rejects.toBeInstanceOf(OpenAI.APIUserAbortError);
    await service.service.admission.whenIdle();
    expect(policy.aborted).toHaveLength(4);
    return Math.max(...policy.aborted) - abortedMs;
  }

  it('has an error in the middle of a stream thrown', async () => {
    const failing: PolicyModel = {
      name: 'failing',
      sample: async () => {
        throw new Error('secret detail');
      },
    };
    const client = await openaiOf(await startService({ models: fakeModels({ asked: failing }) }));
    const stream = await client.chat.completions.create({
      model: 'steptree/majority',
      messages: [{ role: 'user', content: 'How many?' }],
      stream: true,
    });
    const read = async () => {
      for await (const _ of stream);
    };
    await expect(read()).rejects.toThrow(/internal error/);
  });
});

describe('the Vercel AI SDK', () => {
  it('chats, with a picture and options of the search', async () => {
    const provider = await aiOf(await startService());
    const { text, usage, finishReason } = await generateText({
      model: provider('steptree/majority'),
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'How many?' },
            { type: 'image', image: await png() },
          ],
        },
      ],
      providerOptions: { steptree: { steptree: { n: 4 } } },
    });
    expect(text).toMatch(/Answer: 4[12]$/);
    expect(usage.outputTokens).toBe(40);
    expect(finishReason).toBe('stop');
  });

  it('streams', async () => {
    const provider = await aiOf(await startService());
    const { textStream, usage } = streamText({
      model: provider('steptree/majority'),
      prompt: 'How many?',
    });
    let text = '';
    for await (const part of textStream) text += part;
    expect(text).toMatch(/Answer: 42$/);
    expect((await usage).outputTokens).toBe(80);
  });

  it('aborts', async () => {
    const policy = hangingPolicy();
    const service = await startService({ models: fakeModels({ asked: policy }) });
    const provider = await aiOf(service);
    const abort = new AbortController();
    const reply = generateText({
      model: provider('steptree/majority'),
      prompt: 'How many?',
      abortSignal: abort.signal,
      maxRetries: 0,
    });
    await policy.asked;
    abort.abort();
    await expect(reply).rejects.toThrow();
    await service.service.admission.whenIdle();
    expect(policy.aborted).toHaveLength(4);
  });

  it('meets a refusal with its status and message', async () => {
    const provider = await aiOf(await startService());
    const reply = generateText({
      model: provider('steptree/majority'),
      system: 'Be brief.',
      prompt: 'How many?',
      maxRetries: 0,
    });
    await expect(reply).rejects.toMatchObject({ statusCode: 400 });
    await expect(reply).rejects.toThrow(/reads one question/);
  });
});
