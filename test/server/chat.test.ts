import { describe, expect, it } from 'vitest';
import type { PolicyModel, SampleRequest } from '../../search/index.js';
import { fakePolicy, fakeScorer } from '../support/fakes.js';
import { ask, fakeModels, png, post, startService } from './harness.js';

const scorer = fakeScorer((step) => (step === 'hasty' || step.endsWith('41') ? 0.1 : 0.9));

/** Says what it was asked for. */
function listeningPolicy(steps: readonly string[] = ['one', 'two', 'Answer: 3']) {
  const requests: SampleRequest[] = [];
  const inner = fakePolicy((prefix) => {
    const next = steps.slice(prefix.length);
    return { steps: next, finish: 'end', policyTokens: 7 * next.length };
  });
  const policy: PolicyModel = {
    name: 'listening',
    sample: async (request, signal) => {
      requests.push(request);
      const reply = await inner.sample(request, signal);
      if (request.until === 'end') return reply;
      return {
        ...reply,
        rollouts: reply.rollouts.map(({ steps: [first = ''] }) => {
          const isLast = first.startsWith('Answer');
          return { steps: [first], finish: isLast ? 'end' : 'step', policyTokens: 7 };
        }),
      };
    },
  };
  return { policy, requests };
}

describe('POST /v1/chat/completions', () => {
  it('answers with the chosen solution, its usage and a steptree object', async () => {
    const service = await startService();
    const { status, body } = await post(service, ask('How many?', { steptree: { n: 6 } }));
    expect(status).toBe(200);
    expect(body).toMatchObject({ object: 'chat.completion', model: 'steptree/majority' });
    expect(body.choices[0].message.content).toMatch(/^look\n\nthink \d\n\nAnswer: 42$/);
    expect(body.choices[0].finish_reason).toBe('stop');
    // 6 rollouts of 10 tokens in calls of 1, 1, 2 and 2, each with a prompt of 10.
    expect(body.usage).toMatchObject({
      prompt_tokens: 40,
      completion_tokens: 60,
      total_tokens: 100,
    });
    expect(body.choices[0].steptree).toMatchObject({ strategy: 'majority', answer: '42' });
    expect(body.choices[0].steptree.candidates).toHaveLength(6);
  });

  it('counts the tokens of the reward model too', async () => {
    const service = await startService({ models: fakeModels({ scorer }) });
    const { body } = await post(
      service,
      ask('How many?', { model: 'steptree/best-of-n', steptree: { n: 2 } }),
    );
    // Two calls with a prompt of 10; the scorer's fake takes 10 a path.
    const { prm_tokens: prmTokens } = body.choices[0].steptree.usage;
    expect(prmTokens).toBeGreaterThan(0);
    expect(body.usage.prompt_tokens).toBe(20 + prmTokens);
    expect(body.choices[0].steptree.step_scores).toEqual([0.9, 0.9, 0.9]);
  });

  it('takes pictures, and gives them to the policy before the text', async () => {
    const { policy, requests } = listeningPolicy();
    const service = await startService({ models: fakeModels({ asked: policy }) });
    const url = await png();
    const content = [
      { type: 'text', text: 'How many?' },
      { type: 'image_url', image_url: { url } },
    ];
    const { status } = await post(service, ask('', { messages: [{ role: 'user', content }] }));
    expect(status).toBe(200);
    expect(requests[0]?.problem.images).toEqual([{ source: url, location: url }]);
    expect(requests[0]?.problem.question).toBe('How many?');
  });

  it('gives the same answer for the same seed, and asks other samples for another', async () => {
    const { policy, requests } = listeningPolicy();
    const service = await startService({ models: fakeModels({ asked: policy }) });
    for (const seed of [5, 5, -6]) await post(service, ask('Q', { seed, steptree: { n: 1 } }));
    const [first, again, other] = requests.map(({ seeds }) => seeds);
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });

  it('passes temperature and top_p on', async () => {
    const { policy, requests } = listeningPolicy();
    const service = await startService({ models: fakeModels({ asked: policy }) });
    await post(service, ask('Q', { temperature: 0.3, top_p: 0.8 }));
    expect(requests[0]?.sampling).toMatchObject({ temperature: 0.3, topP: 0.8 });
  });

  it('ends an answer where a stop string would stand, also across steps', async () => {
    const { policy } = listeningPolicy(['one two', 'three', 'Answer: 3']);
    const service = await startService({ models: fakeModels({ asked: policy }) });
    const answer = async (stop: unknown) =>
      (await post(service, ask('Q', { stop }))).body.choices[0].message.content;
    expect(await answer('two')).toBe('one');
    expect(await answer(['zebra', 'o\n\nthree'])).toBe('one tw');
    expect(await answer('zebra')).toBe('one two\n\nthree\n\nAnswer: 3');
  });

  it('ends an answer at a stop string of blank lines, also where every step is a call', async () => {
    const { policy } = listeningPolicy(['one two', 'three', 'Answer: 3']);
    const service = await startService({ models: fakeModels({ asked: policy, scorer }) });
    for (const model of ['steptree/majority', 'steptree/beam']) {
      for (const stop of ['\n\n', '\n']) {
        const { body } = await post(service, ask('Q', { model, stop }));
        expect([model, stop, body.choices[0].message.content]).toEqual([model, stop, 'one two']);
      }
    }
  });

  it('shares max_tokens among the steps of a path', async () => {
    const { policy, requests } = listeningPolicy();
    const models = fakeModels({ asked: policy, scorer });
    const service = await startService({ models });
    const body = ask('Q', { model: 'steptree/beam', max_tokens: 20, steptree: { n: 4 } });
    const { status } = await post(service, body);
    expect(status).toBe(200);
    const limits = new Map(
      requests.map(({ prefix, sampling }) => [prefix.length, sampling.maxTokens]),
    );
    // Each step takes 7 of the 20.
    expect([...limits]).toEqual([
      [0, 20],
      [1, 13],
      [2, 6],
    ]);
  });

  it('says length for an answer that was cut', async () => {
    const cut = fakePolicy(() => ({ steps: ['one'], finish: 'length', policyTokens: 5 }));
    const service = await startService({ models: fakeModels({ asked: cut }) });
    const { body } = await post(service, ask('Q'));
    expect(body.choices[0].finish_reason).toBe('length');
    expect(body.choices[0].message.content).toBe('one');
    expect(body.choices[0].steptree.warnings[0]).toMatch(/no solution was completed/);
  });

  it('keeps to the lower one of the service’s and the request’s token budget', async () => {
    const spent = async (budget: object, wish: object) => {
      const service = await startService({ budget: { ...budget } });
      const { body } = await post(service, ask('Q', { steptree: { n: 16, ...wish } }));
      return body.choices[0].steptree;
    };
    // Ten tokens a rollout; rounds of what is affordable.
    expect((await spent({}, { budget: { tokens: 30 } })).usage.policy_tokens).toBe(30);
    expect((await spent({ maxPolicyTokens: 20 }, { budget: { tokens: 30 } })).usage).toMatchObject({
      policy_tokens: 20,
    });
    expect((await spent({ maxPolicyTokens: 20 }, {})).stopped).toBe('maxPolicyTokens');
  });
});

