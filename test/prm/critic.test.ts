import { describe, expect, it } from 'vitest';
import { type CriticOptions, createCriticHost, criticOptions } from '../../prm/index.js';
import { SteptreeError } from '../../search/errors.js';
import { images, PICTURE, PROBLEM, scorePath, stubServer, WITH_PICTURE } from './stub-server.js';

interface Said {
  readonly verdict: 'Correct' | 'Incorrect';
  readonly probability?: number;
}

const step = ({ verdict, probability }: Said) => ({
  intent: 'reads "verdict": "Correct"',
  visual_alignment: 'agrees',
  soundness: 'follows',
  verdict,
  ...(probability === undefined ? {} : { probability }),
});

const critiqueText = (said: readonly Said[], correction: string | null = null) =>
  JSON.stringify({ steps: said.map(step), correction });

const reply = (content: string, tokens?: readonly unknown[]) => ({
  choices: [{ message: { content }, ...(tokens ? { logprobs: { content: tokens } } : {}) }],
  usage: { prompt_tokens: 40, completion_tokens: 20 },
});

/** Cuts a text at the first letter of each verdict; that token has the given chances. */
function tokensOf(text: string, chances: readonly Readonly<Record<string, number>>[]) {
  const parts = text.split(/(?<=[^\\]"verdict":")(?=Corr|Incorr)/);
  return parts.map((token, index) => ({
    token,
    logprob: -0.1,
    top_logprobs: Object.entries(chances[index - 1] ?? {}).map(([name, logprob]) => ({
      token: name,
      logprob,
    })),
  }));
}

const right: Said = { verdict: 'Correct', probability: 0.9 };
const wrong: Said = { verdict: 'Incorrect', probability: 0.2 };

describe('the critic', () => {
  const critic = (answers: readonly (string | unknown)[], given: Partial<CriticOptions> = {}) => {
    const server = stubServer((_, index) => {
      const answer = answers[Math.min(index, answers.length - 1)];
      if (answer instanceof Error) throw answer;
      return typeof answer === 'string' ? reply(answer) : answer;
    });
    return { server, host: createCriticHost(server, images, criticOptions.parse(given)) };
  };

  it('finds the first wrong step, its parts, and the step rewritten', async () => {
    const { server, host } = critic([critiqueText([right, wrong, wrong], 'Step 2: 3\n\n+ 4 = 7')]);
    const critique = await host.critique(WITH_PICTURE, ['a', 'b', 'c']);
    expect(critique).toEqual({
      firstError: 1,
      findings: [0.9, 0.2, 0.2].map((probability) => ({
        intent: 'reads "verdict": "Correct"',
        visualAlignment: 'agrees',
        soundness: 'follows',
        probability,
      })),
      // One step: the numbering and the blank line are gone.
      correction: '3\n+ 4 = 7',
      criticTokens: 60,
    });
    expect(server.calls[0]?.body).toMatchObject({
      response_format: { type: 'json_schema' },
      logprobs: true,
      max_tokens: 4096,
    });
    expect(server.calls[0]?.body.messages[1].content[0].image_url.url).toBe(PICTURE);
  });

  it('never sees the gold answer', async () => {
    const { server, host } = critic([critiqueText([right])]);
    await host.critique({ ...PROBLEM, answer: 'GOLD-1729' }, ['a']);
    expect(JSON.stringify(server.calls)).not.toContain('1729');
  });

  it('scores steps by their probabilities, and judges a solution once for both', async () => {
    const { server, host } = critic([critiqueText([right, wrong], 'c')]);
    expect(await host.critique(PROBLEM, ['a', 'b'])).toMatchObject({ firstError: 1 });
    const { scores, prmTokens } = await scorePath(host, ['a', 'b']);
    expect(scores.steps).toEqual([0.9, 0.2]);
    expect(prmTokens).toBe(0);
    expect(server.calls).toHaveLength(1);
    const forgetful = critic([critiqueText([right])], { knownCritiques: 0 });
    await scorePath(forgetful.host, ['a']);
    await scorePath(forgetful.host, ['a']);
    expect(forgetful.server.calls).toHaveLength(2);
  });

  it('takes the probability of the verdict token where the server gives it', async () => {
    const text = critiqueText([right, wrong]);
    const tokens = tokensOf(text, [
      { Correct: Math.log(0.6), Inc: Math.log(0.2), The: Math.log(0.1) },
      { Incorrect: Math.log(0.5), Corr: Math.log(0.25) },
    ]);
    const { host } = critic([reply(text, tokens)]);
    const { scores } = await scorePath(host, ['a', 'b']);
    // 0.6 / (0.6 + 0.2) and 0.25 / (0.25 + 0.5)
    expect(scores.steps[0]).toBeCloseTo(0.75, 12);
    expect(scores.steps[1]).toBeCloseTo(1 / 3, 12);
    const stated = critic([reply(text, tokens)], { probability: 'stated' });
    expect((await scorePath(stated.host, ['a', 'b'])).scores.steps).toEqual([0.9, 0.2]);
    expect(stated.server.calls[0]?.body).not.toHaveProperty('logprobs');
  });

  it('insists on verdict tokens if told to', async () => {
    const { host } = critic([critiqueText([right])], { probability: 'token' });
    await expect(host.critique(PROBLEM, ['a'])).rejects.toMatchObject({
      code: 'CRITIC_REPLY_INVALID',
      message: expect.stringContaining('among the tokens'),
    });
  });

  it.each([
    ['words', 'It all looks fine to me.', 'no complete JSON object'],
    ['cut JSON', critiqueText([right]).slice(0, -5), 'no complete JSON object'],
    ['too few steps', critiqueText([right]), 'judges 1 of 2 steps'],
    ['too many steps', critiqueText([right, right, right]), 'judges 3 of 2 steps'],
    ['a probability above 1', critiqueText([right, { ...right, probability: 7 }]), 'steps.1.prob'],
    ['no probability', critiqueText([right, { verdict: 'Correct' }]), 'steps.1.prob'],
    ['no verdict', '{"steps": [{"probability": 1}, {"probability": 1}]}', 'steps.0.verdict'],
  ])('has %s repaired once, and then gives up with a coded error', async (_, bad, complaint) => {
    const mended = critic([bad, `\`\`\`json\n${critiqueText([right, right])}\n\`\`\``]);
    const critique = await mended.host.critique(PROBLEM, ['a', 'b']);
    expect(critique).toMatchObject({ firstError: null, criticTokens: 120 });
    expect(mended.server.calls[1]?.body.messages.at(-1).content).toContain(complaint);
    const hopeless = critic([bad]);
    await expect(hopeless.host.critique(PROBLEM, ['a', 'b'])).rejects.toMatchObject({
      code: 'CRITIC_REPLY_INVALID',
      message: expect.stringContaining(complaint),
    });
    expect(hopeless.server.calls).toHaveLength(2);
  });

  it('gives no correction that corrects nothing', async () => {
    for (const correction of [null, '  ', 'b']) {
      const { host } = critic([critiqueText([right, wrong], correction)]);
      expect(await host.critique(PROBLEM, ['a', 'b'])).not.toHaveProperty('correction');
    }
    const { host } = critic([critiqueText([right, right], 'something')]);
    expect(await host.critique(PROBLEM, ['a', 'b'])).not.toHaveProperty('correction');
  });

  it('does without the schema on a server that refuses it, and remembers that', async () => {
    const refusal = new SteptreeError('POLICY_CALL_REFUSED', 'no schema', { status: 400 });
    const { server, host } = critic([refusal, critiqueText([right])]);
    await host.critique(PROBLEM, ['a']);
    await host.critique(PROBLEM, ['b']);
    expect(server.calls.map(({ body }) => 'response_format' in body)).toEqual([true, false, false]);
  });

  it('shows text-only critics no pictures, and takes another system prompt', async () => {
    const { server, host } = critic([critiqueText([right])], {
      images: false,
      systemPrompt: 'Judge.',
      maxTokens: 99,
      topLogprobs: 7,
    });
    await host.critique(WITH_PICTURE, ['a']);
    expect(server.calls[0]?.body.messages[0]).toEqual({ role: 'system', content: 'Judge.' });
    expect(server.calls[0]?.body.messages[1].content).toContain('Step 1: a');
    expect(server.calls[0]?.body).toMatchObject({ max_tokens: 99, top_logprobs: 7 });
  });
});
