import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createImageEncoder, sniffImageType } from '../../../src/policy/openai/images.js';
import { splitTokens } from '../../../src/policy/openai/replies.js';
import { cats, request, sampling } from '../samples.js';
import { Closer, connectTo } from './harness.js';
import {
  type Call,
  chatReply,
  sendJson,
  sendTexts,
  startScriptedServer,
} from './scripted-server.js';

const closer = new Closer();
let folder = '';
const PNG = Buffer.from('\x89PNG\r\n\x1a\nnot really a picture', 'latin1');

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'steptree-openai-'));
  await writeFile(join(folder, 'a.png'), PNG);
  await writeFile(join(folder, 'notes.png'), 'no picture at all');
});
afterEach(() => closer.closeAll());
afterAll(() => rm(folder, { recursive: true, force: true }));

async function serve(answer: (call: Call, index: number) => void = (call) => sendTexts(call)) {
  return closer.add(await startScriptedServer(answer));
}

const image = (name: string) => ({ source: name, location: join(folder, name) });

describe('a request', () => {
  it('asks for all rollouts of a call at once and always states every sampling field', async () => {
    const server = await serve();
    const policy = closer.add(await connectTo(server.url));
    await policy.sample(
      request({
        seeds: [41, 5, 6],
        sampling: {
          temperature: 0.7,
          topK: 30,
          topP: 0.9,
          minP: 0.1,
          repetitionPenalty: 1.05,
          maxTokens: 100,
        },
      }),
    );
    await policy.sample(request());
    const [set, off] = server.calls.map((call) => call.body);
    expect(set).toMatchObject({
      model: 'm',
      n: 3,
      seed: 41,
      temperature: 0.7,
      top_k: 30,
      top_p: 0.9,
      min_p: 0.1,
      repetition_penalty: 1.05,
      max_tokens: 100,
      stop: null,
    });
    expect(off).toMatchObject({ top_k: -1, top_p: 1, min_p: 0, repetition_penalty: 1, stop: null });
  });

  it('is split as samplesPerRequest says, each part with its own first seed', async () => {
    const server = await serve();
    const policy = closer.add(await connectTo(server.url, { samplesPerRequest: 2 }));
    const { rollouts } = await policy.sample(request({ seeds: [1, 2, 3, 4, 5] }));
    expect(rollouts).toHaveLength(5);
    const parts = server.calls.map(({ body }) => [body.seed, body.n]);
    expect(parts.sort()).toEqual([
      [1, 2],
      [3, 2],
      [5, 1],
    ]);
  });

  it('holds the wording, the stop strings and logprobs that the options ask for', async () => {
    const server = await serve();
    const policy = closer.add(
      await connectTo(server.url, {
        systemPrompt: 'Be brief.',
        promptTemplate: 'Q: {question}{choices}\nA:',
        stop: ['<END>'],
        logprobs: true,
      }),
    );
    await policy.sample(request({ problem: { ...cats, choices: ['1', '12'] } }));
    expect(server.calls[0]?.body).toMatchObject({
      messages: [
        { role: 'system', content: 'Be brief.' },
        {
          role: 'user',
          content: 'Q: How many cats are on the mat?\n\nChoices:\n(A) 1\n(B) 12\nA:',
        },
      ],
      stop: ['<END>'],
      logprobs: true,
    });
  });

  it('has no system message if the system prompt is empty', async () => {
    const server = await serve();
    const policy = closer.add(await connectTo(server.url, { systemPrompt: '' }));
    await policy.sample(request());
    expect(server.calls[0]?.body.messages).toEqual([{ role: 'user', content: cats.question }]);
  });

  it('holds the image before the text, in the same bytes each time, read from disk once', async () => {
    const server = await serve();
    const policy = closer.add(await connectTo(server.url));
    const problem = { ...cats, images: [image('a.png')] };
    await Promise.all([policy.sample(request({ problem })), policy.sample(request({ problem }))]);
    const contents = server.calls.map(({ body }) => body.messages.at(-1)?.content);
    expect(contents[0]).toEqual([
      {
        type: 'image_url',
        image_url: { url: `data:image/png;base64,${PNG.toString('base64')}` },
      },
      { type: 'text', text: cats.question },
    ]);
    expect(contents[1]).toEqual(contents[0]);
    expect(policy.stats().imageReads).toBe(1);
  });

  it.each([
    { name: 'absent.png', why: /ENOENT/ },
    { name: 'notes.png', why: /no PNG/ },
  ])('is not sent with an image that can not be used: $name', async ({ name, why }) => {
    const server = await serve();
    const policy = closer.add(await connectTo(server.url));
    const error = await policy
      .sample(request({ problem: { ...cats, images: [image(name)] } }))
      .catch((e) => e);
    expect(error).toMatchObject({ code: 'POLICY_IMAGE_UNREADABLE', facts: { source: name } });
    expect(error.message).toContain(join(folder, name));
    expect(error.message).toMatch(why);
    expect(server.calls).toHaveLength(0);
  });

  it('does not fetch images from elsewhere', async () => {
    const encoder = createImageEncoder(1e6);
    const location = 'http://example.org/a.png';
    await expect(encoder.dataUrl({ source: location, location })).rejects.toMatchObject({
      code: 'POLICY_IMAGE_UNREADABLE',
    });
  });

  it('leaves a field away once the server said that it does not know it', async () => {
    const server = await serve((call) => {
      const unknown = ['top_k', 'min_p', 'repetition_penalty'].filter((f) => f in call.body);
      if (unknown.length === 0) return sendTexts(call);
      const message = `Unrecognized request argument supplied: ${unknown[0]}`;
      return sendJson(call.response, 400, { error: { message } });
    });
    const warnings: string[] = [];
    const policy = closer.add(
      await connectTo(server.url, {}, { onWarning: (message) => warnings.push(message) }),
    );
    await policy.sample(request());
    await policy.sample(request());
    expect(server.calls).toHaveLength(5);
    expect(server.calls[4]?.body).toMatchObject({ temperature: 1, top_p: 1, seed: 7 });
    expect(warnings).toHaveLength(3);
    expect(policy.stats().retries).toBe(0);
    expect(policy.describe().replicas).toMatchObject([
      { droppedFields: ['min_p', 'repetition_penalty', 'top_k'] },
    ]);
  });

  it('keeps a field whose value, not name, was refused', async () => {
    const server = await serve(({ response }) =>
      sendJson(response, 400, { error: { message: 'top_k must be -1 or at least 1' } }),
    );
    const policy = closer.add(await connectTo(server.url));
    await expect(policy.sample(request())).rejects.toMatchObject({ code: 'POLICY_CALL_REFUSED' });
    expect(server.calls).toHaveLength(1);
  });

  it('speaks of max_completion_tokens to a server that wants it so', async () => {
    const server = await serve((call) => {
      if (!('max_tokens' in call.body)) return sendTexts(call);
      const message =
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
      return sendJson(call.response, 400, { error: { message } });
    });
    const policy = closer.add(await connectTo(server.url));
    await policy.sample(request({ sampling: { ...sampling, maxTokens: 77 } }));
    expect(server.calls[1]?.body.max_completion_tokens).toBe(77);
  });
});

