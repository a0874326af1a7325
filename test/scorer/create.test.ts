import { Command } from 'commander';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Problem } from '../../search/types.js';
import { addFlags, parseOptions } from '../../src/config/flags.js';
import {
  createCritic,
  createScorer,
  SCORER_AREAS,
  scorerSettings,
  scorerShape,
} from '../../src/scorer/index.js';
import {
  type ScriptedServer,
  sendJson,
  startScriptedServer,
} from '../policy/openai/scripted-server.js';
import { tokenReply } from '../prm/stub-server.js';
import { startToyServer } from '../prm/toy-server.js';

const problem: Problem = { id: 'p', question: 'How many?', images: [] };
const request = { problem, paths: [['a p=0.9', 'b p=0.2']] };

const closing: { close(): Promise<void> }[] = [];
const closeLater = <T extends { close(): Promise<void> }>(thing: T): T => {
  closing.push(thing);
  return thing;
};
afterEach(async () => {
  for (const thing of closing.splice(0).reverse()) await thing.close();
});

const open = async (prm: string, given: Record<string, unknown> = {}, context = {}) => {
  const settings = scorerSettings({ prm, prmMaxRetries: 0, ...given });
  return closeLater(await createScorer(settings, { env: {}, ...context }));
};

describe('a reward model named by --prm', () => {
  it('is read by tokens from a URL, its model the first that the server lists', async () => {
    const server = closeLater(await startToyServer());
    const scorer = await open(server.url);
    const { paths } = await scorer.score(request);
    expect(paths[0]?.steps.map((score) => score.toFixed(3))).toEqual(['0.900', '0.200']);
    expect(server.calls[0]?.body.model).toBe('m');
    expect(scorer).toMatchObject({
      kind: 'token-logits',
      name: 'token-logits:m',
      identity: { kind: 'token-logits', model: 'm' },
    });
    expect(JSON.stringify(scorer.identity)).not.toContain('127.0.0.1');
  });

  it('goes to another replica when one is gone', async () => {
    const server = closeLater(await startToyServer());
    const gone = await startToyServer();
    await gone.close();
    const scorer = await open(`${gone.url}, ${server.url}`, { prmMaxRetries: 3 });
    const paths = Array.from({ length: 6 }, (_, index) => [`${index} p=0.5`]);
    for (let index = 0; index < 4; index++) {
      const asked = { problem: { ...problem, id: `p${index}`, question: `${index}` }, paths };
      expect((await scorer.score(asked)).paths).toHaveLength(6);
    }
  });

  it('fails with the reason when its server dies in mid-run', async () => {
    let first: ScriptedServer | null = null;
    const server = closeLater(
      await startScriptedServer((call, index) => {
        if (index === 0) sendJson(call.response, 200, tokenReply({ Yes: -0.1, No: -2 }));
        else void first?.close();
      }),
    );
    first = server;
    const scorer = await open(server.url);
    await expect(scorer.score(request)).rejects.toMatchObject({
      code: 'POLICY_CALL_FAILED',
      message: expect.stringMatching(/connection failed .*--prm-max-retries/),
    });
    await expect(scorer.score(request)).rejects.toMatchObject({ code: 'POLICY_CALL_FAILED' });
  });

  it('closes the request to the server when the search gives up', async () => {
    let arrived: () => void = () => {};
    const arrival = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const server = closeLater(await startScriptedServer(() => arrived()));
    const scorer = await open(server.url);
    const abort = new AbortController();
    const failing = expect(scorer.score(request, abort.signal)).rejects.toThrow('pruned');
    await arrival;
    abort.abort(new Error('pruned'));
    await failing;
    // The connection of the call under way is gone.
    await server.calls[0]?.closed;
  });

  it('one bad path fails its own request only', async () => {
    const server = closeLater(
      await startToyServer((call, reply) => {
        if (!JSON.stringify(call.body).includes('too long')) return reply;
        sendJson(call.response, 400, { error: { message: 'maximum context length is 10' } });
        return undefined;
      }),
    );
    const scorer = await open(server.url);
    const [bad, good] = await Promise.allSettled([
      scorer.score({ problem, paths: [['fine p=0.3'], ['too long p=0.3']] }),
      scorer.score({ problem, paths: [['fine p=0.4']] }),
    ]);
    expect(bad).toMatchObject({
      status: 'rejected',
      reason: { code: 'POLICY_CALL_REFUSED', message: expect.stringContaining('context length') },
    });
    expect(good).toMatchObject({ status: 'fulfilled' });
  });

  it('leaves sampling fields out that the server does not know, but never the ones it needs', async () => {
    const server = closeLater(
      await startToyServer((call, reply) => {
        const body = call.body as unknown as Record<string, unknown>;
        const unknown = ['top_k', 'min_p', 'continue_final_message'].find((name) => name in body);
        if (unknown === undefined || (unknown === 'continue_final_message' && body.top_k)) {
          return reply;
        }
        sendJson(call.response, 400, { error: { message: `Unknown field "${unknown}"` } });
        return undefined;
      }),
    );
    const turns = await open(server.url, { prmTemplate: 'visualprm' });
    expect((await turns.score(request)).paths[0]?.steps).toHaveLength(2);
    expect(server.calls.at(-1)?.body).not.toHaveProperty('top_k');
    const inline = await open(server.url);
    await expect(inline.score(request)).rejects.toMatchObject({ code: 'POLICY_CALL_REFUSED' });
  });

  it('says at the start that its server can not be reached', async () => {
    const gone = await startToyServer();
    await gone.close();
    await expect(open(gone.url)).rejects.toMatchObject({ code: 'POLICY_CALL_FAILED' });
  });

  it('sends the key that it was told of, and fails early without it', async () => {
    const server = closeLater(await startToyServer());
    const given = { prmApiKeyEnv: 'PRM_KEY' };
    const scorer = await open(server.url, given, { env: { PRM_KEY: 's3cret' } });
    await scorer.score(request);
    expect(server.calls[0]?.headers.authorization).toBe('Bearer s3cret');
    await expect(open(server.url, given)).rejects.toMatchObject({
      code: 'POLICY_API_KEY_MISSING',
      message: expect.stringContaining('--prm-api-key-env'),
    });
  });

  it.each([
    ['nowhere/at-all', {}, 'OPTION_PRM_UNKNOWN', 'neither embedded'],
    ['.', {}, 'ONNX_FOLDER', 'config.json is missing'],
    ['models/figmath-policy', {}, 'ONNX_FOLDER', 'no reward model'],
    ['embedded', { prmKind: 'pooling' }, 'OPTION_PRM_UNKNOWN', 'lives on a server'],
    ['embedded', { prmKind: 'rules' }, 'OPTION_INVALID', 'compares answers'],
    ['embedded', { prmKind: 'rollouts' }, 'OPTION_INVALID', 'gold answers'],
    ['embedded', { prmKind: 'hybrid' }, 'OPTION_INVALID', 'at least one part'],
    ['x', { prmKind: 'hybrid', hybridParts: ['rules'] }, 'OPTION_INVALID', 'weight:kind'],
    ['x', { prmKind: 'hybrid', hybridParts: ['0:rules'] }, 'OPTION_INVALID', 'weight:kind'],
    ['x', { prmKind: 'hybrid', hybridParts: ['1:hybrid'] }, 'OPTION_INVALID', 'weight:kind'],
  ])('says what is wrong with %s %j', async (prm, given, code, message) => {
    await expect(open(prm, given)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });

  it('weighs the likelihood of a path that a server reads in one pass', async () => {
    const server = closeLater(await startToyServer());
    const scorer = await open(server.url, {
      prmMode: 'prompt-logprobs',
      prmLikelihoodWeight: 0.1,
      prmValueWeight: 0,
      prmBias: 1,
    });
    const { paths } = await scorer.score(request);
    // Every token has log p -3: "a p=0.9" is 7 of them, and "\n\nb p=0.2" 9 more.
    expect(paths[0]?.steps.map((score) => score.toFixed(4))).toEqual([
      (1 / (1 + Math.exp(0.1 * 3 * 7 - 1))).toFixed(4),
      (1 / (1 + Math.exp(0.1 * 3 * 16 - 1))).toFixed(4),
    ]);
    expect(scorer.identity).toMatchObject({ likelihoodWeight: 0.1, valueWeight: 0, bias: 1 });
    await expect(open(server.url, { prmLikelihoodWeight: 0.1 })).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringContaining('--prm-mode prompt-logprobs'),
    });
  });

  it('mixes several as told', async () => {
    const server = closeLater(await startToyServer());
    const parts = [`3:pooling:${server.url}`, `1:critic:${server.url}`];
    const scorer = await open('', { prmKind: 'hybrid', hybridParts: parts });
    const { paths } = await scorer.score(request);
    expect(paths[0]?.steps.map((score) => score.toFixed(3))).toEqual(['0.900', '0.200']);
    expect(server.calls.map((call) => call.path).sort()).toEqual([
      '/pooling',
      '/v1/chat/completions',
    ]);
  });

  it('is told from a mixture of other models or options, and not by where its servers are', async () => {
    const identityOf = async (more: Record<string, unknown>, weight = 3) => {
      const server = closeLater(await startToyServer());
      const hybridParts = [`${weight}:pooling:${server.url}`, '1:critic'];
      return (await open(server.url, { prmKind: 'hybrid', hybridParts, ...more })).identity;
    };
    const identity = await identityOf({});
    expect(await identityOf({})).toEqual(identity);
    expect(await identityOf({ prmSystemPrompt: 'Be strict.' })).not.toEqual(identity);
    expect(await identityOf({}, 4)).not.toEqual(identity);
    expect(await identityOf({ prmModel: 'other' })).not.toEqual(identity);
  });

  it('aggregates steps as told beside a part that scores whole solutions', async () => {
    const server = closeLater(await startToyServer());
    const parts = [`1:pooling:${server.url}`, `1:outcome:${server.url}`];
    for (const [hybridAggregate, expected] of [
      // The outcome is 0.2, as the last p= of the solution says; steps are 0.9 and 0.2.
      ['mean', (0.55 + 0.2) / 2],
      ['product', (0.18 + 0.2) / 2],
    ] as const) {
      const scorer = await open('', { prmKind: 'hybrid', hybridParts: parts, hybridAggregate });
      expect((await scorer.score(request)).paths[0]?.outcome).toBeCloseTo(expected, 9);
    }
  });

  it('gives a request up at its deadline', async () => {
    const server = closeLater(await startScriptedServer(() => {}));
    const scorer = await open(server.url, { prmTimeoutMs: 30 });
    await expect(scorer.score(request)).rejects.toMatchObject({
      code: 'POLICY_CALL_FAILED',
      message: expect.stringContaining('30 ms'),
    });
  });

  it('has the options of its parts in the identity of a hybrid, and no addresses', async () => {
    const server = closeLater(await startToyServer());
    const identityOf = async (given: object) => {
      const parts = [`1:outcome:${server.url}`, `3:token-logits:${server.url}`];
      return (await open('', { prmKind: 'hybrid', hybridParts: parts, ...given })).identity;
    };
    const plain = await identityOf({});
    expect(await identityOf({})).toEqual(plain);
    expect(JSON.stringify(plain)).not.toContain('127.0.0.1');
    // Stored scores are looked up by it: each of these changes scores.
    for (const given of [
      { outcomeRoute: 'classify' },
      { prmTemplate: 'visualprm' },
      { hybridAggregate: 'min' },
    ]) {
      expect(await identityOf(given)).not.toEqual(plain);
    }
  });

  it('is its own critic where it is one, and --critic opens one beside it', async () => {
    const server = closeLater(await startToyServer());
    const scorer = await open(server.url, { prmKind: 'critic' });
    expect(await scorer.critic?.critique(problem, ['a p=0.9', 'b p=0.2'])).toMatchObject({
      firstError: 1,
      correction: 'mended p=0.9',
    });
    const alone = closeLater(
      await createCritic(server.url, scorerSettings({ criticModel: 'big' })),
    );
    expect(alone.name).toBe('critic:big');
    await alone.critique(problem, ['c p=0.9']);
    expect(server.calls.at(-1)?.body.model).toBe('big');
    await expect(createCritic('test/fixtures/tiny-prm', scorerSettings({}))).rejects.toThrow(
      /scores steps but corrects none/,
    );
  });
});

