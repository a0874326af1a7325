import { describe, expect, it } from 'vitest';
import {
  createOutcomeHost,
  createPoolingHost,
  type OutcomeOptions,
  outcomeOptions,
  type PoolingOptions,
  poolingOptions,
  promptOptions,
  tokenLogitsOptions,
} from '../../prm/index.js';
import { images, PICTURE, scorePath, stubServer, tokenReply, WITH_PICTURE } from './stub-server.js';

const prompt = promptOptions.parse({});
const rows = (data: unknown) => ({ data: [{ data }], usage: { prompt_tokens: 9 } });

describe('pooling', () => {
  const host = (reply: unknown, given: Partial<PoolingOptions> = {}) => {
    const server = stubServer(() => reply);
    const options = { ...poolingOptions.parse(given), ...prompt };
    return { server, host: createPoolingHost(server, options) };
  };

  it('takes the second class of the rows at <extra_0>', async () => {
    const made = host(
      rows([
        [0.1, 0.9],
        [0.75, 0.25],
      ]),
    );
    const { scores, prmTokens } = await scorePath(made.host, ['a <extra_0>', 'b']);
    expect(scores.steps).toEqual([0.9, 0.25]);
    expect(prmTokens).toBe(9);
    expect(made.server.calls[0]).toMatchObject({
      path: '../pooling',
      body: {
        model: 'm',
        task: 'token_classify',
        messages: [
          { role: 'system' },
          { role: 'user', content: 'How many?' },
          { role: 'assistant', content: 'a < extra_0><extra_0>b<extra_0>' },
        ],
      },
    });
  });

  it('leaves the task out for servers that do not know it', async () => {
    const made = host(rows([[0.1, 0.9]]), { task: '' });
    await scorePath(made.host, ['a']);
    expect(made.server.calls[0]?.body).not.toHaveProperty('task');
  });

  it.each([
    [
      'hidden states',
      [new Array(8).fill(0.1)],
      'SCORE_ROW_INVALID',
      'holds 8 numbers instead of 2',
    ],
    ['raw logits', [[-1.5, 2.5]], 'SCORE_ROW_INVALID', 'do not sum to 1'],
    ['NaN, as JSON writes it', [[null, 0.5]], 'SCORE_ROW_INVALID', 'null'],
    ['too few rows', [], 'SCORE_COUNT', '0 scores for 1 steps'],
    [
      'too many rows',
      [
        [0.1, 0.9],
        [0.1, 0.9],
      ],
      'SCORE_COUNT',
      '2 scores for 1 steps',
    ],
    ['no rows', 'AAAA', 'SCORE_REPLY_INVALID', 'data[0].data'],
  ])('takes %s for an error, not for a score', async (_, data, code, message) => {
    await expect(scorePath(host(rows(data)).host, ['a'])).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });

  it('allows for the rounding of half precision', async () => {
    expect((await scorePath(host(rows([[0.102, 0.9]])).host, ['a'])).scores.steps).toEqual([0.9]);
  });

  it('reads the first class at the step tag of Math-Shepherd, in raw text', async () => {
    const made = host(rows([[0.8, 0.2]]), { template: 'math-shepherd' });
    expect((await scorePath(made.host, ['2+2=4'])).scores.steps).toEqual([0.8]);
    expect(made.server.calls[0]?.body.input).toBe('How many?\n 2+2=4 ки');
  });

  it('picks the separators out of a row per token, and passes scalars through the logistic', async () => {
    // A vocabulary that, as those of Qwen and Llama, has ".\n" as a token: a step's newline stays its own.
    const ids = new Map(['BOS', '\n', '.\n', '.', 'How many?', 'a A', 'b'].map((t, i) => [t, i]));
    const tokenize = (text: string) =>
      (text.match(/\.\n|\n|\.|[^.\n]+/g) ?? []).map((token) => ids.get(token) ?? -1);
    const server = stubServer(({ path, body }) => {
      if (path === '../pooling') return rows([[9], [9], [9], [9], [9], [1], 9, 9, -2]);
      const opening = body.add_special_tokens === false ? [] : [0];
      return { tokens: [...opening, ...tokenize(body.prompt)] };
    });
    const options = { ...poolingOptions.parse({ template: 'skywork' }), ...prompt };
    const { scores } = await scorePath(createPoolingHost(server, options), ['a\nA.', 'b.']);
    // 1 / (1 + e^-1) = 0.731059, 1 / (1 + e^2) = 0.119203
    expect(scores.steps[0]).toBeCloseTo(0.731059, 6);
    expect(scores.steps[1]).toBeCloseTo(0.119203, 6);
    const asked = server.calls.find((call) => call.path === '../pooling');
    // BOS, question, newline; step, dot, newline; step, dot, newline.
    expect(asked?.body.input).toEqual([0, 4, 1, 5, 3, 1, 6, 3, 1]);
  });

  it('refuses a row per step where one per token was promised, and the other way round', async () => {
    const server = stubServer(({ path, body }) =>
      path === '../pooling' ? rows([[0.1, 0.9]]) : { tokens: body.prompt ? [5] : [1, 2, 5] },
    );
    const options = { ...poolingOptions.parse({ rows: 'tokens' }), ...prompt };
    await expect(scorePath(createPoolingHost(server, options), ['a'])).rejects.toMatchObject({
      code: 'SCORE_ROW_INVALID',
      message: expect.stringContaining('1 rows for 3 tokens'),
    });
  });
});

