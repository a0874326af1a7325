import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Problem } from '../../search/types.js';
import { createAnswerChecks } from '../../src/verify/create.js';
import { createJudgeCritic } from '../../src/verify/judge-critic.js';
import { type JudgeOptions, judgeOptions } from '../../src/verify/options.js';

interface Received {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: Record<string, unknown>;
}

type Reply = string | { readonly status: number; readonly message: string };

const problem: Problem = { id: 'p', question: 'Simplify.', images: [], answer: '\\frac{x+2}{7}' };
const picture = 'data:image/png;base64,iVBORw0KGgo=';
const chatBody = z.object({
  messages: z.array(z.object({ role: z.string(), content: z.unknown() })),
});

describe('the judge', () => {
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  /** A chat server that gives the replies in order, the last one for ever. */
  async function serve(replies: Reply[]): Promise<{ url: string; received: Received[] }> {
    const received: Received[] = [];
    let next = 0;
    const server: Server = createServer((request, response) => {
      let text = '';
      request.on('data', (chunk) => {
        text += chunk;
      });
      request.on('end', () => {
        response.setHeader('content-type', 'application/json');
        if (request.url === '/v1/models') {
          response.end(JSON.stringify({ data: [{ id: 'judge-1' }] }));
          return;
        }
        const { authorization } = request.headers;
        received.push({ path: request.url ?? '', authorization, body: JSON.parse(text) });
        const reply = replies[Math.min(next++, replies.length - 1)] ?? '';
        if (typeof reply === 'string') {
          response.end(JSON.stringify({ choices: [{ message: { content: reply } }] }));
        } else {
          response.statusCode = reply.status;
          response.end(JSON.stringify({ error: { message: reply.message } }));
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(() => new Promise((resolve) => server.close(resolve)));
    const { port } = server.address() as AddressInfo;
    return { url: `http://127.0.0.1:${port}`, received };
  }

  const options = (given: Partial<JudgeOptions> = {}): JudgeOptions =>
    judgeOptions.parse({ judgeMaxRetries: 0, ...given });

  function checks(url: string, given: Partial<JudgeOptions>) {
    const made = createAnswerChecks({ verify: {}, judge: options(given), judgeUrl: url });
    closing.push(() => made.close());
    return made;
  }

  function critic(url: string, given: Partial<JudgeOptions> = {}) {
    const made = createJudgeCritic(url, options(given));
    closing.push(() => made.close());
    return made;
  }

  // Neither rules nor computer algebra know what f is.
  const open = ['\\boxed{\\int_0^7 f(x) dx}'];

  it('is asked as a fallback only about what rules leave open, and once', async () => {
    const { url, received } = await serve(['Yes']);
    const { verifier } = checks(url, { judgeMode: 'fallback' });
    expect(await verifier.verify(problem, [open, open, ['Answer: \\frac{x+2}{7}']])).toMatchObject([
      { verdict: 'equal', reason: 'judge' },
      { verdict: 'equal', reason: 'judge' },
      { verdict: 'equal' },
    ]);
    expect(received).toHaveLength(1);
    expect(received[0]?.body).toMatchObject({ model: 'judge-1', temperature: 0 });
  });

  it('is asked about every stated answer if told to', async () => {
    const { url, received } = await serve(['No.', '<think>Yes?</think> no']);
    const { verifier } = checks(url, { judgeMode: 'always' });
    const verdicts = await verifier.verify({ ...problem, answer: '4' }, [
      ['Answer: 4'],
      ['Answer: 5'],
      ['I cannot tell from this picture.'],
    ]);
    expect(verdicts.map((verdict) => verdict.verdict)).toEqual([
      'different',
      'different',
      'different',
    ]);
    expect(verdicts[2]?.reason).toBe('no-answer');
    expect(received).toHaveLength(2);
  });

  it('leaves an answer ungraded when it fails or does not say', async () => {
    const failing = await serve([{ status: 500, message: 'out of memory' }]);
    const { verifier } = checks(failing.url, { judgeMode: 'fallback' });
    expect(await verifier.verify(problem, [open])).toMatchObject([
      { verdict: 'ungraded', reason: 'judge-failed' },
    ]);
    // What failed is asked again, what was said is not.
    await verifier.verify(problem, [open]);
    expect(failing.received).toHaveLength(2);
    const vague = await serve(['It depends.']);
    expect(
      await checks(vague.url, { judgeMode: 'fallback' }).verifier.verify(problem, [open]),
    ).toMatchObject([{ verdict: 'ungraded', reason: 'judge-unclear' }]);
  });

  it('may be several servers, which stand in for each other and are counted', async () => {
    const { url, received } = await serve(['Yes']);
    // Nobody listens at the discard port.
    const { verifier, judgeReplicas } = checks(`http://127.0.0.1:9, ${url}`, {
      ...{ judgeMode: 'always', judgeMaxRetries: 2, judgeModel: 'm' },
    });
    const problems = Array.from({ length: 8 }, (_, i) => ({ ...problem, id: `p${i}` }));
    const verdicts = await Promise.all(
      problems.map((one, i) => verifier.verify(one, [[`Answer: ${i}`]])),
    );
    expect(verdicts.flat().map(({ verdict }) => verdict)).toEqual(Array(8).fill('equal'));
    expect(received).toHaveLength(8);
    expect(judgeReplicas?.().answers).toMatchObject([{ down: true }, { down: false, calls: 8 }]);
  });

  it('needs a URL, and the key that it was told of', () => {
    expect(() =>
      createAnswerChecks({ verify: {}, judge: options({ judgeMode: 'always' }), judgeUrl: '' }),
    ).toThrow(/--judge-mode always needs a judge/);
    expect(() =>
      createJudgeCritic('http://127.0.0.1:1', options({ judgeApiKeyEnv: 'NO_SUCH_KEY' }), {
        env: {},
      }),
    ).toThrow(/NO_SUCH_KEY is not set/);
  });

  const judged = (...correct: boolean[]) =>
    JSON.stringify({
      steps: correct.map((one) => ({
        kind: 'reasoning',
        analysis: one ? 'Right.' : 'Wrong.',
        correct: one,
      })),
    });

  it('points at the first wrong step, having seen the picture', async () => {
    const { url, received } = await serve([judged(true, false)]);
    const withPicture = { ...problem, images: [{ source: picture, location: picture }] };
    expect(await critic(url).critique(withPicture, ['a', 'b', 'c'])).toEqual({
      firstError: 1,
      kinds: ['reasoning', 'reasoning'],
      analyses: ['Right.', 'Wrong.'],
    });
    const { messages } = chatBody.parse(received[0]?.body);
    expect(messages[1]?.content).toMatchObject([
      { type: 'image_url', image_url: { url: picture } },
      { type: 'text', text: expect.stringContaining('Step 3: c') },
    ]);
    expect(received[0]?.body).toMatchObject({ response_format: { type: 'json_schema' } });
  });

  it('finds no error in a right solution', async () => {
    const { url } = await serve([judged(true, true)]);
    expect(await critic(url).critique(problem, ['a', 'b'])).toMatchObject({ firstError: null });
  });

  it('reads JSON out of a code fence and words', async () => {
    const { url } = await serve([
      `<think>{</think>Here:\n\`\`\`json\n${judged(false)}\n\`\`\`\nDone.`,
    ]);
    expect(await critic(url).critique(problem, ['a', 'b'])).toMatchObject({ firstError: 0 });
  });

  it('asks once more, saying what was wrong, and then gives up with a coded error', async () => {
    const mended = await serve(['I think it is fine.', judged(true)]);
    expect(await critic(mended.url).critique(problem, ['a'])).toMatchObject({ firstError: null });
    const { messages } = chatBody.parse(mended.received[1]?.body);
    expect(messages.at(-1)?.content).toContain('it holds no complete JSON object');
    const hopeless = await serve([judged(true)]);
    await expect(critic(hopeless.url).critique(problem, ['a', 'b'])).rejects.toMatchObject({
      code: 'JUDGE_REPLY_INVALID',
      message: expect.stringContaining('it judges 1 of 2 steps and finds no error'),
    });
    expect(hopeless.received).toHaveLength(2);
  });

  it('does without the schema on a server that refuses it, and remembers that', async () => {
    const { url, received } = await serve([
      { status: 400, message: 'response_format' },
      judged(true),
    ]);
    const one = critic(url);
    await one.critique(problem, ['a']);
    await one.critique(problem, ['b']);
    expect(received.map(({ body }) => 'response_format' in body)).toEqual([true, false, false]);
  });
});