describe('a reply', () => {
  it('with fewer choices than asked for is completed by asking for the rest', async () => {
    const server = await serve(({ body, response }, index) => {
      const count = index === 0 ? 3 : body.n;
      const texts = Array.from({ length: count }, (_, i) => `Answer: ${body.seed + i}`);
      sendJson(response, 200, chatReply(texts));
    });
    const policy = closer.add(await connectTo(server.url));
    const { rollouts } = await policy.sample(request({ seeds: [10, 11, 12, 13, 14] }));
    expect(rollouts.map((rollout) => rollout.steps[0])).toEqual(
      [10, 11, 12, 13, 14].map((seed) => `Answer: ${seed}`),
    );
    expect(server.calls[1]?.body).toMatchObject({ n: 2, seed: 13 });
    expect(policy.stats().askedAgain).toBe(2);
  });

  it('with one choice whatever n says makes the host ask once per rollout', async () => {
    const server = await serve(({ body, response }) =>
      sendJson(response, 200, chatReply([`Answer: ${body.seed}`])),
    );
    const policy = closer.add(await connectTo(server.url));
    const asked = request({ seeds: [20, 30, 40] });
    for (const _ of [1, 2]) {
      const { rollouts } = await policy.sample(asked);
      expect(rollouts.map((rollout) => rollout.steps[0])).toEqual([
        'Answer: 20',
        'Answer: 30',
        'Answer: 40',
      ]);
    }
    expect(server.calls.map((call) => call.body.n)).toEqual([3, 1, 1, 1, 1, 1]);
  });

  it('with more choices than asked for is cut', async () => {
    const server = await serve(({ response }) =>
      sendJson(response, 200, chatReply(['Answer: 1', 'Answer: 2', 'Answer: 3'])),
    );
    const policy = closer.add(await connectTo(server.url));
    expect((await policy.sample(request({ seeds: [1] }))).rollouts).toHaveLength(1);
  });

  it('without text is a rollout of no steps, not an error', async () => {
    const server = await serve(({ response }) =>
      sendJson(response, 200, {
        choices: [{ message: { content: null }, finish_reason: 'stop', stop_reason: null }],
      }),
    );
    const policy = closer.add(await connectTo(server.url));
    for (const until of ['end', 'step'] as const) {
      const { rollouts } = await policy.sample(request({ seeds: [1], until }));
      expect(rollouts).toEqual([{ steps: [], finish: 'end', policyTokens: 1 }]);
    }
  });

  it('cut by the token limit or a filter is not a finished solution', async () => {
    const reasons = ['length', 'content_filter', 'stop'];
    const server = await serve(({ response }) =>
      sendJson(response, 200, {
        choices: reasons.map((finish_reason) => ({ message: { content: 'a' }, finish_reason })),
      }),
    );
    const policy = closer.add(await connectTo(server.url));
    const { rollouts } = await policy.sample(request());
    expect(rollouts.map((rollout) => rollout.finish)).toEqual(['length', 'length', 'end']);
  });

  it('gives its tokens, cached tokens and mean log-probability', async () => {
    const logprobs = (...values: number[]) => ({
      content: values.map((logprob) => ({ token: 'x', logprob })),
    });
    const server = await serve(({ response }) =>
      sendJson(response, 200, {
        choices: [
          { message: { content: 'a' }, finish_reason: 'stop', logprobs: logprobs(-1, -2) },
          { message: { content: 'bb' }, finish_reason: 'stop', logprobs: logprobs(-0.5) },
        ],
        usage: {
          prompt_tokens: 90,
          completion_tokens: 3,
          prompt_tokens_details: { cached_tokens: 64 },
        },
      }),
    );
    const policy = closer.add(await connectTo(server.url, { logprobs: true }));
    const reply = await policy.sample(request({ seeds: [1, 2] }));
    expect(reply).toMatchObject({
      promptTokens: 90,
      cachedTokens: 64,
      rollouts: [
        { policyTokens: 2, meanLogprob: -1.5 },
        { policyTokens: 1, meanLogprob: -0.5 },
      ],
    });
    expect(policy.stats()).toMatchObject({ policyTokens: 3, promptTokens: 90, cachedTokens: 64 });
  });
});