describe('outcome', () => {
  const host = (reply: unknown, given: Partial<OutcomeOptions>) => {
    const server = stubServer(() => reply);
    const options = {
      ...outcomeOptions.parse(given),
      ...prompt,
      tokenLogits: tokenLogitsOptions.parse({ template: 'vl-prm' }),
    };
    return { server, host: createOutcomeHost(server, images, options) };
  };

  it('asks a PRM once, with the whole solution as its one step', async () => {
    const made = host(tokenReply({ '+': -0.5, '-': -1 }), { route: 'token-logits' });
    // 1 / (1 + e^-0.5) = 0.622459
    const { scores } = await scorePath(made.host, ['a', 'b']);
    expect(scores.steps).toEqual([]);
    expect(scores.outcome).toBeCloseTo(0.622459, 6);
    expect(made.server.calls).toHaveLength(1);
    expect(made.server.calls[0]?.body.messages.at(-1).content).toContain('a\n\nb');
  });

  it.each([
    ['a scalar', [2]],
    ['a row per token', [[-7], [2]]],
  ])('passes %s of /pooling through the logistic', async (_, data) => {
    const made = host(rows(data), { route: 'pooling', activation: 'sigmoid', task: 'classify' });
    const { scores } = await scorePath(made.host, ['a', 'b'], WITH_PICTURE);
    // 1 / (1 + e^-2) = 0.880797
    expect(scores.outcome).toBeCloseTo(0.880797, 6);
    expect(made.server.calls[0]?.body).toMatchObject({
      task: 'classify',
      messages: [
        {
          role: 'user',
          content: [{ type: 'image_url', image_url: { url: PICTURE } }, { type: 'text' }],
        },
        { role: 'assistant', content: 'a\n\nb' },
      ],
    });
  });

  it('takes hidden states for an error', async () => {
    const made = host(rows([0.1, 0.2, 0.3]), { route: 'pooling' });
    await expect(scorePath(made.host, ['a'])).rejects.toMatchObject({ code: 'SCORE_ROW_INVALID' });
  });

  it('takes the class that it is told of from /classify', async () => {
    const reply = { data: [{ probs: [0.7, 0.3] }] };
    const good = host(reply, { route: 'classify', class: 0 });
    expect((await scorePath(good.host, ['a'])).scores.outcome).toBe(0.7);
    const bad = host(reply, { route: 'classify', class: 2 });
    await expect(scorePath(bad.host, ['a'])).rejects.toMatchObject({ code: 'SCORE_REPLY_INVALID' });
  });

  it('reads cross-encoders and label tokens', async () => {
    const cross = host({ data: [{ score: 0.4 }] }, { route: 'score' });
    expect((await scorePath(cross.host, ['a'])).scores.outcome).toBe(0.4);
    expect(cross.server.calls[0]).toMatchObject({
      path: '../score',
      body: { text_1: 'How many?', text_2: 'a' },
    });
    const labels = host(
      { scores: [[0.6, 0.4]] },
      { route: 'label-score', labelIds: [11, 12], suffix: ' ok?' },
    );
    expect((await scorePath(labels.host, ['a'])).scores.outcome).toBe(0.6);
    expect(labels.server.calls[0]).toMatchObject({
      path: '/score',
      body: { items: ['a ok?'], label_token_ids: [11, 12], apply_softmax: true },
    });
    await expect(
      scorePath(host({ data: [] }, { route: 'score' }).host, ['a']),
    ).rejects.toMatchObject({ code: 'SCORE_REPLY_INVALID' });
  });
});