describe('the strategy', () => {
  it('comes from the model, the path or the body', async () => {
    const service = await startService({ models: fakeModels({ scorer }) });
    const strategy = async (body: Record<string, unknown>, url?: string) =>
      (await post(service, ask('Q', body), url)).body.choices[0].steptree.strategy;
    expect(await strategy({ model: 'steptree/greedy' })).toBe('greedy');
    expect(await strategy({ model: 'majority' })).toBe('majority');
    expect(await strategy({ model: 'steptree' }, '/v1/one-shot/chat/completions')).toBe('one-shot');
    expect(await strategy({ model: 'steptree', steptree: { strategy: 'greedy' } })).toBe('greedy');
  });

  it('is a weighted best-of-n by default where there is a reward model, else majority', async () => {
    const facts = async (models = fakeModels(), model = 'steptree') =>
      (await post(await startService({ models }), ask('Q', { model }))).body.choices[0].steptree;
    expect(await facts()).toMatchObject({ strategy: 'majority' });
    expect(await facts(fakeModels({ scorer }))).toMatchObject({
      strategy: 'best-of-n',
      options: { selection: 'weighted' },
    });
    // The policy's own name too: a client need only change its base URL.
    expect(await facts(fakeModels(), 'fake-vlm')).toMatchObject({ strategy: 'majority' });
  });

  const refused = async (body: Record<string, unknown>, url?: string) => {
    const { status, body: reply } = await post(await startService(), ask('Q', body), url);
    return [status, reply.error.code, reply.error.param];
  };

  it('is refused where two places name different ones', async () => {
    expect(await refused({}, '/v1/greedy/chat/completions')).toEqual([
      400,
      'SERVE_STRATEGY_CONFLICT',
      'steptree.strategy',
    ]);
  });

  it('is refused where its models are missing', async () => {
    expect((await refused({ model: 'steptree/beam' })).slice(0, 2)).toEqual([
      400,
      'SERVE_STRATEGY_UNAVAILABLE',
    ]);
  });

  it('is refused where nobody knows it', async () => {
    expect((await refused({ model: 'steptree/beem' })).slice(0, 2)).toEqual([
      404,
      'SERVE_MODEL_UNKNOWN',
    ]);
    expect((await refused({ model: 'steptree', steptree: { strategy: 'x' } })).slice(0, 2)).toEqual(
      [400, 'STRATEGY_UNKNOWN'],
    );
  });
});