describe("a scorer's options", () => {
  it('are flags with a line of help each, none of them twice', () => {
    const command = new Command('score');
    const seen = new Set<string>();
    for (const [heading, schema] of SCORER_AREAS) addFlags(command, schema, heading, seen);
    const names = command.options.map((option) => option.long);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toEqual(
      expect.arrayContaining(['--prm', '--prm-kind', '--prm-top-logprobs', '--pooling-rows']),
    );
    expect(command.options.filter((option) => option.description === '')).toEqual([]);
    const sum = SCORER_AREAS.reduce((count, [, area]) => count + Object.keys(area.shape).length, 0);
    expect(Object.keys(scorerShape)).toHaveLength(sum);
  });

  it('reach their areas', () => {
    const all = parseOptions(z.strictObject(scorerShape), {
      prmTokens: ['right', 'wrong'],
      criticMaxTokens: 7,
      poolingTemplate: 'skywork',
      outcomeLabelIds: ['648', '387'],
      rulesMaxChars: 9,
      prmMaxWaitMs: 0,
    });
    expect(scorerSettings(all)).toMatchObject({
      prm: 'embedded',
      tokenLogits: { tokens: ['right', 'wrong'] },
      critic: { maxTokens: 7 },
      pooling: { template: 'skywork' },
      outcome: { labelIds: [648, 387] },
      rules: { maxChars: 9 },
      batching: { maxWaitMs: 0 },
    });
  });

  it.each([
    [{ prmTokens: ['one'] }, /two tokens/],
    [{ prmMarker: '+' }, /longer than one character/],
    [{ prmKind: 'magic' }, /prm-kind/],
    [{ pairwiseMaxPairs: 0 }, /pairwise-max-pairs/],
  ])('refuse %j', (given, message) => {
    expect(() => parseOptions(z.strictObject(scorerShape), given)).toThrow(message);
  });
});