describe('the tokens of a reply', () => {
  it('are split over the choices by length, so that the sum is exact', () => {
    // 3 choices have 1 each; the other 7 go 10:30:60, cumulatively 0.7 -> 1, 2.8 -> 3, 7.
    const texts = ['a'.repeat(10), 'b'.repeat(30), 'c'.repeat(60)];
    expect(splitTokens(texts, [undefined, undefined, undefined], 10)).toEqual([2, 3, 5]);
  });

  it('keep the counts that are known', () => {
    expect(splitTokens(['aa', 'bb', 'cc'], [4, undefined, undefined], 10)).toEqual([4, 3, 3]);
  });

  it('are at least one each, of empty texts too', () => {
    expect(splitTokens(['', ''], [undefined, undefined], 5)).toEqual([3, 2]);
    expect(splitTokens(['', ''], [undefined, undefined], 0)).toEqual([1, 1]);
  });

  it('are estimated from the text where the server counts none', () => {
    expect(splitTokens(['', 'abcdefgh'], [undefined, undefined], undefined)).toEqual([1, 3]);
  });
});

describe('the image cache', () => {
  it('drops the least recently used image beyond its size', async () => {
    await writeFile(join(folder, 'b.png'), PNG);
    await writeFile(join(folder, 'c.png'), PNG);
    const size = `data:image/png;base64,${PNG.toString('base64')}`.length;
    const encoder = createImageEncoder(2 * size);
    for (const name of ['a.png', 'b.png', 'a.png', 'c.png', 'a.png']) {
      await encoder.dataUrl(image(name));
    }
    expect(encoder.stats()).toEqual({ cachedBytes: 2 * size, reads: 3 });
    await encoder.dataUrl(image('b.png'));
    expect(encoder.stats().reads).toBe(4);
  });

  it('knows pictures by their first bytes', () => {
    const bytes = (text: string) => Buffer.from(text, 'latin1');
    expect(sniffImageType(PNG)).toBe('image/png');
    expect(sniffImageType(bytes('\xff\xd8\xff\xe0'))).toBe('image/jpeg');
    expect(sniffImageType(bytes('RIFF\0\0\0\0WEBPVP8 '))).toBe('image/webp');
    expect(sniffImageType(bytes('GIF89a'))).toBe('image/gif');
    expect(sniffImageType(bytes('<svg>'))).toBeNull();
    expect(sniffImageType(bytes(''))).toBeNull();
  });
});