const imagePart = (more: object) => {
  return { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA', ...more } };
};

describe('what can’t be honoured', () => {
  it.each([
    [{ n: 9 }, 'SERVE_REQUEST_UNSUPPORTED', 'n'],
    [{ n: 17 }, 'SERVE_OPTION_TOO_LARGE', 'n'],
    [{ n: 2, model: 'steptree/greedy' }, 'SERVE_REQUEST_UNSUPPORTED', 'n'],
    [{ temperature: 0.5, model: 'steptree/greedy' }, 'SERVE_REQUEST_UNSUPPORTED', 'temperature'],
    [{ tools: [{ type: 'function' }] }, 'SERVE_REQUEST_UNSUPPORTED', 'tools'],
    [{ tool_choice: 'required' }, 'SERVE_REQUEST_UNSUPPORTED', 'tool_choice'],
    [{ logprobs: true }, 'SERVE_REQUEST_UNSUPPORTED', 'logprobs'],
    [{ logit_bias: { 50256: -100 } }, 'SERVE_REQUEST_UNSUPPORTED', 'logit_bias'],
    [{ presence_penalty: 0.5 }, 'SERVE_REQUEST_UNSUPPORTED', 'presence_penalty'],
    [
      { response_format: { type: 'json_object' } },
      'SERVE_REQUEST_UNSUPPORTED',
      'response_format.type',
    ],
    [{ stop: ['a', 'b', 'c', 'd', 'e'] }, 'SERVE_REQUEST_INVALID', 'stop'],
    [
      { messages: [{ role: 'user', content: [imagePart({ detail: 'low' })] }] },
      'SERVE_REQUEST_UNSUPPORTED',
      'messages.0.content.0.image_url.detail',
    ],
    [
      { messages: [{ role: 'user', content: [{ type: 'input_audio' }] }] },
      'SERVE_REQUEST_INVALID',
      'messages.0.content.0.type',
    ],
    [{ max_tokens: 1e6 }, 'SERVE_OPTION_TOO_LARGE', 'max_tokens'],
    [{ max_tokens: 5, max_completion_tokens: 6 }, 'SERVE_REQUEST_INVALID', 'max_tokens'],
    [{ steptree: { beamWidth: 4 } }, 'OPTION_INVALID', 'steptree.beamWidth'],
    [{ steptree: { n: 65 } }, 'SERVE_OPTION_TOO_LARGE', 'steptree.n'],
    [{ steptree: { nn: 5 } }, 'SERVE_REQUEST_UNSUPPORTED', 'steptree.nn'],
    [
      { steptree: { budget: { dollars: 1 } } },
      'SERVE_REQUEST_UNSUPPORTED',
      'steptree.budget.dollars',
    ],
  ])('%j is a 400 with %s', async (more, code, param) => {
    const { status, body } = await post(await startService(), ask('Q', more));
    expect([status, body.error.code, body.error.param]).toEqual([400, code, param]);
  });

  it('says what is wrong inside a message', async () => {
    const content = [imagePart({ detail: 'low' }), { type: 'text', text: 'Q' }];
    const { body } = await post(
      await startService(),
      ask('', { messages: [{ role: 'user', content }] }),
    );
    expect(body.error.message).toMatch(/detail: pictures are given as they are/);
  });

  it('is not what asks for nothing: fields with their defaults', async () => {
    const nothing = {
      tools: [],
      tool_choice: 'none',
      logprobs: false,
      top_logprobs: 0,
      logit_bias: {},
      frequency_penalty: 0,
      response_format: { type: 'text' },
      modalities: ['text'],
      store: false,
      stream_options: null,
      user: 'u',
    };
    const content = [
      { type: 'image_url', image_url: { url: await png(), detail: 'high' } },
      { type: 'text', text: 'Q' },
    ];
    const messages = [{ role: 'user', content }];
    const { status } = await post(await startService(), ask('', { ...nothing, messages }));
    expect(status).toBe(200);
  });

  it('names the nearest field', async () => {
    const { body } = await post(await startService(), ask('Q', { temprature: 1 }));
    expect(body.error.message).toMatch(/did you mean "temperature"/);
  });
});
